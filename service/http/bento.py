"""Where BentoML and Ganvas meet: what a POST route and the service itself add to BentoML's own.

@bentoml.service(service_class=GanvasService)
class Ganvas:
    @post("/v1/sample", SampleRequest)
    async def sample(self, request: SampleRequest) -> Response: ...
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import bentoml
from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk.io_models import IORootModel
from _bentoml_sdk.method import APIMethod
from bentoml.validators import ContentType
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from ganvas.api import MODEL_HEADER, REQUEST_ID_HEADER, SEED_HEADER, SEEDS_HEADER
from service.engine.metrics import QUEUES
from service.engine.models import models
from service.http.api_keys import Keys
from service.http.deadline import Answer, in_time, while_connected
from service.http.middleware.auth import Admission
from service.http.middleware.limits import Boundary
from service.http.middleware.telemetry import Observer
from service.http.parsing import Body
from service.http.problems import Unavailable
from service.process.lifecycle import lifecycle
from service.routes.openapi import describe
from service.settings import Settings, settings

B = TypeVar("B", bound=Body)

SHOWN_HEADERS = (REQUEST_ID_HEADER, MODEL_HEADER, SEED_HEADER, SEEDS_HEADER, "Content-Disposition", "Retry-After")
"""What a page of another origin may read of an answer's head."""


class Pictures(IORootModel[Annotated[Path, ContentType("application/octet-stream")]]):
    """The answer of a POST route, for BentoML's own client: a file, which it saves and returns the path of."""


def post(route: str, reads: type[B]) -> Callable[[Callable[[Any, B], Answer]], APIMethod[[Request], Answer]]:
    """Make a method a BentoML API that gets a checked body, and whose problems are answered.

    The method is cancelled when it takes longer than GANVAS_TIMEOUT_S or the client hangs up.

    Args:
        route: the path.
        reads: the body's type, with the fields and their bounds.
    """

    def decorate(method: Callable[[Any, B], Answer]) -> APIMethod[[Request], Answer]:
        @functools.wraps(method)
        async def endpoint(self: object, http: Request) -> Response:
            async def read_and_answer() -> Response:
                body = await reads.read(http)
                return await while_connected(http, method(self, body))

            return await in_time(route, read_and_answer())

        return bentoml.api(route=route, input_spec=reads, output_spec=Pictures)(endpoint)

    return decorate


class _AppFactory(ServiceAppFactory):
    """BentoML's application with health checks that tell the truth, and without the layers that ours take the place of.

    BentoML's metrics grow with every path that is asked for, and its tracing costs time, sampled or not. Its deadline keeps a
    timer of every answered request until it would have run out, and never answers a request whose handler fails before its
    first byte; ours is in `post`.
    """

    @property
    def middlewares(self) -> list[Middleware]:
        """None: ours lie around the whole application."""
        return []

    async def api_endpoint_wrapper(self, name: str, request: Request) -> Response:
        """Call a method of the service with the request, as `post` made it; BentoML would inspect its signature each time."""
        try:
            answer: Response = await self.service.apis[name].func(self._service_instance, request)
        finally:
            await request.close()  # with the files of a form
        return answer

    async def livez(self, _: Request) -> Response:
        """Whether this process should go on: it fails where a device does not come back from a batch."""
        _raise_if_hung()
        return PlainTextResponse("\n")

    async def readyz(self, _: Request) -> Response:
        """Whether new requests are welcome."""
        if lifecycle().draining:
            raise Unavailable("The service is shutting down")
        _raise_if_hung()
        if not models().all():
            raise Unavailable("No model is served: the models folder holds none that loads; /v1/models says why")
        return PlainTextResponse("\n")

    async def metrics(self, _: Request) -> Response:  # type: ignore[override]  # either, to BentoML
        """What is counted, for Prometheus: this process's or, where BentoML runs several, all workers'."""
        registry = REGISTRY
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            registry.register(QUEUES)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _raise_if_hung() -> None:
    if hung := models().hung():
        raise Unavailable(f"The device has not come back from a batch of {hung} for {settings().hang_s:g} seconds")


class GanvasService(bentoml.Service[Any]):
    """BentoML's service, within our own layers and with our OpenAPI document."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """BentoML's application, within what observes, admits and bounds requests."""
        self.inject_config()
        factory = _AppFactory(self, is_main=is_main, enable_metrics=False)
        factory.timeout = None
        app = factory()
        chosen = settings()
        return Observer(_guarded(app, chosen), lifecycle(), app.routes, access_log=chosen.access_log)

    @property
    def openapi_spec(self) -> Any:
        """BentoML's OpenAPI document, completed."""
        return _Document(describe(super().openapi_spec.asdict()))


def _guarded(app: ASGIApp, chosen: Settings) -> ASGIApp:
    bounded = Boundary(app, chosen.max_body_mb * 2**20, chosen.max_uploads_mb * 2**20)
    admitted = Admission(bounded, lifecycle(), Keys(chosen.api_keys_file) if chosen.api_keys_file else None)
    if not chosen.origins:
        return admitted
    return CORSMiddleware(
        admitted, chosen.origins, allow_methods=["GET", "POST"], allow_headers=["*"], expose_headers=SHOWN_HEADERS
    )


class _Document:
    """What BentoML's /docs.json calls `asdict` of."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def asdict(self) -> dict[str, Any]:
        return self._document
