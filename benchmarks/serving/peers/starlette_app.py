"""Starlette with a thread pool and without batching: python starlette_app.py MODEL WORKLOAD THREADS PORT."""

import sys

import uvicorn
from model import Model, decode, encode
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

model = Model(sys.argv[1], int(sys.argv[3]))


async def sample(request: Request) -> Response:
    fields = await request.json()
    work = lambda: encode(model.sample(model.latents(fields)), fields["format"])  # noqa: E731
    return Response(await run_in_threadpool(work))


async def stylize(request: Request) -> Response:
    data = await request.body()
    return Response(await run_in_threadpool(lambda: encode(model.stylize(decode(data)), "jpeg")))


app = Starlette(routes=[Route("/v1/sample", sample, methods=["POST"]), Route("/v1/stylize", stylize, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[4]), log_level="error", access_log=False)
