"""A walk through latent space: an animation in which images melt into each other and return to the first image.

If the generator has learned the data rather than single images, every image on the way is good (Radford et al. 2016, section
6.1). Latents are interpolated along the sphere (White 2016, "Sampling Generative Networks"): the length of latents from N(0, 1)
hardly varies, but a straight line between two of them passes through shorter latents.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ganvas.files import write_whole
from training.images import grid, to_uint8
from training.random import Stream, numpy_rng

_BATCH = 64  # images
_COLUMNS = 4
_FRAME = 40  # milliseconds; 25 frames/s


def slerp(start: Tensor, end: Tensor, position: float) -> Tensor:
    """Spherical interpolation: the direction turns at a constant speed, the length changes linearly.

    Args:
        start: float [n, d].
        end: float [n, d].
        position: 0 gives `start`, 1 gives `end`.

    Returns:
        Float [n, d]. Between rows of opposite directions there is no shortest way; these pass through 0.
    """
    lengths = start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True)
    a, b = (latents / length.clamp_min(1e-12) for latents, length in zip((start, end), lengths, strict=True))
    angle = (a * b).sum(1, keepdim=True).clamp(-1, 1).acos()
    sine = angle.sin()
    turned = (((1 - position) * angle).sin() * a + (position * angle).sin() * b) / sine
    direction = torch.where(sine > 1e-4, turned, torch.lerp(a, b, position))  # nearly parallel: a straight line is the same
    return direction * torch.lerp(lengths[0], lengths[1], position)


def loop(stops: Tensor, frames_between: int) -> Tensor:
    """Latents on closed walks through stops, back to the first stop.

    Args:
        stops: float [s, n, d], n walks of s stops.
        frames_between: frames from one stop to the next.

    Returns:
        Float [s * frames_between, n, d]. The last frame is one step before the first, so a loop plays smoothly.
    """
    ways = zip(stops, stops.roll(-1, 0), strict=True)
    return torch.stack([slerp(a, b, frame / frames_between) for a, b in ways for frame in range(frames_between)])


@torch.no_grad()
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
        stops * frames_between frames with 8 bits per channel that close a loop.
    """
    rng = numpy_rng(seed, Stream.WALK)
    latents = loop(torch.from_numpy(rng.standard_normal((stops, walks, latent_size), np.float32)), frames_between)
    training = generator.training
    generator.eval()
    made = torch.cat([to_uint8(generator(batch.to(device))).cpu() for batch in latents.flatten(0, 1).split(_BATCH)])
    generator.train(training)
    return [grid(frame.numpy(), columns=_COLUMNS) for frame in made.split(walks)]


def write_walk(path: Path, frames: list[Image.Image]) -> None:
    """Write frames as an animated WebP that runs in a loop, 25 frames a second."""

    def save(partial: Path) -> None:
        frames[0].save(
            partial, format="WEBP", save_all=True, append_images=frames[1:], loop=0, duration=_FRAME, quality=85, method=4
        )

    write_whole(path, save)
