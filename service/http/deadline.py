"""Work for one request: it ends when it takes too long or nobody waits for it, and its problems become answers."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.engine.errors import RequestError
from service.engine.metrics import rejected
from service.http.problems import Internal, Problem, TimedOut, problem_of
from service.settings import settings

logger = logging.getLogger("ganvas.service")

T = TypeVar("T")
Answer = Coroutine[Any, Any, Response]


async def in_time(route: str, work: Answer) -> Response:
    """Give the answer that is being worked on, or what kept it from being made within GANVAS_TIMEOUT_S.

    Args:
        route: the path, for the log.
        work: makes the answer; it is cancelled when it takes too long.
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
        return TimedOut(f"It took longer than {settings().timeout_s:g} seconds").response()
    except ClientDisconnect:
        return Response(status_code=499)  # nobody reads it; 499 is what proxies log for this
    except Exception:
        logger.exception("%s failed", route)
        return Internal("The service failed; its log says why").response()


async def while_connected(http: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do the work unless the client hangs up first; then it is cancelled, and its jobs leave the queue.

    Raises:
        ClientDisconnect: the client has hung up.
        QueueFull: too much is in hand, where the request's body was not read before.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_hung_up(http))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            leaving.result()
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _hung_up(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
