"""Makes malformed requests from the fields of the OpenAPI document and from handwritten cases.

Requests are bytes on a connection. A seed decides which ones, so a harmful request can be made again.
"""

import functools
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

Fields = Mapping[str, Mapping[str, Any]]

BOUNDARY = b"fuzz-boundary"
METHODS = ("POST", "POST", "POST", "POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "post")
PATHS = (
    "/v1/models/%s", "/v1/models/..%%2f%s", "/v1/models/%%00%s/preview.png", "/%s", "//v1/sample?%s", "/v1/sample/%s",
    "/v2/models/%s", "/v2/models/%s/infer", "/v2/models/digits/versions/%s/infer",
    "/%%ff%s", "/static_content/../../%s", "/v1/sample?n=%s", "/docs.json?%s", "/livez/%s",
)  # fmt: skip
TYPES = (
    "application/json", "application/json; charset=utf-16", "text/plain", "multipart/form-data", "application/octet-stream", "",
    "multipart/form-data; boundary=", 'multipart/form-data; boundary="', "application/x-www-form-urlencoded", "image/png",
    "\x01", "application/vnd.bentoml+pickle",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**64), 10**400, 0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"),
    float("-inf"), "", "0", "4", "null", "NaN", "1e999", "\x00", "\ud800", "\u202e", "a" * 5000, "../../etc/passwd",
    "http://127.0.0.1:1/x.png", "file:///etc/passwd", "{{7*7}}", "'; DROP TABLE models; --", "digits", "painters",
    "starry-night", "starry-night:nan", "starry-night:-1", "starry-night:1e999", ":,:,:", ",", [], [[]], [None], [[None]],
    [[float("nan")]], [["1"]], {}, {"a": {}}, [{}], [[1e39] * 100], [[0.0] * 99], [[0.0]] * 300, [0] * 1000,
)  # fmt: skip


INFERENCES: tuple[tuple[str, Mapping[str, Any], bytes], ...] = (
    (
        "digits",
        {"inputs": [{"name": "latents", "datatype": "FP32", "shape": [1, 100], "parameters": {"binary_data_size": 400}}]},
        bytes(400),
    ),
    (
        "painters",
        {
            "inputs": [
                {"name": "images", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 24}},
                {"name": "strength", "datatype": "FP32", "shape": [1], "data": [1]},
            ],
            "parameters": {"style": "starry-night"},
        },
        struct.pack("<I", 20) + b"\x89PNG\r\n\x1a\n" + bytes(12),
    ),
)
"""Names of models, and the JSON and the bytes of tensors that fit the shipped ones."""


@dataclass(frozen=True)
class Malformed:
    """A malformed request.

    Attributes:
        data: bytes to send.
        kind: description for the report.
        whole: whether the request is complete, so a response is due. Otherwise the client closes the connection after a while.
    """

    data: bytes
    kind: str
    whole: bool = True


@functools.cache
def endless_files() -> tuple[bytes, ...]:
    """Small images among hundreds of thousands of empty blocks. Making them takes a second, so they are made once."""
    jpeg, png, webp = (small_image(image_format) for image_format in ("jpeg", "png", "webp"))
    scans = jpeg[jpeg.index(b"\xff\xda") : -2]
    return (
        jpeg[:2] + b"\xff\xe1\0\2" * 250_000 + jpeg[2:],
        jpeg[:2] + b"\xff" * 1_000_000 + jpeg[2:],
        jpeg[:-2] + b"\xff" * 1_000_000 + jpeg[-2:],
        jpeg[:-2] + scans * (1_000_000 // len(scans)) + jpeg[-2:],
        png[:33] + _chunk(b"teXt", b"") * 80_000 + png[33:],
        with_chunk(png, b"zTXt", b"x\0\0" + zlib.compress(bytes(50_000_000))),
        with_chunk(png, b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000))),
        b"RIFF" + struct.pack("<I", len(webp) + 800_000 - 8) + webp[8:] + (b"XMP " + bytes(4)) * 100_000,
    )  # fmt: skip


