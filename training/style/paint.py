"""Paints one image by optimising its pixels. This is the reference for the network.

    python -m training paint --content PHOTO --style PAINTING --out IMAGE

Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks", with L-BFGS as in the paper, or Adam.
Large images are painted coarse to fine (Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer"): strokes
are laid out at a small size and refined at larger ones.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from training.errors import DataError, NotFiniteError
from training.random import Stream, torch_rng
from training.style.config import PaintConfig
from training.style.objective import Objective
from training.vgg import VggFeatures

_HISTORY = 10  # updates that L-BFGS remembers; each takes the memory of two images
_NOISE = 50.0  # standard deviation around the middle grey, in grey levels
_LEAST_SIDE = 32  # pixels, of an image and of a painting: deep layers halve the side up to four times


class Losses(NamedTuple):
    """Weighted losses after one iteration.

    Attributes:
        iteration: counted from 1 over all scales.
        size: longer side of the image in pixels.
    """

    iteration: int
    size: int
    content: float
    style: float
    variation: float

    @property
    def total(self) -> float:
        """The objective."""
        return self.content + self.style + self.variation


Report = Callable[[Losses, Tensor], object]


def sizes_of(config: PaintConfig) -> list[int]:
    """Longer side in pixels at each scale, the smallest first."""
    return [round(config.size / 2**scale) for scale in reversed(range(config.scales))]


def paint(
    config: PaintConfig,
    photo: Tensor,
    paintings: Mapping[str, Tensor],
    weights: Tensor,
    vgg: VggFeatures,
    report: Report = lambda *_: None,
) -> Tensor:
    """Paint a photo.

    Args:
        config: sizes, optimizer, iterations and objective.
        photo: float [1, 3, h, w] RGB in 0..255, of any size.
        paintings: style name -> float [1, 3, h, w] RGB in 0..255; k of them.
        weights: float [k], of the paintings.
        vgg: as for `Objective`.
        report: called after each iteration with the losses and the image, which the next iteration changes.

    Returns:
        float [1, 3, h', w'] RGB in 0..255, the longer side `size` pixels.

    Raises:
        DataError: the photo or a painting is too long and thin for the smallest scale.
        NotFiniteError: a loss became NaN or infinite.
    """
    device = vgg.means.device
    image: Tensor | None = None
    for scale, size in enumerate(sizes_of(config)):
        content = resize(photo.to(device), size / max(photo.shape[2:]))
        small = {
            name: resize(painting.to(device), size / config.size * min(1.0, config.style_size / min(painting.shape[2:])))
            for name, painting in paintings.items()
        }
        for name, each in {"the photo": content, **small}.items():
            if min(each.shape[2:]) < _LEAST_SIDE:
                raise DataError(
                    f"At {size} pixels, {name} is {each.shape[3]} x {each.shape[2]}. Both sides need at least {_LEAST_SIDE} "
                    "pixels. Choose a larger size or fewer scales (--set size=..., scales=...)."
                )
        if image is None:
            image = first_image(config, content)
        else:
            image = F.interpolate(image, content.shape[2:], mode="bicubic", antialias=True)
        objective = Objective(config, small, vgg)
        for losses in optimise(config, objective, content, image, weights):
            report(losses._replace(iteration=scale * config.iterations + losses.iteration), image.detach())
    assert image is not None  # noqa: S101  there is at least one scale
    return image.detach().clamp(0, 255)


def optimise(
    config: PaintConfig,
    objective: Objective,
    photo: Tensor,
    image: Tensor,
    weights: Tensor,
) -> Iterator[Losses]:
    """Lower the objective of one image in place. Yields the losses after each iteration.

    Args:
        config: optimizer and iterations.
        objective: what to lower.
        photo: float [1, 3, h, w] RGB in 0..255.
        image: float [1, 3, h, w], the start; changed in place.
        weights: float [k], of the objective's styles.

    Raises:
        NotFiniteError: a loss became NaN or infinite.
    """
    content, styles = objective.content(photo), weights[None].to(photo.device)
    image.requires_grad_()
    optimizer = _optimizer(config, image)
    tried: list[Losses] = []
    last_image, total = torch.full_like(image, math.nan), math.nan  # of the last evaluation
    # Pixels are in grey levels and relative objectives about 1. L-BFGS makes its first step as long as the gradient, and Adam
    # adds a constant to it. So the objective is scaled until the first gradient has a root mean square of one grey level.
    scale: float | None = None

    def evaluate() -> float:
        nonlocal total, scale
        # A step of L-BFGS nearly always begins at the last evaluation of the step before, whose gradient is still valid.
        if not torch.equal(image, last_image):
            last_image.copy_(image.detach())
            optimizer.zero_grad()
            terms = objective(image, content, styles)
            terms.total.sum().backward()
            assert image.grad is not None  # noqa: S101  set by the backward pass
            if scale is None:
                scale = 1 / max(image.grad.square().mean().sqrt().item(), 1e-30)
            image.grad.mul_(scale)
            tried.append(Losses(0, max(photo.shape[2:]), *(term.item() for term in terms)))
            total = tried[-1].total * scale
        return total

    for iteration in range(1, config.iterations + 1):
        optimizer.step(evaluate)
        if not all(math.isfinite(each.total) for each in tried):
            raise NotFiniteError(
                f"The losses became NaN or infinite at iteration {iteration}. Lower the weights (--set style_weight=...) or "
                "choose --set optimizer=adam. If this is the first iteration, the VGG-16 weights are broken."
            )
        accepted = min(tried, key=lambda each: each.total) if config.optimizer == "lbfgs" else tried[-1]
        tried[:] = [accepted._replace(iteration=iteration)]
        yield tried[0]
    image.requires_grad_(False)


def resize(image: Tensor, factor: float) -> Tensor:
    """Float [1, 3, h, w] -> float [1, 3, factor h, factor w], at least one pixel a side."""
    size = [max(1, round(side * factor)) for side in image.shape[2:]]
    if size == list(image.shape[2:]):
        return image
    return F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 255)


def first_image(config: PaintConfig, photo: Tensor) -> Tensor:
    """The start of an optimisation: float [1, 3, h, w], the photo itself or noise around the middle grey."""
    if config.start == "content":
        return photo.clone()
    noise = torch.randn(photo.shape, generator=torch_rng(config.seed, Stream.PAINT_NOISE))
    return 127.5 + _NOISE * noise.to(photo.device)


def _optimizer(config: PaintConfig, image: Tensor) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        return torch.optim.Adam([image], config.learning_rate)
    return torch.optim.LBFGS(
        [image],
        max_iter=1,  # in one step
        max_eval=25,  # in its line search
        tolerance_grad=0,
        tolerance_change=0,
        history_size=_HISTORY,
        line_search_fn="strong_wolfe",
    )
