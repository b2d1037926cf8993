"""Where BentoML and Ganvas meet: POST routes as BentoML APIs, and the application with its middleware.

@bentoml.service(service_class=GanvasService)
class Ganvas:
    @post("/v1/sample", SampleRequest)
    async def sample(self, request: SampleRequest) -> Response: ...
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import bentoml
from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk.io_models import IORootModel
from _bentoml_sdk.method import APIMethod
from bentoml.validators import ContentType
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount
from starlette.types import ASGIApp

from ganvas.api import JSON_LENGTH_HEADER, MODEL_HEADER, REQUEST_ID_HEADER, SEED_HEADER, SEEDS_HEADER
from service.http.api_keys import ApiKeys
from service.http.deadline import PendingResponse, cancel_on_disconnect, respond_in_time
from service.http.exposition import Exposition
from service.http.json_response import JsonResponse
from service.http.lifecycle import lifecycle
from service.http.middleware.auth import Authentication
from service.http.middleware.limits import RequestLimits
from service.http.middleware.telemetry import Telemetry
from service.http.parsing import RequestBody
from service.http.v2_errors import V2Errors
from service.routes.health import raise_if_hung, raise_unless_ready
from service.routes.openapi import complete
from service.settings import Settings, settings

B = TypeVar("B", bound=RequestBody)

EXPOSED_HEADERS = (
    REQUEST_ID_HEADER, MODEL_HEADER, SEED_HEADER, SEEDS_HEADER, JSON_LENGTH_HEADER, "Content-Disposition", "Retry-After",
)  # fmt: skip
"""Response headers that a page of another origin may read."""

BENTOML_PAGES = ("index", "static_content")
"""Names of the routes that BentoML would show its own page with."""


class ImageFile(IORootModel[Annotated[Path, ContentType("application/octet-stream")]]):
    """The response of a POST route as BentoML's own client sees it: a file, which the client saves; it returns the path."""


def post(
    route: str, body_type: type[B]
) -> Callable[[Callable[[Any, B], PendingResponse]], APIMethod[[Request], PendingResponse]]:
    """Make a method a BentoML API. It gets a validated body, and what it raises becomes a problem document.

    The method is cancelled when it takes longer than GANVAS_TIMEOUT_S or when the client disconnects.

    Args:
        route: the path.
        body_type: the fields of the body with their bounds.
    """

    def decorate(method: Callable[[Any, B], PendingResponse]) -> APIMethod[[Request], PendingResponse]:
        @functools.wraps(method)
        async def endpoint(self: object, request: Request) -> Response:
            async def respond() -> Response:
                body = await body_type.read(request)
                return await cancel_on_disconnect(request, method(self, body))

            return await respond_in_time(route, respond())

        return bentoml.api(route=route, input_spec=body_type, output_spec=ImageFile)(endpoint)

    return decorate


class GanvasService(bentoml.Service[Any]):
    """BentoML's service with Ganvas's middleware and OpenAPI document."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Build the application that the server runs."""
        self.inject_config()
        factory = _AppFactory(self, is_main=is_main, enable_metrics=False)
        factory.timeout = None
        app = factory()
        _disable_redirects(app)
        return _with_middleware(app, settings())

    @functools.cached_property
    def openapi_spec(self) -> Any:
        """BentoML's OpenAPI document, completed. It is made once: that takes tens of milliseconds on the event loop."""
        return _Document(complete(super().openapi_spec.asdict()))


def _with_middleware(app: Starlette, settings: Settings) -> ASGIApp:
    """Wrap BentoML's application in the middleware. Its order is decided here and nowhere else."""
    outside_in = [Middleware(Telemetry, lifecycle=lifecycle(), routes=app.routes, access_log=settings.access_log)]
    outside_in.append(Middleware(V2Errors))
    if settings.cors_origins:
        # Outside of authentication: a browser's preflight request carries no key, and a page may read why its key was rejected.
        outside_in.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=EXPOSED_HEADERS,
            )
        )
    keys = ApiKeys(settings.api_keys_file) if settings.api_keys_file else None
    outside_in.append(Middleware(Authentication, lifecycle=lifecycle(), keys=keys, proxies=settings.trusted_proxies))
    limits = {"max_body": settings.max_body_mb * 2**20, "max_held": settings.max_uploads_mb * 2**20}
    outside_in.append(Middleware(RequestLimits, **limits))
    wrapped: ASGIApp = app
    for middleware, args, kwargs in reversed(outside_in):
        wrapped = middleware(wrapped, *args, **kwargs)
    return wrapped


def _disable_redirects(app: Starlette) -> None:
    """Answer a path with a trailing slash with 404.

    Starlette would redirect to an absolute URL, but behind a proxy it knows neither the scheme nor the prefix that callers use.
    """
    app.router.redirect_slashes = False
    for route in app.routes:
        if isinstance(route, Mount) and isinstance(route.app, Starlette):
            _disable_redirects(route.app)


class _AppFactory(ServiceAppFactory):
    """BentoML's application with health checks of its own, and without the layers that Ganvas replaces.

    BentoML's metrics grow with every path that is requested, and its tracing costs time even when nothing is sampled. Its
    time-out keeps a timer for every finished request until the time would have run out, and never responds to a request
    whose handler fails before the first byte. `post` has its own time-out.
    """

    @functools.cached_property
    def _exposition(self) -> Exposition:
        return Exposition()

    def __call__(self) -> Starlette:
        """Build the application without BentoML's own page and its copy of Swagger UI."""
        app = super().__call__()
        app.router.routes[:] = [route for route in app.routes if getattr(route, "name", "") not in BENTOML_PAGES]
        return app

    @property
    def middlewares(self) -> list[Middleware]:
        """None: `_with_middleware` wraps the whole application."""
        return []

    async def api_endpoint_wrapper(self, name: str, request: Request) -> Response:
        """Call a method that `post` made. BentoML would inspect its signature at each request."""
        try:
            response: Response = await self.service.apis[name].func(self._service_instance, request)
        finally:
            await request.close()  # and the files of its form
        return response

    async def livez(self, _: Request) -> Response:
        """Whether this process works."""
        raise_if_hung()
        return PlainTextResponse("\n")

    async def readyz(self, _: Request) -> Response:
        """Whether the service accepts requests."""
        raise_unless_ready()
        return PlainTextResponse("\n")

    async def openapi_spec_view(self, _: Request) -> Response:
        """The OpenAPI document."""
        return JsonResponse(self.service.openapi_spec.asdict())

    async def metrics(self, _: Request) -> Response:  # type: ignore[override]  # BentoML allows both
        """Prometheus metrics."""
        return Response(await self._exposition.text(), media_type=CONTENT_TYPE_LATEST)


class _Document:
    """An OpenAPI document with the one method that BentoML's /docs.json calls."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def asdict(self) -> dict[str, Any]:
        return self._document
