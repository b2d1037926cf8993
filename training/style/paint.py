"""Paints one picture by optimising its pixels: the reference that the fast network is measured by.

    python -m training paint --content PHOTO --style PAINTING --out PICTURE

Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks", with L-BFGS as in the paper, or Adam.
Big pictures are painted coarse to fine (Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer"): strokes
are laid out where the picture is small, and refined.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from training.errors import DataError, NotFiniteError
from training.style.config import PaintConfig
from training.style.objective import Objective
from training.vgg import VggFeatures

_HISTORY = 10  # updates that L-BFGS remembers, each two pictures large
_NOISE = 50.0  # grey levels, standard deviation around the middle
_LEAST_SIDE = 32  # pixels, of a picture and of a painting: the deep layers halve it up to four times


class Losses(NamedTuple):
    """One line of a painting's history: weighted losses after an iteration.

    Attributes:
        iteration: from 1 on, counted over all scales.
        size: longer side of the picture in pixels.
    """

    iteration: int
    size: int
    content: float
    style: float
    variation: float

    @property
    def total(self) -> float:
        """What is lowered."""
        return self.content + self.style + self.variation


Seen = Callable[[Losses, Tensor], object]


def sizes_of(config: PaintConfig) -> list[int]:
    """Longer side in pixels at each scale, the smallest first."""
    return [round(config.size / 2**scale) for scale in reversed(range(config.scales))]


def paint(
    config: PaintConfig,
    photo: Tensor,
    paintings: Mapping[str, Tensor],
    weights: Tensor,
    vgg: VggFeatures,
    seen: Seen = lambda *_: None,
) -> Tensor:
    """Paint a photo.

    Args:
        config: how.
        photo: float [1, 3, h, w] RGB in 0..255, of any size.
        paintings: style name -> float [1, 3, h, w] RGB in 0..255; k of them.
        weights: float [k], of the paintings.
        vgg: as for `Objective`.
        seen: called after each iteration with its losses and the picture as it is then, which goes on changing.

    Returns:
        float [1, 3, h', w'] RGB in 0..255, the longer side `size` pixels.

    Raises:
        DataError: photo or painting is too long and thin to be painted at the smallest scale.
        NotFiniteError: a loss became NaN or infinite.
    """
    device = vgg.means.device
    picture: Tensor | None = None
    for scale, size in enumerate(sizes_of(config)):
        content = resize(photo.to(device), size / max(photo.shape[2:]))
        small = {
            name: resize(painting.to(device), size / config.size * min(1.0, config.style_size / min(painting.shape[2:])))
            for name, painting in paintings.items()
        }
        for name, each in {"the photo": content, **small}.items():
            if min(each.shape[2:]) < _LEAST_SIDE:
                raise DataError(
                    f"At {size} pixels {name} is {each.shape[3]} x {each.shape[2]}; a side under {_LEAST_SIDE} is too small. "
                    "Take a larger size or fewer scales (--set size=..., scales=...)."
                )
        if picture is None:
            picture = first_image(config, content)
        else:
            picture = F.interpolate(picture, content.shape[2:], mode="bicubic", antialias=True)
        objective = Objective(config, small, vgg)
        for losses in optimise(config, objective, content, picture, weights):
            seen(losses._replace(iteration=scale * config.iterations + losses.iteration), picture.detach())
    assert picture is not None  # noqa: S101  there is a scale
    return picture.detach().clamp(0, 255)


def optimise(
    config: PaintConfig,
    objective: Objective,
    photo: Tensor,
    picture: Tensor,
    weights: Tensor,
) -> Iterator[Losses]:
    """Lower the objective of one picture, in place; yields the losses after each iteration.

    Args:
        config: optimizer and iterations.
        objective: what to lower.
        photo: float [1, 3, h, w] RGB in 0..255.
        picture: float [1, 3, h, w], where to start.
        weights: float [k], of the objective's styles.

    Raises:
        NotFiniteError: a loss became NaN or infinite.
    """
    content, styles = objective.content(photo), weights[None].to(photo.device)
    picture.requires_grad_()
    optimizer = _optimizer(config, picture)
    tried: list[Losses] = []
    where, total = torch.full_like(picture, math.nan), math.nan  # of the last evaluation

    def evaluate() -> float:
        nonlocal total
        # A step of L-BFGS begins where the one before ended, nearly always at its last evaluation: its gradient still stands.
        if not torch.equal(picture, where):
            where.copy_(picture.detach())
            optimizer.zero_grad()
            terms = objective(picture, content, styles)
            terms.total.sum().backward()
            tried.append(Losses(0, max(photo.shape[2:]), *(term.item() for term in terms)))
            total = tried[-1].total
        return total

    for iteration in range(1, config.iterations + 1):
        optimizer.step(evaluate)
        if not all(math.isfinite(each.total) for each in tried):
            raise NotFiniteError(
                f"The losses became NaN or infinite at iteration {iteration}. Lower the weights (--set style_weight=...) "
                "or take --set optimizer=adam; if they are so from the first iteration on, the VGG-16 weights are broken."
            )
        accepted = min(tried, key=lambda each: each.total) if config.optimizer == "lbfgs" else tried[-1]
        tried[:] = [accepted._replace(iteration=iteration)]
        yield tried[0]
    picture.requires_grad_(False)


def resize(picture: Tensor, factor: float) -> Tensor:
    """Float [1, 3, h, w] -> float [1, 3, factor h, factor w], at least a pixel each."""
    size = [max(1, round(side * factor)) for side in picture.shape[2:]]
    if size == list(picture.shape[2:]):
        return picture
    return F.interpolate(picture, size, mode="bicubic", antialias=True).clamp(0, 255)


def first_image(config: PaintConfig, photo: Tensor) -> Tensor:
    """Where an optimisation starts: float [1, 3, h, w], the photo itself or noise around the middle grey."""
    if config.start == "content":
        return photo.clone()
    noise = torch.randn(photo.shape, generator=torch.Generator().manual_seed(config.seed))
    return 127.5 + _NOISE * noise.to(photo.device)


def _optimizer(config: PaintConfig, picture: Tensor) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        return torch.optim.Adam([picture], config.learning_rate)
    return torch.optim.LBFGS(
        [picture],
        max_iter=1,  # a step
        max_eval=25,  # in its line search
        tolerance_grad=0,
        tolerance_change=0,
        history_size=_HISTORY,
        line_search_fn="strong_wolfe",
    )
