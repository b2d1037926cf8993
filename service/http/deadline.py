"""Ends the work for a request when it takes too long or the client disconnects, and turns its errors into responses."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.engine.errors import RequestError
from service.engine.metrics import rejected
from service.http.problems import FAILED, Internal, Problem, TimedOut, problem_of
from service.settings import settings

logger = logging.getLogger("ganvas.service")

WATCH_AFTER_S = 0.02  # most requests are shorter, and watching costs a switch between threads

T = TypeVar("T")
PendingResponse = Coroutine[Any, Any, Response]


async def respond_in_time(route: str, work: PendingResponse) -> Response:
    """Return the response that `work` makes, or the problem document of its error.

    Args:
        route: the path, for the log.
        work: is cancelled when it takes longer than GANVAS_TIMEOUT_S.
    """
    try:
        async with asyncio.timeout(settings().timeout_s) as deadline:
            return await work
    except (Problem, RequestError) as error:
        return problem_of(error).response()
    except TimeoutError:
        if not deadline.expired():
            raise
        rejected("timed_out")
        return TimedOut(f"The request took longer than {settings().timeout_s:g} s.").response()
    except ClientDisconnect:
        return Response(status_code=499)  # the client does not get this response; proxies log 499 in this case
    except Exception:
        logger.exception("%s failed", route)
        return Internal(FAILED).response()


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Wait for `work`. When the client disconnects, cancel the work, so its jobs leave the queue.

    Raises:
        ClientDisconnect: the client has disconnected.
        QueueFull: the body was not read before, and too many uploads are in flight.
    """
    working = asyncio.ensure_future(work)
    leaving: asyncio.Future[None] | None = None
    try:
        await asyncio.wait({working}, timeout=WATCH_AFTER_S)
        if not working.done():
            leaving = asyncio.ensure_future(_disconnected(request))
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if leaving and not working.done():
            leaving.result()
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        if leaving:
            leaving.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
