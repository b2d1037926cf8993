"""Paints photos that the network did not learn from, at two sizes, and measures the paintings.

runs/NAME/held-out.json                      the numbers
          held-out/photo.1.jpg               a photo
          held-out/starry-night.256.1.jpg    the same photo, painted with a side of 256 pixels
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from ganvas.files import write_whole
from training.data.image_folder import UNREADABLE, ImageFolder, nothing_decoded, reason
from training.random import Stream, numpy_rng
from training.run import Run
from training.style.network import Stylizer
from training.style.objective import Objective
from training.style.plan import StylePlan

HELD_OUT = "held-out"
_NUMBERS = f"{HELD_OUT}.json"
_PHOTOS = 3
_LEAST_TO_HOLD_OUT = 20  # photos; with fewer, the network needs each to learn from
_LARGEST = 512  # side in pixels
_MOST_STYLES = 16  # that are painted; more would take too long
_QUALITY = 90


class StyleNumbers(BaseModel):
    """What one style scores: means over the photos, at the smaller size.

    Attributes:
        content: weighted content loss of the paintings.
        other_content: the same, each painting compared with another photo. A network that ignores the photo has as much.
        style: weighted style loss of the paintings.
        photo_style: the same of the unpainted photos.
        change: mean difference between photo and painting, in grey levels.
        contrast: standard deviation of the pixels of a painting, in grey levels.
        photo_contrast: the same of the photos.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: float
    other_content: float
    style: float
    photo_style: float
    change: float
    contrast: float
    photo_contrast: float

    @property
    def content_share(self) -> float:
        """0 if the photo is unchanged, about 1 if the painting shows nothing of it."""
        return self.content / self.other_content if self.other_content else 1.0

    @property
    def style_share(self) -> float:
        """1 if the style is no closer than that of the unpainted photo."""
        return self.style / self.photo_style if self.photo_style else 1.0


