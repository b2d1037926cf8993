"""The BentoML service: `bentoml serve service.app:Ganvas`, or better `python -m service`.

Every route is listed here. The work of each is in `service.routes`, one file per route.
"""

import asyncio

import bentoml
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

from ganvas import api
from ganvas.images import limit_pillow
from service.bento import GanvasService, post
from service.engine.errors import RequestError
from service.engine.models import models
from service.http.problems import Problem, problem_response
from service.routes import interpolate, pages, previews, sample, stylize
from service.routes import models as model_routes
from service.routes.schemas import InterpolateRequest, SampleRequest, StylizeRequest
from service.routes.threads import codec_threads
from service.routes.v2.routes import ROUTES as V2_ROUTES
from service.settings import settings

MOUNTED_ROUTES = Starlette(
    routes=[
        Route("/", pages.studio),
        Mount("/studio", pages.StudioFiles(directory=pages.STUDIO)),
        Route("/docs", pages.api_page),
        Route(api.MODELS, model_routes.list_models),
        Route(api.MODEL, model_routes.show_model),
        Route(api.PREVIEW, previews.show_preview),
        *V2_ROUTES,
    ],
    exception_handlers={Problem: problem_response, RequestError: problem_response},
)
"""Mounted into BentoML's application, whose own routes are POST only and have no parameters in their paths."""


@bentoml.asgi_app(MOUNTED_ROUTES, name="mounted_routes")
@bentoml.service(  # type: ignore[operator]  # mypy takes it for the module of this name
    name="ganvas",
    service_class=GanvasService,
    logging={"access": {"enabled": False}},
)
class Ganvas:
    """Images from generators and style networks."""

    def __init__(self) -> None:
        self.models = models()
        self.threads = codec_threads()
        limit_pillow(settings().max_pixels)

    @post(api.SAMPLE, SampleRequest)
    async def sample(self, request: SampleRequest) -> Response:
        """Make images from a seed, from several seeds or from latents: one image, a contact sheet, a zip, or an array."""
        return await sample.respond(request, self.models, self.threads)

    @post(api.INTERPOLATE, InterpolateRequest)
    async def interpolate(self, request: InterpolateRequest) -> Response:
        """Walk from image to image through the latents between them: an animation, a zip, or an array."""
        return await interpolate.respond(request, self.models, self.threads)

    @post(api.STYLIZE, StylizeRequest)
    async def stylize(self, request: StylizeRequest) -> Response:
        """Paint one or more images in a style, or in a blend of several styles."""
        return await stylize.respond(request, self.models, self.threads)

    @bentoml.on_startup
    async def start(self) -> None:
        """Follow the models folder while the service runs."""
        self.following = asyncio.create_task(self.models.follow(), name="models")

    @bentoml.on_shutdown
    async def close(self) -> None:
        """Stop the batchers and the threads. All accepted requests are answered by now."""
        self.following.cancel()
        await self.models.close()
        self.threads.close()
