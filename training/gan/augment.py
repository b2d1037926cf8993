"""DiffAugment: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training".

The discriminator sees only augmented images, real and fake, so it cannot memorise a small folder. Gradients pass through the
augmentation to the generator, which still has to make images that are not augmented. Each image of a batch is changed in its
own way.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

FEW_IMAGES = 5000
"""With fewer images a run augments by default: in the paper it helps much with 10,000 photos and harms with 70,000."""

_SHIFT = 0.125  # largest shift, as a fraction of the side
_HOLE = 0.5  # side of the hole, as a fraction of the image's side


def augment(images: Tensor, names: Sequence[str], rng: Generator) -> Tensor:
    """Change each image at random.

    Args:
        images: float [n, c, h, w] in -1..1.
        names: any of `AUGMENTATIONS`, applied in this order.
        rng: on the CPU, so every device draws the same numbers.
    """
    for name in names:
        images = AUGMENTATIONS[name](images, rng)
    return images


def translation(images: Tensor, rng: Generator) -> Tensor:
    """Shift by up to an eighth of the side in each direction. Uncovered pixels are 0, mid-grey."""
    n, _, height, width = images.shape
    rows = _shifted(n, height, rng).to(images.device)
    columns = _shifted(n, width, rng).to(images.device)
    padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    each = torch.arange(n, device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout(images: Tensor, rng: Generator) -> Tensor:
    """Set a square with half the side to 0, mid-grey. It may lie partly outside the image."""
    n, _, height, width = images.shape
    inside = _in_hole(n, height, rng)[:, :, None] & _in_hole(n, width, rng)[:, None, :]
    return images * ~inside.to(images.device)[:, None]


def colour(images: Tensor, rng: Generator) -> Tensor:
    """Change brightness by -0.5 to 0.5, and multiply saturation by 0 to 2 and contrast by 0.5 to 1.5."""
    brightness, saturation, contrast = (torch.rand(3, len(images), 1, 1, 1, generator=rng)).to(images)
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (saturation * 2)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


AUGMENTATIONS: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "translation": translation,
    "cutout": cutout,
    "colour": colour,
}


def _shifted(count: int, side: int, rng: Generator) -> Tensor:
    """The places that the rows or columns of each image are taken from, in an image padded by one pixel."""
    limit = round(side * _SHIFT)
    shifts = torch.randint(-limit, limit + 1, (count, 1), generator=rng)
    return (torch.arange(side) + shifts + 1).clamp(0, side + 1)


def _in_hole(count: int, side: int, rng: Generator) -> Tensor:
    hole = round(side * _HOLE)
    first = torch.randint(0, side + (1 - hole % 2), (count, 1), generator=rng) - hole // 2
    places = torch.arange(side)
    return (places >= first) & (places < first + hole)