class HeldOut(BaseModel):
    """The content of held-out.json.

    Attributes:
        step: of the network.
        sides: of the photos in pixels, the smaller first.
        photos: how many there are.
        learned: whether the network learned from these photos, because there were too few to hold some out.
        styles: style name -> numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    sides: tuple[int, int]
    photos: int
    learned: bool
    styles: dict[str, StyleNumbers]

    def write(self, run_folder: Path) -> None:
        """Write held-out.json into a run folder."""
        write_whole(run_folder / _NUMBERS, f"{self.model_dump_json(indent=2)}\n".encode())


def read_held_out(run_folder: Path) -> HeldOut | None:
    """The last measurement of a run; None if there is none that can be read."""
    try:
        return HeldOut.model_validate_json((run_folder / _NUMBERS).read_bytes())
    except (OSError, ValidationError):
        return None


def photo_file(number: int) -> str:
    """Path of a photo below the run folder; numbers start at 1. No style has a dot in its name."""
    return f"{HELD_OUT}/photo.{number}.jpg"


def painted_file(style: str, side: int, number: int) -> str:
    """Path of a painted photo below the run folder."""
    return f"{HELD_OUT}/{style}.{side}.{number}.jpg"


def photos_to_hold_out(photos: ImageFolder) -> tuple[str, ...]:
    """Names of the photos that a run does not learn from; none if there are few photos.

    The choice depends on the photos alone. So a run that begins with the weights of another does not learn from them either.
    """
    return tuple(_chosen(photos)[:_PHOTOS]) if len(photos.sizes) >= _LEAST_TO_HOLD_OUT else ()


def _chosen(photos: ImageFolder) -> list[str]:
    """All names in random order, those with enough pixels first."""
    names = np.array(photos.names)[numpy_rng(0, Stream.HELD_OUT).permutation(len(photos.names))].tolist()
    return sorted(names, key=lambda name: -min(_LARGEST, *photos.sizes[name]))


class Gallery:
    """Paints the same photos again and again while a network learns.

    Args:
        run: whose folder takes the images and numbers.
        photos: all photos of the run.
        objective: of the run, for the styles that it does not keep.

    Raises:
        DataError: no photo can be decoded.
    """

    def __init__(self, run: Run[StylePlan], photos: ImageFolder, objective: Objective) -> None:
        self._run, self._objective = run, objective
        held_out = run.plan.held_out
        decoded: list[Image.Image] = []
        broken: dict[str, str] = {}
        for name in held_out or _chosen(photos):
            try:
                decoded.append(photos.open(name, "RGB"))
            except UNREADABLE as error:
                broken[name] = reason(error)
            if len(decoded) == _PHOTOS:
                break
        if not decoded:
            raise nothing_decoded(photos, "held-out photo", broken)
        self._photos, self._learned = decoded, not held_out
        self._photo_style: dict[int, float] = {}  # by style; does not change

    @torch.no_grad()
    def update(self, step: int, network: Stylizer) -> dict[str, float]:
        """Paint, measure, and write images and numbers. Returns the mean losses, for the statistics."""
        sides = self._sides_for(network)
        folder = self._run.folder
        (folder / HELD_OUT).mkdir(exist_ok=True)
        small, large = (self._tensors(side) for side in sides)
        for number, photo in enumerate(large, 1):
            _save(folder / photo_file(number), photo)
        content = self._objective.content(small)
        plan, styles = self._run.plan, {}
        for index, name in enumerate(list(plan.styles)[plan.kept :][:_MOST_STYLES]):
            painted = _paint(network, small, plan.kept + index)
            for number, image in enumerate(painted, 1):
                _save(folder / painted_file(name, sides[0], number), image)
            _save(folder / painted_file(name, sides[1], 1), _paint(network, large[:1], plan.kept + index)[0])
            styles[name] = self._measure(small, painted, content, index)
        HeldOut(step=step, sides=sides, photos=len(small), learned=self._learned, styles=styles).write(folder)
        return {
            f"held_out_{key}": float(np.mean([getattr(numbers, key) for numbers in styles.values()]))
            for key in ("content", "style", "photo_style")
        }

    def _measure(self, photos: Tensor, painted: Tensor, content: Mapping[str, Tensor], style: int) -> StyleNumbers:
        index = torch.full((len(photos),), style, device=photos.device)
        weights = F.one_hot(index, len(self._objective.balances)).float()
        ours = self._objective(painted, content, weights)
        if style not in self._photo_style:
            self._photo_style[style] = self._objective(photos, content, weights).style.mean().item()
        # With a single photo, its mirror image is the other one.
        other = photos.roll(1, 0) if len(photos) > 1 else photos.flip(3)
        against = self._objective(painted, self._objective.content(other), weights)
        values = {
            "content": ours.content.mean(),
            "other_content": against.content.mean(),
            "style": ours.style.mean(),
            "change": (painted - photos).abs().mean(),
            "contrast": painted.flatten(2).std(dim=2).mean(),
            "photo_contrast": photos.flatten(2).std(dim=2).mean(),
        }
        return StyleNumbers(photo_style=self._photo_style[style], **{key: value.item() for key, value in values.items()})

    def _sides_for(self, network: Stylizer) -> tuple[int, int]:
        """The largest side that all photos have, and half of it, as multiples that fit the network."""
        largest = min(_LARGEST, *(min(photo.size) for photo in self._photos))
        small, large = (side // network.size_multiple * network.size_multiple for side in (largest // 2, largest))
        return max(small, network.min_side), max(large, network.min_side)

    def _tensors(self, side: int) -> Tensor:
        """The squares in the middle of the photos: float [n, 3, side, side]."""
        squares = [np.array(ImageOps.fit(photo, (side, side), Image.Resampling.LANCZOS)) for photo in self._photos]
        return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).to(self._objective.balances.device, torch.float32)


def _paint(network: Stylizer, photos: Tensor, style: int) -> Tensor:
    """Whole grey levels, as the exported network gives them."""
    row = torch.zeros(len(photos), network.styles, device=photos.device)
    row[:, style] = 1
    painted: Tensor = network(photos, row)
    return painted.round().clamp(0, 255)


def _save(path: Path, image: Tensor) -> None:
    levels = image.permute(1, 2, 0).byte().cpu().numpy()
    write_whole(path, lambda partial: Image.fromarray(levels).save(partial, format="JPEG", quality=_QUALITY))
