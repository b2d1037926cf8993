"""Image files that tests make for themselves, and colour profiles to put into them."""

import io
import struct
import zlib

from PIL import Image, ImageCms

SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

# The primaries of Display P3 as a profile holds them: XYZ, adapted to D50.
_P3_PRIMARIES = {b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2920, 0.6922, 0.0419), b"bXYZ": (0.1571, 0.0666, 0.7841)}


def image_bytes(image: Image.Image, image_format: str = "png", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header states a size, and which holds almost nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    return start + png_chunk(b"IDAT", zlib.compress(b"\0")) + png_chunk(b"IEND", b"")


def wide_gamut_profile() -> bytes:
    """A profile with the primaries of Display P3 and the tone curve of sRGB."""
    data = bytearray(SRGB_PROFILE)
    for tag, entry in _tags(data).items():
        if tag in _P3_PRIMARIES:
            start = int.from_bytes(data[entry + 4 : entry + 8], "big") + 8
            data[start : start + 12] = struct.pack(">3i", *(round(value * 65536) for value in _P3_PRIMARIES[tag]))
    return bytes(data)


def swapped_profile() -> bytes:
    """The profile of sRGB with red and blue exchanged."""
    data = bytearray(SRGB_PROFILE)
    tags = _tags(data)
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


def linear_grey_profile() -> bytes:
    """A grey profile with a gamma of 1: linear light."""
    tags = {
        b"wtpt": b"XYZ \0\0\0\0" + bytes.fromhex("0000f6d6000100000000d32d"),
        b"kTRC": b"curv\0\0\0\0\0\0\0\0",
        b"desc": b"desc\0\0\0\0\0\0\0\x02x\0" + b"\0" * 78,
        b"cprt": b"text\0\0\0\0x\0\0\0",
    }
    offset, table, blob = 132 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        value += b"\0" * (-len(value) % 4)
        table += name + (offset + len(blob)).to_bytes(4, "big") + len(value).to_bytes(4, "big")
        blob += value
    head = b"\0\0\0\0lcms\x02\x10\0\0mntrGRAYXYZ " + b"\0" * 12 + b"acsp" + b"\0" * 28
    head += bytes.fromhex("0000f6d6000100000000d32d") + b"\0" * 48
    body = head + len(tags).to_bytes(4, "big") + table + blob
    return len(body).to_bytes(4, "big") + body[4:]


def _tags(profile: bytearray) -> dict[bytes, int]:
    """Tag -> where its entry stands in the profile."""
    count = int.from_bytes(profile[128:132], "big")
    return {bytes(profile[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}


def steep_profile() -> bytes:
    """The profile of sRGB with a steeper tone curve: all but black and white are darker."""
    data = bytearray(SRGB_PROFILE)
    for tag, entry in _tags(data).items():
        if tag.endswith(b"TRC"):
            start = int.from_bytes(data[entry + 4 : entry + 8], "big") + 12
            data[start : start + 4] = struct.pack(">i", 3 * 65536)
    return bytes(data)
