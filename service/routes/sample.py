"""POST /v1/sample: images from a seed, from several seeds, or from latents."""

import numpy as np
from starlette.responses import Response

from service.engine.arrays import Floats, Integers
from service.engine.classes import class_names, parse_classes
from service.engine.codecs import ALPHA_ENCODE_BYTES, ENCODE_BYTES
from service.engine.errors import InvalidValueError
from service.engine.handlers.generator import Generator
from service.engine.latents import first_of_each, latents_of_seed, random_seed
from service.engine.models import Models, Wanted
from service.http.problems import Invalid
from service.routes.responses import sample_response
from service.routes.schemas import InterpolateRequest, SampleRequest
from service.routes.threads import CodecThreads


async def respond(request: SampleRequest, models: Models, threads: CodecThreads) -> Response:
    """Make the images of a sample request."""
    generator, classes = find_generator(request, models, request.count)
    size = generator.card.latent_size
    seed = None
    if request.latents is not None:
        latents = parse_latents(request.latents, size)
    elif request.seeds is not None:
        latents = first_of_each(request.seeds, size)
    else:
        seed = random_seed() if request.seed is None else request.seed
        latents = latents_of_seed(seed, request.count, size)
    encode_bytes = ALPHA_ENCODE_BYTES if generator.card.channels == 4 else ENCODE_BYTES
    needed = generator.response_bytes(request.count, encode_bytes.get(request.format, 0))
    with (
        generator.reserve(request.count) as reservation,
        threads.memory.reserve([needed], generator.card.name) as memory,
    ):
        images = await generator.sample(reservation, latents, request.truncation, classes)

        def encode() -> Response:
            return sample_response(images, request.format, generator, seed, request.seeds, class_=request.class_)

        return await threads.encode(encode, memory)


def find_generator(request: SampleRequest | InterpolateRequest, models: Models, rows: int) -> tuple[Generator, Integers | None]:
    """The generator of a request, and the class of each row, int64 [rows]; None if the latents choose the classes.

    Raises:
        NotFoundError, NoModelError, InvalidValueError: as `Models.find` and `parse_classes`.
    """

    def unknown(message: str) -> InvalidValueError:
        return InvalidValueError("class", message.removesuffix("."))

    wanted = Wanted[Generator]("class", class_names(request.class_), Generator.class_names, unknown)
    generator = models.find(Generator, request.model, wanted)
    return generator, parse_classes(request.class_, generator.class_names(), rows)


def parse_latents(rows: list[list[float]], size: int) -> Floats:
    """Turn the latents of a request into float32 [n, size].

    Raises:
        Invalid: a row does not have `size` numbers.
    """
    wrong = [(i, len(row)) for i, row in enumerate(rows) if len(row) != size]
    if wrong:
        raise Invalid((f"latents[{i}]", f"Must have {size} numbers, not {length}") for i, length in wrong)
    return np.array(rows, np.float32)
