"""DiffAugment: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training".

The discriminator sees only augmented images, real and fake, so it cannot memorise a small folder. Gradients pass through the
augmentation to the generator, which still has to make images that are not augmented. Each image of a batch is changed in its
own way.

Images with four channels are RGB multiplied by alpha, and alpha (`training.images`). In them, uncovered pixels are transparent,
and colours change as they would before the multiplication.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from training.gan.config import AugmentationConfig
from training.images import ALPHA

FEW_IMAGES = 5000
"""With fewer images a run augments by default: in the paper it helps much with 10,000 photos and harms with 70,000."""

_ADAPT_EVERY = 4  # steps between two moves of the probability
_FULL_CHANGE = 0.1  # fraction of the run in which the probability can move from 0 to 1
_SHIFT = 0.125  # largest shift, as a fraction of the side
_LEAST_WEIGHT = 1e-3  # of what is visible; a transparent image has no mean colour
_HOLE = 0.5  # side of the hole, as a fraction of the image's side


def augment(
    images: Tensor, names: Sequence[str], rng: Generator, probability: float = 1.0, channels: int | None = None
) -> Tensor:
    """Change images at random.

    Args:
        images: float [n, c, h, w] in -1..1.
        names: any of `AUGMENTATIONS`, applied in this order.
        rng: on the CPU, so every device draws the same numbers.
        probability: of each augmentation, for each image.
        channels: of an image, if c is a multiple of it: then each row holds several images, which are changed alike.
    """
    if probability == 0 or not names:
        return images
    state, augmented = rng.get_state(), []
    for each in images.split(channels or images.shape[1], dim=1):
        rng.set_state(state)
        augmented.append(_augment_alike(each, names, rng, probability))
    return torch.cat(augmented, dim=1) if len(augmented) > 1 else augmented[0]


def _augment_alike(images: Tensor, names: Sequence[str], rng: Generator, probability: float) -> Tensor:
    for name in names:
        changed = AUGMENTATIONS[name](images, rng)
        if probability < 1:
            chosen = torch.rand(len(images), 1, 1, 1, generator=rng) < probability
            changed = changed.where(chosen.to(images.device), images)
        images = changed
    return images


class AugmentProbability:
    """How often images are augmented.

    With a target, it follows the discriminator: Karras et al. 2020, "Training Generative Adversarial Networks with Limited
    Data". The paper watches the sign of the logits of real images. The sign means nothing to the relativistic objective, so
    this watches how many pairs the discriminator gets right. Part of a checkpoint.

    Args:
        config: probability, ramp, target.
        steps: of the run.
    """

    def __init__(self, config: AugmentationConfig, steps: int) -> None:
        self.config = config
        self._move = _ADAPT_EVERY / max(1.0, _FULL_CHANGE * steps)
        self._probability = 0.0
        self._accuracy: Tensor | float = 0.0  # summed over the steps since the last move
        self._steps = 0

    @property
    def adapts(self) -> bool:
        """Whether it follows the discriminator."""
        return self.config.target is not None

    def at(self, fraction: float) -> float:
        """The probability, when a fraction of the run is done, 0..1."""
        config = self.config
        if self.adapts:
            return self._probability
        return config.probability * (min(fraction / config.ramp, 1.0) if config.ramp else 1.0)

    def record(self, accuracy: Tensor) -> None:
        """Take in the share of pairs that the discriminator got right in a step: a scalar."""
        target = self.config.target
        if target is None:
            return
        self._accuracy = self._accuracy + accuracy
        self._steps += 1
        if self._steps == _ADAPT_EVERY:
            move = self._move if float(self._accuracy) / self._steps > target else -self._move
            self._probability = min(max(self._probability + move, 0.0), self.config.probability)
            self._accuracy, self._steps = 0.0, 0

    def state_dict(self) -> dict[str, Any]:
        """The state in plain numbers."""
        return {"probability": self._probability, "accuracy": float(self._accuracy), "steps": self._steps}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Restore a saved state."""
        self._probability, self._accuracy = state_dict["probability"], state_dict["accuracy"]
        self._steps = state_dict["steps"]


def translation(images: Tensor, rng: Generator) -> Tensor:
    """Shift by up to an eighth of the side in each direction. Uncovered pixels are mid-grey."""
    n, _, height, width = images.shape
    rows = _shifted(n, height, rng).to(images.device)
    columns = _shifted(n, width, rng).to(images.device)
    padded = F.pad(images, (1, 1, 1, 1), value=_blank(images)).permute(0, 2, 3, 1)
    each = torch.arange(n, device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout(images: Tensor, rng: Generator) -> Tensor:
    """Set a square with half the side to mid-grey. It may lie partly outside the image."""
    n, _, height, width = images.shape
    inside = _in_hole(n, height, rng)[:, :, None] & _in_hole(n, width, rng)[:, None, :]
    return images.masked_fill(inside.to(images.device)[:, None], _blank(images))


def colour(images: Tensor, rng: Generator) -> Tensor:
    """Change brightness by -0.5 to 0.5, and multiply saturation by 0 to 2 and contrast by 0.5 to 1.5. Alpha stays."""
    brightness, saturation, contrast = (torch.rand(3, len(images), 1, 1, 1, generator=rng)).to(images)
    if images.shape[1] == ALPHA + 1:
        return _weighted_colour(images, brightness, saturation, contrast)
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (saturation * 2)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


def _weighted_colour(images: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """`colour` of images whose colours are multiplied by alpha: each term that is added is multiplied by alpha too."""
    alpha = (images[:, ALPHA:] + 1) / 2
    colours = images[:, :ALPHA] + 1 - alpha  # multiplied by alpha, and 0 for mid-grey
    colours = colours + alpha * (brightness - 0.5)
    grey = colours.mean(dim=1, keepdim=True)
    colours = grey + (colours - grey) * (saturation * 2)
    weight = alpha.mean(dim=(1, 2, 3), keepdim=True).clamp_min(_LEAST_WEIGHT)
    mean = alpha * colours.mean(dim=(1, 2, 3), keepdim=True) / weight  # of what is visible
    colours = mean + (colours - mean) * (contrast + 0.5)
    return torch.cat([colours + alpha - 1, images[:, ALPHA:]], dim=1)


AUGMENTATIONS: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "translation": translation,
    "cutout": cutout,
    "colour": colour,
}


def _blank(images: Tensor) -> float:
    """The value of uncovered pixels: mid-grey, or transparent if there is alpha."""
    return -1.0 if images.shape[1] == ALPHA + 1 else 0.0


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
