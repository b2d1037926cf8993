"""DiffAugment: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training".

The discriminator never sees a picture as it is, real or fake, so it cannot learn few pictures by heart; gradients pass through
to the generator, which still has to make the pictures themselves. Each picture of a batch is changed in its own way.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

FEW_IMAGES = 5000
"""Below this a run augments where its config does not say: the paper gains much at 10,000 photos, and loses at 70,000."""

_SHIFT = 0.125  # of the side, at most
_HOLE = 0.5  # side of the hole, of the picture's side


def augment(pictures: Tensor, names: Sequence[str], rng: Generator) -> Tensor:
    """Change each picture at random.

    Args:
        pictures: float [n, c, h, w] in -1..1.
        names: any of `AUGMENTATIONS`, applied in this order.
        rng: on the CPU, so that every device draws the same.
    """
    for name in names:
        pictures = AUGMENTATIONS[name](pictures, rng)
    return pictures


def translation(pictures: Tensor, rng: Generator) -> Tensor:
    """Shift by up to an eighth of the side each way; what comes in from outside is 0, mid-grey."""
    n, _, height, width = pictures.shape
    rows = _shifted(n, height, rng).to(pictures.device)
    columns = _shifted(n, width, rng).to(pictures.device)
    padded = F.pad(pictures, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    each = torch.arange(n, device=pictures.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout(pictures: Tensor, rng: Generator) -> Tensor:
    """Set a square of half the side to 0, mid-grey; it may lie partly outside."""
    n, _, height, width = pictures.shape
    inside = _in_hole(n, height, rng)[:, :, None] & _in_hole(n, width, rng)[:, None, :]
    return pictures * ~inside.to(pictures.device)[:, None]


def colour(pictures: Tensor, rng: Generator) -> Tensor:
    """Change brightness by up to a half either way, saturation by 0 to 2 times, contrast by 0.5 to 1.5 times."""
    brightness, saturation, contrast = (torch.rand(3, len(pictures), 1, 1, 1, generator=rng)).to(pictures)
    pictures = pictures + (brightness - 0.5)
    grey = pictures.mean(dim=1, keepdim=True)
    pictures = grey + (pictures - grey) * (saturation * 2)
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (pictures - mean) * (contrast + 0.5)


AUGMENTATIONS: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "translation": translation,
    "cutout": cutout,
    "colour": colour,
}


def _shifted(count: int, side: int, rng: Generator) -> Tensor:
    """For each picture the places, in a picture padded by one, that its rows or columns are taken from."""
    most = round(side * _SHIFT)
    shifts = torch.randint(-most, most + 1, (count, 1), generator=rng)
    return (torch.arange(side) + shifts + 1).clamp(0, side + 1)


def _in_hole(count: int, side: int, rng: Generator) -> Tensor:
    hole = round(side * _HOLE)
    first = torch.randint(0, side + (1 - hole % 2), (count, 1), generator=rng) - hole // 2
    places = torch.arange(side)
    return (places >= first) & (places < first + hole)
