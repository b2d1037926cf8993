"""POST /v1/interpolate: the frames from image to image, through the latents between them."""

from starlette.responses import Response

from ganvas.interpolation import interpolate
from service.engine.classes import walk_in_classes
from service.engine.latents import first_of_each, random_seed
from service.engine.models import Models
from service.routes.responses import interpolate_response
from service.routes.sample import find_generator, parse_latents
from service.routes.schemas import InterpolateRequest
from service.routes.threads import CodecThreads


async def respond(request: InterpolateRequest, models: Models, threads: CodecThreads) -> Response:
    """Make the frames of an interpolate request, from key to key."""
    generator, classes = find_generator(request, models, request.key_count)
    size = generator.card.latent_size
    if request.latents is None:
        seeds = request.seeds or [random_seed() for _ in range(request.key_count)]
        keys = first_of_each(seeds, size)
    else:
        seeds = []
        keys = parse_latents(request.latents, size)
    if classes is None:
        latents = interpolate(keys, request.steps, loop=request.loop)
    else:
        count = len(generator.class_names())
        latents, classes = walk_in_classes(keys, classes, count, request.steps, loop=request.loop)
    with (
        generator.reserve(min(len(latents), generator.max_batch)) as reservation,
        threads.memory.reserve([generator.response_bytes(len(latents))], generator.card.name) as memory,
    ):
        frames = await generator.walk(reservation, latents, request.truncation, classes)

        def encode() -> Response:
            return interpolate_response(frames, request.format, request.fps, generator, seeds, class_=request.class_)

        return await threads.encode(encode, memory)
