"""POST /v2/models/NAME/infer: a model's own tensors in and out, or encoded images in and out."""

import functools
import math
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from ganvas import api
from service.engine.arrays import Images
from service.engine.codecs import OpenUpload
from service.engine.decoding import Cost
from service.engine.errors import InvalidValueError
from service.engine.handlers.base import Handler, TakesUploads, Unfinished
from service.http.compression import Coding, coding_of, decompress, decompress_bytes, wanted_coding
from service.http.deadline import cancel_on_disconnect, respond_in_time
from service.http.parsing import parse_json
from service.http.problems import TooLarge
from service.routes.threads import CodecThreads, codec_threads
from service.routes.v2.models import served
from service.routes.v2.reading import Asked, Wanted, json_length, max_body, read_request
from service.routes.v2.writing import encode_bytes, infer_response, made_bytes


async def infer(request: Request) -> Response:
    """Run a model."""

    async def respond() -> Response:
        model, threads = served(request), codec_threads()
        wanted = wanted_coding(request.headers)
        with ExitStack() as held:
            return await cancel_on_disconnect(
                request, _respond(model, await _read(request, model, threads, held), request, threads, wanted)
            )

    return await respond_in_time(f"{api.V2_MODEL}/infer", respond())


async def _read(request: Request, model: Handler, threads: CodecThreads, held: ExitStack) -> bytes | bytearray:
    """Read and decompress the body. What it takes then, beside the memory of bodies, is held until the response is made."""
    coding, limit = coding_of(request.headers), max_body(model)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"The body is larger than the limit of {limit} bytes for {model.card.name}.")
    if coding is None:
        return body
    memory = held.enter_context(threads.memory.reserve([decompress_bytes(len(body), limit)], model.card.name))
    result = await threads.unpack(functools.partial(decompress, bytes(body), coding, limit), memory)
    memory.shrink(len(result))
    return result


async def _respond(
    model: Handler, body: bytes | bytearray, request: Request, threads: CodecThreads, coding: Coding | None
) -> Response:
    length = json_length(request.headers, len(body))
    asked = await parse_json(functools.partial(read_request, body, length, model), length)
    del body  # the tensors that share its memory keep it
    if asked.files and model.uploads:
        return await _run_uploads(model, model.uploads, asked, threads, coding)
    return await _run_tensors(model, asked, threads, coding)


async def _run_tensors(model: Handler, asked: Asked, threads: CodecThreads, coding: Coding | None) -> Response:
    """Run the model on its own tensors. They are made and returned as they are, so the response takes no more than they."""
    shape = model.card.output.sizes(asked.sizes)
    taken = sum(array.nbytes for array in asked.feeds.values())
    made = math.prod(shape) + made_bytes(shape, asked.wanted, compressed=coding is not None)
    needed = taken + made + encode_bytes(shape[1:], asked.wanted)
    with (
        model.reserve_rows(asked.sizes) as reservation,
        threads.memory.reserve([needed], model.card.name) as memory,
    ):
        arrays = await model.run_rows(reservation, asked.feeds, asked.sizes)
        return await threads.encode(lambda: infer_response(arrays, asked.wanted, model, asked.id, coding), memory)


async def _run_uploads(
    model: Handler, uploads: TakesUploads, asked: Asked, threads: CodecThreads, coding: Coding | None
) -> Response:
    """Run the model on encoded images, as /v1/stylize does: space and memory are reserved from what their headers state."""
    opened = await threads.open_uploads(asked.files, asked.max_side)
    asked.files.clear()
    sizes = [(upload.height, upload.width) for upload in opened]
    if not asked.wanted.format and len(set(sizes)) > 1:
        raise _differing(uploads)
    costs = [_cost(upload, uploads, asked, compressed=coding is not None) for upload in opened]
    with uploads.reserve(sizes, asked.brush) as reservation, threads.reserve(costs, model.card.name) as memory:
        made = await uploads.run_uploads(
            reservation,
            await threads.decode(lambda image: uploads.prepare(image, asked.brush), opened, costs, memory),
            asked.feeds,
        )

        def encode() -> Response:
            return infer_response(_finished(made, asked.wanted, uploads), asked.wanted, model, asked.id, coding)

        return await threads.encode(encode, memory)


def _cost(upload: OpenUpload, uploads: TakesUploads, asked: Asked, *, compressed: bool) -> Cost:
    """The memory of one image."""
    runs = uploads.memory(upload.height, upload.width, asked.brush)
    shape = upload.height, upload.width, 3
    encode = encode_bytes(shape, asked.wanted)
    made = made_bytes((1, *shape), asked.wanted, compressed=compressed)
    return Cost(max(upload.decode_bytes, runs.decode), runs.kept + made, max(encode, runs.encode))


def _finished(made: Sequence[Unfinished], wanted: Wanted, uploads: TakesUploads) -> list[Images]:
    """Bring images to their final sizes, [1, h, w, 3] each. Blocks."""
    arrays = [image.finish()[np.newaxis] for image in made]
    # The header of a large JPEG states the size of what is decoded only within a pixel.
    if not wanted.format and len({array.shape for array in arrays}) > 1:
        raise _differing(uploads)
    return arrays


def _differing(uploads: TakesUploads) -> InvalidValueError:
    ask = 'one tensor cannot hold them. Send one image per request, or ask for the parameter "format": "png"'
    return InvalidValueError(uploads.upload_input, f"The images have different sizes, so {ask}")
