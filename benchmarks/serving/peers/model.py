"""The exported model and the codecs for all other servers. Runs in their environments, without Ganvas."""

import io

import numpy as np
import onnxruntime
from PIL import Image


class Model:
    """An exported model; one call runs one batch."""

    def __init__(self, path: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        shapes = {each.name: each.shape for each in self.session.get_inputs()}
        self.width = (shapes.get("latents") or shapes["styles"])[1]

    def latents(self, fields: dict) -> np.ndarray:
        """Float32 [n, d] from n and seed of a request."""
        return np.random.default_rng(fields["seed"]).standard_normal((fields["n"], self.width), dtype=np.float32)

    def sample(self, latents: np.ndarray) -> np.ndarray:
        """Float32 [n, d] -> uint8 [n, h, w, c]."""
        return self.session.run(None, {"latents": latents})[0]

    def stylize(self, images: np.ndarray) -> np.ndarray:
        """Uint8 [n, h, w, 3] -> the same in the first style."""
        styles = np.zeros((len(images), self.width), np.float32)
        styles[:, 0] = 1
        ones = np.ones(len(images), np.float32)
        feeds = {"images": images, "styles": styles, "strength": ones, "keep_color": 0 * ones}
        return self.session.run(None, feeds)[0]


def decode(data: bytes) -> np.ndarray:
    """A JPEG of 512 x 512 -> uint8 [1, h, w, 3]."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[None]


def encode(images: np.ndarray, image_format: str) -> bytes:
    """Encode all images as npy, or the first one as png or jpeg."""
    file = io.BytesIO()
    if image_format == "npy":
        np.save(file, images)
    else:
        Image.fromarray(images[0]).save(file, image_format)
    return file.getvalue()
