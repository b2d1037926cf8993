"""POST /v1/sample: images from a seed, from several seeds, or from latents."""

import numpy as np
from starlette.responses import Response

from service.engine.arrays import Floats
from service.engine.codecs import ENCODE_BYTES
from service.engine.handlers.generator import Generator
from service.engine.latents import first_of_each, latents_of_seed, random_seed
from service.engine.models import Models
from service.http.problems import Invalid
from service.routes.responses import sample_response
from service.routes.schemas import SampleRequest
from service.routes.threads import CodecThreads


async def respond(request: SampleRequest, models: Models, threads: CodecThreads) -> Response:
    """Make the images of a sample request."""
    generator = models.find(Generator, request.model)
    size = generator.card.latent_size
    seed = None
    if request.latents is not None:
        latents = parse_latents(request.latents, size)
    elif request.seeds is not None:
        latents = first_of_each(request.seeds, size)
    else:
        seed = random_seed() if request.seed is None else request.seed
        latents = latents_of_seed(seed, request.n, size)
    needed = generator.response_bytes(request.count, ENCODE_BYTES.get(request.format, 0))
    with (
        generator.reserve(request.count) as reservation,
        threads.memory.reserve([needed], generator.card.name) as memory,
    ):
        images = await generator.sample(reservation, latents, request.truncation)
        return await threads.encode(lambda: sample_response(images, request.format, generator, seed, request.seeds), memory)


def parse_latents(rows: list[list[float]], size: int) -> Floats:
    """Turn the latents of a request into float32 [n, size].

    Raises:
        Invalid: a row does not have `size` numbers.
    """
    wrong = [(i, len(row)) for i, row in enumerate(rows) if len(row) != size]
    if wrong:
        raise Invalid((f"latents[{i}]", f"Must have {size} numbers, not {length}") for i, length in wrong)
    return np.array(rows, np.float32)
