"""LitServe with its batching: python litserve_app.py MODEL WORKLOAD THREADS PORT."""

import sys

import litserve
import numpy as np
from fastapi import Request, Response
from model import Model, decode, encode


class Sample(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = Model(sys.argv[1], int(sys.argv[3]))

    def decode_request(self, request: dict) -> tuple:
        return self.model.latents(request), request["format"]

    def batch(self, inputs: list) -> list:
        return inputs

    def predict(self, inputs: list) -> list:
        made = self.model.sample(np.concatenate([latents for latents, _ in inputs]))
        ends = np.cumsum([len(latents) for latents, _ in inputs])[:-1]
        return [(images, kind) for images, (_, kind) in zip(np.split(made, ends), inputs, strict=True)]

    def unbatch(self, output: list) -> list:
        return output

    def encode_response(self, output: tuple) -> Response:
        return Response(encode(*output))


class Stylize(Sample):
    def decode_request(self, request: Request) -> np.ndarray:
        return decode(request["image"].file.read())

    def predict(self, inputs: list) -> list:
        return [(image[None], "jpeg") for image in self.model.stylize(np.concatenate(inputs))]


if __name__ == "__main__":
    styling = sys.argv[2] == "stylize"
    api = (Stylize if styling else Sample)(
        max_batch_size=4 if styling else 32, batch_timeout=0.002, api_path="/v1/stylize" if styling else "/v1/sample"
    )
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[4]), generate_client_file=False, log_level="error")
