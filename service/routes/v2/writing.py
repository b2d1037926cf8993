"""Writes the response of an inference request: JSON, then the bytes of the output if the request wants them there.

Blocking code, run in the codec threads.
"""

import base64
import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from starlette.responses import Response

from ganvas import api
from service.engine.arrays import Images, Pixels
from service.engine.codecs import ALPHA_ENCODE_BYTES, ENCODE_BYTES, encode
from service.engine.handlers.base import Handler
from service.http.compression import Coding, compress
from service.routes.v2.reading import Wanted
from service.routes.v2.schemas import BYTES, DATATYPES

Part = bytes | memoryview

TEXT_BYTES = 4  # of a number from 0 to 255 in JSON, with its comma
CHUNK = 2**14  # numbers that are written to JSON at a time: other threads get Python's lock in between
FILE_BYTES = 1024  # of an encoded image at most, besides one byte for each channel, at least three, of each pixel

_BYTES = [str(i) for i in range(256)]


def made_bytes(shape: Sequence[int], wanted: Wanted, *, compressed: bool) -> int:
    """The memory in bytes that a response takes at most, besides the output itself and `encode_bytes`.

    Args:
        shape: of the output, uint8 [n, h, w, c].
        wanted: how to return it.
        compressed: whether the body is compressed.
    """
    n, height, width, channels = shape
    if wanted.format:
        files = n * (height * width * max(channels, 3) + FILE_BYTES)
        body = files if wanted.binary else 4 * files // 3 + 4
        working = files if wanted.binary else files + body
    else:
        body = n * height * width * channels * (1 if wanted.binary else TEXT_BYTES)
        working = 0 if wanted.binary else body
    return working + body + (body if compressed else 0)


def encode_bytes(shape: Sequence[int], wanted: Wanted) -> int:
    """The memory in bytes that the encoding of one image, uint8 [h, w, c], takes. Images are encoded one by one."""
    height, width, channels = shape
    per_pixel = ALPHA_ENCODE_BYTES if channels == 4 else ENCODE_BYTES
    return height * width * per_pixel[wanted.format] if wanted.format else 0


def infer_response(
    arrays: Sequence[Images], wanted: Wanted, model: Handler, request_id: str | None, coding: Coding | None
) -> Response:
    """Respond with the output of a model.

    Args:
        arrays: uint8 [n, h, w, c] each; one after the other, they are the output. If it is encoded, their sizes may differ.
        wanted: how to return it.
        model: made the output.
        request_id: to return.
        coding: to compress the body with; None for none.
    """
    rows = sum(len(array) for array in arrays)
    if wanted.format:
        datatype, shape = BYTES, [rows]
        images = [image for array in arrays for image in array]
        parts = _encoded(images, wanted.format) if wanted.binary else _base64(images, wanted.format)
    else:
        datatype, shape = DATATYPES[model.card.output.dtype], [rows, *arrays[0].shape[1:]]
        flat = [np.ascontiguousarray(array).reshape(-1) for array in arrays]
        parts = [array.data for array in flat] if wanted.binary else [b",".join(_text(flat))]
    output: dict[str, Any] = {"name": model.card.output.name, "datatype": datatype, "shape": shape}
    head = {"model_name": model.card.name, "model_version": model.version}
    if request_id is not None:
        head["id"] = request_id
    headers = {api.MODEL_HEADER: f"{model.card.name}@{model.version}"}
    if wanted.binary:
        output["parameters"] = {"binary_data_size": sum(len(part) for part in parts)}
        written = json.dumps({**head, "outputs": [output]}).encode()
        body: list[Part] = [written, *parts]
        headers[api.JSON_LENGTH_HEADER] = str(len(written))
    else:
        before, _, after = json.dumps({**head, "outputs": [{**output, "data": []}]}).rpartition("[]")
        body = [before.encode(), b"[", *parts, b"]", after.encode()]
    if coding:
        headers["Content-Encoding"] = coding
    headers["Vary"] = "Accept-Encoding"
    media_type = "application/octet-stream" if wanted.binary else "application/json"
    return Response(compress(body, coding) if coding else b"".join(body), media_type=media_type, headers=headers)


def _encoded(images: Sequence[Pixels], image_format: str) -> list[Part]:
    """The elements of a tensor of type BYTES: the length of each file, and the file."""
    files = (encode(image, image_format) for image in images)
    return [part for file in files for part in (struct.pack("<I", len(file)), file)]


def _base64(images: Sequence[Pixels], image_format: str) -> list[Part]:
    """The strings of a list in JSON."""
    return [b",".join(b'"' + base64.b64encode(encode(image, image_format)) + b'"' for image in images)]


def _text(arrays: Sequence[Images]) -> Iterator[bytes]:
    """The numbers of flat arrays, with commas between them."""
    for array in arrays:
        for start in range(0, len(array), CHUNK):
            yield ",".join([_BYTES[value] for value in array[start : start + CHUNK].tolist()]).encode()
