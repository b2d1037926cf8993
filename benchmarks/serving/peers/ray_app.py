"""Ray Serve with its batching: python ray_app.py MODEL WORKLOAD THREADS PORT."""

import sys
import time

import numpy as np
import ray
from model import Model, decode, encode
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

STYLING = sys.argv[2] == "stylize"


@serve.deployment(max_ongoing_requests=64)
class Images:
    def __init__(self, path: str, threads: int, styling: bool) -> None:
        self.model, self.styling = Model(path, threads), styling

    @serve.batch(max_batch_size=4 if STYLING else 32, batch_wait_timeout_s=0.002)
    async def run(self, inputs: list) -> list:
        made = (self.model.stylize if self.styling else self.model.sample)(np.concatenate(inputs))
        return np.split(made, np.cumsum([len(rows) for rows in inputs])[:-1])

    async def __call__(self, request: Request) -> Response:
        if self.styling:
            return Response(encode(await self.run(decode(await request.body())), "jpeg"))
        fields = await request.json()
        return Response(encode(await self.run(self.model.latents(fields)), fields["format"]))


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[4])})
    serve.run(Images.bind(sys.argv[1], int(sys.argv[3]), STYLING), route_prefix="/")
    while True:
        time.sleep(60)
