"""A plain BentoML API, as in its tutorial: python bentoml_app.py MODEL WORKLOAD THREADS PORT."""

import os
import sys
from pathlib import Path

import bentoml
import numpy as np
from model import Model
from PIL import Image


@bentoml.service(traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Images:
    def __init__(self) -> None:
        self.model = Model(os.environ["PEER_MODEL"], int(os.environ["PEER_THREADS"]))

    @bentoml.api(route="/v1/sample")
    def sample(self, model: str, n: int, seed: int, format: str) -> Image.Image:
        return Image.fromarray(self.model.sample(self.model.latents({"n": n, "seed": seed}))[0])

    @bentoml.api(route="/v1/stylize")
    def stylize(self, image: Image.Image) -> Image.Image:
        return Image.fromarray(self.model.stylize(np.asarray(image.convert("RGB"))[None])[0])


if __name__ == "__main__":
    os.environ |= {"PEER_MODEL": sys.argv[1], "PEER_THREADS": sys.argv[3], "BENTOML_DO_NOT_TRACK": "True"}
    os.chdir(Path(__file__).parent)
    command = ["bentoml", "serve", "bentoml_app:Images", "--port", sys.argv[4], "--host", "127.0.0.1"]
    os.execv(Path(sys.executable).with_name("bentoml"), command)  # noqa: S606
