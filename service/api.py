"""Where BentoML and Ganvas meet: what a POST route and the service itself add to BentoML's own.

@bentoml.service(service_class=GanvasService)
class Ganvas:
    @post("/v1/sample", SampleRequest)
    async def sample(self, request: SampleRequest) -> Response: ...
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import bentoml
from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk.io_models import IORootModel
from _bentoml_sdk.method import APIMethod
from bentoml.validators import ContentType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from service.bodies import Body
from service.boundary import Boundary
from service.openapi import describe
from service.problems import Problem, TimedOut
from service.settings import settings

B = TypeVar("B", bound=Body)
Answer = Coroutine[Any, Any, Response]


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
            try:
                async with asyncio.timeout(settings().timeout_s) as deadline:
                    body = await reads.read(http)
                    return await _while_connected(http, method(self, body))
            except Problem as problem:
                return problem.response()
            except TimeoutError:
                if not deadline.expired():
                    raise
                return TimedOut(f"It took longer than {settings().timeout_s:g} seconds").response()
            except ClientDisconnect:
                return Response(status_code=499)  # nobody reads it; 499 is what proxies log for this

        return bentoml.api(route=route, input_spec=reads, output_spec=Pictures)(endpoint)

    return decorate


async def _while_connected(http: Request, work: Answer) -> Response:
    """Do the work unless the client hangs up first; then it is cancelled, and its jobs leave the queue."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_hung_up(http))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _hung_up(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


class GanvasService(bentoml.Service[Any]):
    """BentoML's service, within our `Boundary` and with our OpenAPI document."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """BentoML's application, bounded, with our deadline in place of BentoML's.

        BentoML's keeps a timer of every answered request until it would have run out, and never answers a request whose
        handler fails before its first byte.
        """
        self.inject_config()
        factory = ServiceAppFactory(self, is_main=is_main)
        factory.timeout = None
        return Boundary(factory(), settings().max_body_mb * 2**20)

    @property
    def openapi_spec(self) -> Any:
        """BentoML's OpenAPI document, completed."""
        return _Document(describe(super().openapi_spec.asdict()))


class _Document:
    """What BentoML's /docs.json calls `asdict` of."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def asdict(self) -> dict[str, Any]:
        return self._document