class Maker:
    """Makes malformed requests.

    Args:
        document: OpenAPI document of the service.
        seed: of the random choices.
    """

    def __init__(self, document: Mapping[str, Any], seed: int) -> None:
        self.chance = random.Random(seed)
        self._bodies: dict[str, tuple[str, Fields]] = {}
        for path, methods in document["paths"].items():
            if "{" in path:  # `_inference` makes these
                continue
            for content_type, content in methods.get("post", {}).get("requestBody", {}).get("content", {}).items():
                self._bodies[path] = (content_type, content["schema"].get("properties", {}))
        self._kinds: Sequence[Callable[[], Malformed]] = (
            self._json, self._json, self._broken_json, self._form, self._form, self._upload, self._upload, self._upload,
            self._broken_form, self._inference, self._inference, self._route, self._typed, self._cut_off, self._no_http,
        )  # fmt: skip

    def next(self) -> Malformed:
        """Make a request of a random kind."""
        return self.chance.choice(self._kinds)()

    def _json(self) -> Malformed:
        path = self._path_of("application/json")
        names = [*self._bodies[path][1], "unknown", "__proto__"]
        fields = {name: self.chance.choice(VALUES) for name in self.chance.sample(names, self.chance.randint(1, 3))}
        return post(path, "application/json", json.dumps(fields).encode(), "wrong fields in JSON")

    def _broken_json(self) -> Malformed:
        body = self.chance.choice((
            b"{", b"[" * 100_000, b'{"a":' * 20_000, b'{"n": 1', b'{"n": 1}}', b"\xff\xfe", b"\x00", b'{"n": 1, "n": 2}',
            b"nul", b'{"n": 0x10}', b'{"n": 01}', b'"text"', b"12", b"[]", json.dumps({"n": 1}).encode("utf-16"),
            b'{"seed": ' + b"9" * 5000 + b"}", b'{"\\ud800": 1}', self.chance.randbytes(self.chance.randint(1, 3000)),
        ))  # fmt: skip
        return post(self._path_of("application/json"), "application/json", body, "broken JSON")

    def _form(self) -> Malformed:
        path = self._path_of("multipart/form-data")
        names = [*self._bodies[path][1], "unknown"]
        parts = [part("image", small_image("png"), "a.png")] if self.chance.random() < 0.7 else []
        for name in self.chance.choices(names, k=self.chance.randint(1, 4)):
            value = self.chance.choice(VALUES)
            text = value if isinstance(value, str) else json.dumps(value)
            parts.append(part(name, text.encode("utf-8", "surrogatepass")))
        return post_form(path, parts, "wrong fields in a form")

    def _upload(self) -> Malformed:
        name = self.chance.choice(("a.png", "../../a.jpg", "a\x00.png", "", "a" * 3000, "\u202egpj.exe", 'a"b'))
        files = [self._file() for _ in range(self.chance.choice((1, 1, 1, 2, 20)))]
        parts = [part("image", file, name) for file in files]
        parts.append(part("style", b"starry-night"))
        return post_form(self._path_of("multipart/form-data"), parts, "broken images")

    def _file(self) -> bytes:
        image = bytearray(small_image(self.chance.choice(("png", "jpeg", "webp"))))
        others = (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n", b"BM" + b"\0" * 60, b"II*\0" + b"\xff" * 60, b"",
            self.chance.randbytes(self.chance.randint(0, 5000)), b"GIF89a" + bytes(image),
        )  # fmt: skip
        match self.chance.randrange(8):
            case 0:
                return bytes(image[: self.chance.randrange(len(image))])
            case 1:
                for _ in range(self.chance.randint(1, 20)):
                    image[self.chance.randrange(len(image))] = self.chance.randrange(256)
                return bytes(image)
            case 2:
                return png_of(self.chance.choice((2**31 - 1, 100_000, 65_535, 0)), self.chance.choice((2**31 - 1, 100_000, 0)))
            case 3:  # several formats at once
                return bytes(image) + b"PK\x03\x04" + b"<script>alert(1)</script>" + small_image("webp")
            case 4:
                return with_chunk(small_image("png"), b"eXIf", self.chance.randbytes(200))
            case 5:
                return with_chunk(small_image("png"), b"iCCP", b"x\0\0" + zlib.compress(self.chance.randbytes(300)))
            case 6:
                return self.chance.choice(endless_files())
            case _:
                return self.chance.choice(others)

    def _broken_form(self) -> Malformed:
        path = self._path_of("multipart/form-data")
        good = part("image", small_image("png"), "a.png")
        end = b"--" + BOUNDARY
        url = end + b'\r\nContent-Disposition: form-data; name="image"\r\n\r\nhttp://127.0.0.1:1/a.png\r\n' + end + b"--\r\n"
        body = self.chance.choice((
            b"", end, good, good + end, end + b"--", good[: len(good) // 2], b"\r\n" * 1000, url, good * 1200 + end + b"--",
            good.replace(b"form-data", b"attachment"), good.replace(b'name="image"', b""), self.chance.randbytes(2000),
            good.replace(b'"image"', b'"' + b"i" * 9000 + b'"'), good.replace(b"\r\n\r\n", b"\r\n"),
        ))  # fmt: skip
        return post(path, f"multipart/form-data; boundary={BOUNDARY.decode()}", body, "broken forms")

    def _inference(self) -> Malformed:
        """A body of the Open Inference Protocol, with one or two wrong fields or bytes."""
        model, valid, data = self.chance.choice(INFERENCES)
        fields = json.loads(json.dumps(valid))
        inputs = fields["inputs"]
        for _ in range(self.chance.randint(0, 2)):
            field = self.chance.choice(("name", "datatype", "shape", "data", "parameters", "id", "inputs", "outputs"))
            value = self.chance.choice((*VALUES, [1], [1, 100], [2**31 - 1] * 4, "FP32", "BYTES", {"binary_data_size": 2**62}))
            target = fields if field in ("id", "inputs", "outputs") else self.chance.choice(inputs)
            target[field] = value
        if self.chance.random() < 0.3:
            fields["parameters"] = {self.chance.choice(("format", "max_side", "brush", "style")): self.chance.choice(VALUES)}
        head = json.dumps(fields).encode()
        if self.chance.random() < 0.3:
            data = data[: self.chance.randrange(len(data))] + self.chance.randbytes(self.chance.randint(0, 9))
        length = len(head) if self.chance.random() < 0.9 else self.chance.choice((0, 2, -1, 10**30))
        headers = {"Inference-Header-Content-Length": str(length)}
        body = head + data
        if self.chance.random() < 0.2:
            headers["Content-Encoding"] = self.chance.choice(("gzip", "deflate", "br"))
            body = self.chance.choice((zlib.compress(body), body, zlib.compress(bytes(50_000_000))))
        return request("POST", f"/v2/models/{model}/infer", headers, body, "broken tensors")

    def _route(self) -> Malformed:
        path = self.chance.choice(PATHS) % self.chance.choice(("", "a", "digits", "a" * 5000, "%2e%2e", "%0d%0aX: y", "*"))
        return request(self.chance.choice(METHODS), path, {}, b"", "strange routes and methods")

    def _typed(self) -> Malformed:
        path = self.chance.choice([*self._bodies, "/v1/models", "/"])
        body = self.chance.choice((b"", b"{}", small_image("png"), self.chance.randbytes(500)))
        return post(path, self.chance.choice(TYPES), body, "wrong content types")

    def _cut_off(self) -> Malformed:
        sent = self.next()
        return Malformed(sent.data[: max(1, self.chance.randrange(len(sent.data)))], "incomplete requests", whole=False)

    def _no_http(self) -> Malformed:
        start = b"POST /v1/sample HTTP/1.1\r\nHost: x\r\n"
        data = self.chance.choice((
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + self.chance.randbytes(200), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /\r\n\r\n", self.chance.randbytes(300) + b"\r\n\r\n", start + b"Content-Length: x\r\n\r\n",
            start + b"Content-Length: -5\r\n\r\n", start + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n",
            start + b": y\r\n\r\n", start + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            start + b"X: " + b"a" * 200_000 + b"\r\n\r\n", b"GET /livez HTTP/9.9\r\n\r\n", start + b"X: \x00\x01\r\n\r\n",
            b"GET " + b"/a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        ))  # fmt: skip
        return Malformed(data, "not HTTP", whole=False)

    def _path_of(self, content_type: str) -> str:
        return self.chance.choice([path for path, (taken, _) in self._bodies.items() if taken == content_type])


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    """One part of a multipart form."""
    file = b"" if filename is None else b'; filename="' + filename.encode() + b'"'
    head = b'Content-Disposition: form-data; name="' + name.encode() + b'"' + file
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + data + b"\r\n"


def post_form(path: str, parts: Sequence[bytes], kind: str) -> Malformed:
    """A POST request with a multipart form."""
    body = b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"
    return post(path, f"multipart/form-data; boundary={BOUNDARY.decode()}", body, kind)


def post(path: str, content_type: str, body: bytes, kind: str) -> Malformed:
    """A POST request with a body."""
    return request("POST", path, {"Content-Type": content_type}, body, kind)


def request(method: str, path: str, headers: Mapping[str, str], body: bytes, kind: str) -> Malformed:
    """A request as bytes, for one connection."""
    lines = {"Host": "fuzz", "Connection": "close", "Content-Length": str(len(body)), **headers}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    return Malformed(head.encode("latin-1") + body, kind)


@functools.cache
def small_image(image_format: str) -> bytes:
    """A valid image."""
    file = io.BytesIO()
    Image.radial_gradient("L").resize((40, 30)).convert("RGB").save(file, image_format)
    return file.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header states a size but which contains almost no data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0")) + _chunk(b"IEND", b"")


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with an additional chunk after its header."""
    return png[:33] + _chunk(kind, data) + png[33:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
