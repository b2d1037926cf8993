"""The BentoML service: `bentoml serve service.app:Ganvas`, or better `python -m service`.

Endpoint methods stay thin: the body's type validates, the engine works, an answer is built.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import bentoml
import numpy as np
import numpy.typing as npt
from starlette.responses import Response

from ganvas import api
from ganvas.images import limit_pillow
from service.engine.blends import parse_blend
from service.engine.codecs import Header, decode, header_of
from service.engine.decoding import Decoders
from service.engine.handlers.generator import Generator
from service.engine.handlers.stylizer import Stylizer
from service.engine.latents import first_of_each, interpolate, latents_of_seed, random_seed
from service.engine.models import models
from service.http.bento import GanvasService, post
from service.http.parsing import Upload
from service.http.problems import Invalid
from service.routes import models as catalogue
from service.routes import responses as answers
from service.routes.schemas import InterpolateRequest, SampleRequest, StylizeRequest
from service.settings import settings

P = ParamSpec("P")
T = TypeVar("T")


@bentoml.asgi_app(catalogue.app, name="catalogue")
@bentoml.service(  # type: ignore[operator]  # to mypy the module of this name
    name="ganvas",
    service_class=GanvasService,
    logging={"access": {"enabled": False}},
)
class Ganvas:
    """Pictures from generators and style networks."""

    def __init__(self) -> None:
        self.models = models()
        self.codecs = ThreadPoolExecutor(settings().codec_threads, thread_name_prefix="codec")
        self.decoders = Decoders(self.codecs, settings().max_decode_pixels)
        self.headers = ThreadPoolExecutor(1, thread_name_prefix="header")  # whoever is refused does not wait for pictures
        limit_pillow(settings().max_pixels)

    @post(api.SAMPLE, SampleRequest)
    async def sample(self, request: SampleRequest) -> Response:
        """Make pictures from a seed, from several or from latents: one, a contact sheet, a zip, or an array."""
        generator = self.models.find(Generator, request.model)
        size = generator.card.latent_size
        seed = None
        if request.latents is not None:
            latents = rows_of(request.latents, size)
        elif request.seeds is not None:
            latents = first_of_each(request.seeds, size)
        else:
            seed = random_seed() if request.seed is None else request.seed
            latents = latents_of_seed(seed, request.n, size)
        with generator.reserve(request.pictures) as reservation:
            images = await generator.sample(reservation, latents * np.float32(request.truncation))
            return await self._in_thread(answers.sampled, images, request.format, generator, seed, request.seeds)

    @post(api.INTERPOLATE, InterpolateRequest)
    async def interpolate(self, request: InterpolateRequest) -> Response:
        """Walk from picture to picture through the latents between them: an animation, a zip, or an array."""
        generator = self.models.find(Generator, request.model)
        size = generator.card.latent_size
        if request.latents is None:
            seeds = request.seeds or [random_seed() for _ in range(request.keys)]
            keys = first_of_each(seeds, size)
        else:
            seeds = []
            keys = rows_of(request.latents, size)
        latents = interpolate(keys, request.steps, loop=request.loop)
        with generator.reserve(min(len(latents), generator.max_batch)) as reservation:
            frames = await generator.walk(reservation, latents * np.float32(request.truncation))
            return await self._in_thread(answers.interpolated, frames, request.format, request.fps, generator, seeds)

    @post(api.STYLIZE, StylizeRequest)
    async def stylize(self, request: StylizeRequest) -> Response:
        """Restyle one or more pictures in a painter's manner, or in a blend of several."""
        stylizer = self.models.find(Stylizer, request.model)
        weights = parse_blend(request.style, [style.name for style in stylizer.card.styles])
        limits = {"max_pixels": settings().max_pixels, "max_side": request.max_side}
        headers = await asyncio.get_running_loop().run_in_executor(self.headers, _headers_of, request.image, limits)
        with stylizer.reserve([(header.height, header.width) for header in headers]) as reservation:
            photos = await self.decoders.each(
                lambda image: decode(image.data, name=image.name, **limits),
                request.image,
                [header.pixels for header in headers],
                model=stylizer.card.name,
            )
            pictures = await stylizer.stylize(reservation, photos, weights, request.strength, request.keep_color)
            names = [image.name for image in request.image]
            return await self._in_thread(answers.stylized, pictures, names, request.format, stylizer)

    @bentoml.on_startup
    async def follow(self) -> None:
        """Follow the models folder while the service runs."""
        self.following = asyncio.create_task(self.models.follow(), name="models")

    @bentoml.on_shutdown
    async def close(self) -> None:
        """End the batchers and the threads. The accepted requests are answered by now."""
        self.following.cancel()
        await self.models.close()
        for threads in (self.codecs, self.headers):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.codecs, lambda: work(*args, **kwargs))


def _headers_of(uploads: list[Upload], limits: dict[str, int]) -> list[Header]:
    return [header_of(upload.data, name=upload.name, **limits) for upload in uploads]


def rows_of(latents: list[list[float]], size: int) -> npt.NDArray[np.float32]:
    """Turn a request's latents into float32 [n, size].

    Raises:
        Invalid: a row of another length.
    """
    wrong = [(i, len(row)) for i, row in enumerate(latents) if len(row) != size]
    if wrong:
        raise Invalid((f"latents[{i}]", f"Must have {size} numbers, not {length}") for i, length in wrong)
    return np.array(latents, np.float32)
