"""A walk through latent space: an animation in which images melt into each other and return to the first image.

If the generator has learned the data rather than single images, every image on the way is good (Radford et al. 2016, section
6.1). `ganvas.interpolation` makes the latents between two images, as it does for the service.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ganvas.files import write_whole
from ganvas.interpolation import interpolate
from training.gan.images import images_of
from training.images import grid
from training.random import Stream, numpy_rng

_COLUMNS = 4
_FRAME = 40  # milliseconds; 25 frames/s
_SIDE = 128  # pixels; larger images would make a file of many megabytes
_ROWS = 100


def latent_walk(
    generator: nn.Module,
    latent_size: int,
    seed: int,
    device: torch.device,
    stops: int = 6,
    frames_between: int = 16,
    walks: int = 8,
) -> list[Image.Image]:
    """Several walks at once, side by side.

    Args:
        generator: latents float [n, latent_size] -> images float [n, c, h, w] in -1..1; on `device`.
        latent_size: length of a row of latents.
        seed: the same seed makes the same walk.
        device: where to compute.
        stops: number of random latents that each walk passes.
        frames_between: frames from one stop to the next.
        walks: number of walks, in rows of four.

    Returns:
        stops * frames_between frames with 8 bits per channel that close a loop. Larger images are shrunk to about 128 pixels.
    """
    rng = numpy_rng(seed, Stream.WALK)
    keys = rng.standard_normal((stops, walks, latent_size), np.float32)
    latents = np.stack([interpolate(keys[:, i], frames_between, loop=True) for i in range(walks)], axis=1)
    rows = torch.from_numpy(latents).flatten(0, 1)
    images = torch.cat([_shrunk(images_of(generator, part, device).cpu()) for part in rows.split(_ROWS)])
    return [grid(frame.numpy(), columns=_COLUMNS) for frame in images.split(walks)]


def _shrunk(images: Tensor) -> Tensor:
    """Shrink uint8 [n, h, w, c] by a whole factor, to fewer than twice `_SIDE` pixels a side."""
    factor = images.shape[1] // _SIDE
    if factor <= 1:
        return images
    return F.avg_pool2d(images.permute(0, 3, 1, 2).float(), factor).round().to(torch.uint8).permute(0, 2, 3, 1)


def write_walk(path: Path, frames: list[Image.Image]) -> None:
    """Write frames as an animated WebP that runs in a loop, 25 frames a second."""

    def save(partial: Path) -> None:
        frames[0].save(
            partial, format="WEBP", save_all=True, append_images=frames[1:], loop=0, duration=_FRAME, quality=85, method=4
        )

    write_whole(path, save)
