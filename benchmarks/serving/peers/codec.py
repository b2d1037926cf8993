"""Times the steps of one image library: `python codec.py LIBRARY FOLDER`.

FOLDER contains photo.npy, small.npy and the photo as jpeg, png and webp. Prints milliseconds of processor time as JSON, or
null if the library does not support a step.
"""

import io
import json
import sys
import time
from pathlib import Path

import numpy as np

ROUNDS = 30


def pillow():
    from PIL import Image

    def decode(data):
        return np.array(Image.open(io.BytesIO(data)).convert("RGB"))

    def encode(image_format, **options):
        def write(pixels):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, image_format, **options)
            return buffer.getvalue()

        return write

    jpeg, png, webp = encode("jpeg", quality=92, subsampling=0), encode("png", compress_level=4), encode("webp", quality=90)
    return {"jpeg": (decode, jpeg), "png": (decode, png), "webp": (decode, webp)}


def simplejpeg():
    import simplejpeg

    return {"jpeg": (simplejpeg.decode_jpeg, lambda p: simplejpeg.encode_jpeg(p, 92, colorsubsampling="444"))}


def cv2():
    import cv2

    def decode(data):
        return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def encode(suffix, *options):
        return lambda pixels: cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1].tobytes()

    cv2.setNumThreads(1)
    full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    return {
        "jpeg": (decode, encode(".jpg", cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full)),
        "png": (decode, encode(".png", cv2.IMWRITE_PNG_COMPRESSION, 4)),
        "webp": (decode, encode(".webp", cv2.IMWRITE_WEBP_QUALITY, 90)),
    }


def imagecodecs():
    import imagecodecs as ic

    return {
        "jpeg": (ic.jpeg8_decode, lambda p: ic.jpeg8_encode(p, level=92, subsampling="444")),
        "png": (ic.png_decode, lambda p: ic.png_encode(p, level=4)),
        "webp": (ic.webp_decode, lambda p: ic.webp_encode(p, level=90)),
    }


def pyvips():
    import pyvips

    def decode(data):
        return pyvips.Image.new_from_buffer(data, "").numpy()

    def encode(suffix, **options):
        return lambda pixels: pyvips.Image.new_from_array(pixels).write_to_buffer(suffix, **options)

    return {
        "jpeg": (decode, encode(".jpg", Q=92, subsample_mode="off")),
        "png": (decode, encode(".png", compression=4)),
        "webp": (decode, encode(".webp", Q=90)),
    }


def milliseconds(work, *args):
    """The median, after two warm-up calls."""
    taken = []
    for _ in range(ROUNDS + 2):
        begun = time.process_time()
        work(*args)
        taken.append(time.process_time() - begun)
    return 1000 * sorted(taken[2:])[ROUNDS // 2]


def main():
    library, folder = sys.argv[1], Path(sys.argv[2])
    steps = {f.__name__: f for f in (pillow, simplejpeg, cv2, imagecodecs, pyvips)}[library]()
    photo, small = np.load(folder / "photo.npy"), np.load(folder / "small.npy")
    found = {}
    for name in ("jpeg", "png", "webp"):
        decode, encode = steps.get(name, (None, None))
        data = (folder / f"photo.{name}").read_bytes()
        found[f"read {name}"] = milliseconds(decode, data) if decode else None
        found[f"write {name}"] = milliseconds(encode, photo) if encode else None
    png = steps.get("png", (None, None))[1]
    found["write a 64 x 64 png"] = milliseconds(png, small) if png else None
    print(json.dumps(found))


main()
