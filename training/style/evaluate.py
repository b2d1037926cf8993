"""Evaluates a stylizer: its objective on photos, beside slow optimisation of the same objective on the same photos.

    python -m training evaluate MODEL --data PHOTOS --styles PAINTINGS

MODEL is a style run folder or an exported stylizer. Every photo is painted in every style, by the network and by L-BFGS, which
starts from the photo, or from noise as in Johnson, Alahi and Fei-Fei 2016. The network "equals k iterations" if the mean
objective of L-BFGS first falls to the network's at iteration k.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
import typer
from rich.table import Table
from torch import Tensor

from ganvas.card import Metric
from training.console import track
from training.data.image_folder import UNREADABLE, ImageFolder, nothing_decoded, open_image_folder, reason
from training.data.paintings import load_paintings
from training.errors import ConfigError, DataError
from training.metrics.evaluation import Measurement, four_digits
from training.style.brushwork import LAYERS, measure_brushwork
from training.style.config import PaintConfig, Start
from training.style.objective import Objective, Terms, features_for
from training.style.paint import first_image, optimise, resize
from training.style.painter import Painter, load_painter
from training.text import count_of
from training.vgg import VggFeatures

_SHOWN_ITERATIONS = (10, 25, 50, 100, 200)  # of the reference, one row of the table each
_LEAST_LONGER, _LEAST_SHORTER = 64, 32  # sides in pixels
_STARTS: dict[Start, str] = {"content": "L-BFGS", "noise": "L-BFGS from noise"}


@dataclass(frozen=True)
class EvaluateOptions:
    """Options of `python -m training evaluate` for a stylizer."""

    styles: Annotated[
        Path | None,
        typer.Option(help="Folder or zip of the paintings, named like the styles.", show_default=False),
    ] = None
    size: Annotated[list[int], typer.Option(help="Longer side of the photos in pixels. Repeatable.")] = field(
        default_factory=lambda: [256]
    )
    iterations: Annotated[int, typer.Option(min=0, help="L-BFGS iterations to compare with.")] = 50
    start: Annotated[
        Literal["content", "noise", "both"],
        typer.Option(help="Where L-BFGS starts: at the photo (content), at noise, or both in turn."),
    ] = "content"
    pairs: Annotated[
        int | None,
        typer.Option(min=1, help="Number of pairs of a photo and a style, spread evenly. Default: all."),
    ] = None

    @property
    def reference(self) -> "Reference":
        """The slow optimisation that the options ask for."""
        return Reference(self.iterations, ("content", "noise") if self.start == "both" else (self.start,), self.pairs)


@dataclass(frozen=True)
class Reference:
    """The slow optimisation to compare with.

    Attributes:
        iterations: of L-BFGS; 0 for no comparison.
        starts: from the photo (`content`), from noise, or both, one after the other.
        pairs: number of pairs of a photo and a style, spread evenly over both; None for all.
    """

    iterations: int
    starts: tuple[Start, ...] = ("content",)
    pairs: int | None = None


@dataclass(frozen=True)
class Evaluated:
    """The losses at one size: weighted means of content, style and variation over photos and styles.

    Attributes:
        size: longer side of a photo in pixels.
        ours: float [3], of the network's images.
        photos: float [3], of the unpainted photos.
        references: float [iterations, 3], of L-BFGS after each iteration, by its start.
        method: how the losses were measured, as the card states it.
    """

    size: int
    ours: npt.NDArray[np.float64]
    photos: npt.NDArray[np.float64]
    references: Mapping[Start, npt.NDArray[np.float64]]
    method: str

    def equal_iterations(self, start: Start) -> int | None:
        """Iterations after which L-BFGS is as good as the network; None if more would be needed than were measured."""
        reached = np.flatnonzero(self.references[start].sum(axis=1) <= self.ours.sum())
        return int(reached[0]) + 1 if len(reached) else None

    def table(self) -> Table:
        """One row for the photos, one for the network, and several for the reference."""
        table = Table(title=f"{self.size} pixels")
        table.add_column("", no_wrap=True)
        for heading in ("Content", "Style", "Variation", "Objective"):
            table.add_column(heading, justify="right", no_wrap=True)
        rows = {"Unpainted photos": self.photos, "Network": self.ours}
        for start, losses in self.references.items():
            last = len(losses)
            shown = sorted({*_SHOWN_ITERATIONS, last})
            rows |= {f"{_STARTS[start]}, {count_of(k, 'iteration')}": losses[k - 1] for k in shown if 1 <= k <= last}
        for name, terms in rows.items():
            table.add_row(name, *(f"{four_digits(value):,.10g}" for value in (*terms, terms.sum())))
        return table

    def explain(self) -> str:
        """How many iterations the network equals, one sentence for each start."""
        if not self.references:
            return "There is no comparison: --iterations is 0."
        sentences = []
        for start, losses in self.references.items():
            equal = self.equal_iterations(start)
            result = (
                f"is better than all {count_of(len(losses), 'iteration')}"
                if equal is None
                else f"equals {count_of(equal, 'iteration')}"
            )
            sentences.append(f"The network {result} of {_STARTS[start]}.")
        return "\n".join(sentences)

    def metrics(self) -> tuple[Metric, ...]:
        """For the card, unrounded. What real images score: the unpainted photos."""
        names = ("Content loss", "Style loss", "Variation loss", "Objective")
        ours, photos = ((*side, side.sum()) for side in (self.ours, self.photos))
        values: dict[str, tuple[float, float | None]] = dict(zip(names, zip(ours, photos, strict=True), strict=True))
        for start, losses in self.references.items():
            values[f"Equal iterations of {_STARTS[start]}"] = self.equal_iterations(start) or len(losses), None
        return tuple(
            Metric(name=f"{name} at {self.size} px", value=value, real=real, method=self.method)
            for name, (value, real) in values.items()
        )


def evaluate_stylizer(
    model: Path, data: Path, options: EvaluateOptions, weights: Path | None, device: torch.device
) -> Iterator[Measurement]:
    """See `training.kind.Kind`. Two measurements for each size: the objective, and the brushwork."""
    if options.styles is None:
        raise ConfigError(f"{model} is a stylizer. Name the folder or zip of its paintings with --styles.")
    painter = load_painter(model, device)
    photos, found = open_image_folder(data), open_image_folder(options.styles)
    paintings, _, broken = load_paintings(found, painter.config.style_size)
    unreadable = photos.unreadable | found.unreadable | broken
    vgg = VggFeatures((*features_for(painter.config), *LAYERS), weights, option="--weights").to(device)
    for size in options.size:
        chosen, broken = choose_photos(photos, size, painter.multiple)
        evaluated = evaluate_painter(painter, chosen, paintings, vgg, options.reference, size)
        yield Measurement(
            table=evaluated.table(),
            explanation=f"{evaluated.method}.\n{evaluated.explain()}",
            metrics=evaluated.metrics(),
            step=painter.step,
            unreadable=unreadable | broken,
        )
        unreadable = {}
        brushwork = measure_brushwork(painter, chosen, paintings, vgg, size)
        yield Measurement(brushwork.table(), f"{brushwork.method}.", brushwork.metrics(), painter.step, unreadable)


def choose_photos(folder: ImageFolder, size: int, multiple: int) -> tuple[list[Tensor], dict[str, str]]:
    """Decode photos, shrink their longer side to `size` pixels and crop both sides to a multiple.

    Returns:
        Photos, float [1, 3, h, w] in whole levels 0..255 each; and name -> reason for each broken one.

    Raises:
        ConfigError: the size is under 64 pixels.
        DataError: a photo is smaller than `size`, or too long and thin.
    """
    if size < _LEAST_LONGER:
        raise ConfigError(f"--size {size} is too small to judge a painting. Take at least {_LEAST_LONGER}.")
    photos, broken = [], {}
    for name, sides in folder.sizes.items():
        if max(sides) < size or min(sides) * size // max(sides) < _LEAST_SHORTER:
            raise DataError(
                f"{name} in {folder.path} has {sides[0]}x{sides[1]} pixels. For --size {size}, the longer side needs at least "
                f"{size} pixels, and the shorter side {_LEAST_SHORTER} after shrinking. Remove the photo, or choose another "
                "--size."
            )
        try:
            photo = torch.from_numpy(np.array(folder.open(name, "RGB"))).permute(2, 0, 1)[None].float()
        except UNREADABLE as error:
            broken[name] = reason(error)
            continue
        photo = resize(photo, size / max(sides)).round()
        height, width = (side // multiple * multiple for side in photo.shape[2:])
        photos.append(photo[:, :, :height, :width])
    if not photos:
        raise nothing_decoded(folder, "photo", broken)
    return photos, broken


def evaluate_painter(
    painter: Painter,
    photos: Sequence[Tensor],
    paintings: Mapping[str, Tensor],
    vgg: VggFeatures,
    reference: Reference,
    size: int,
) -> Evaluated:
    """Paint photos in the network's styles, by the network and by L-BFGS.

    Args:
        painter: the network.
        photos: from `choose_photos`.
        paintings: style name -> float [1, 3, h, w] RGB in 0..255; at least the network's styles.
        vgg: has the layers of the painter's config.
        reference: what to compare with.
        size: of the photos.

    Raises:
        ConfigError: a style's painting is missing.
        NotFiniteError: a loss became NaN or infinite.
        ExportError: the exported file cannot be run.
    """
    if missing := [style for style in painter.styles if style not in paintings]:
        raise ConfigError(
            f"{painter.path} has the style {missing[0]}, but --styles holds no painting of that name (only "
            f"{', '.join(paintings)}). Name the folder that it was trained with."
        )
    objective = Objective(painter.config, {style: paintings[style] for style in painter.styles}, vgg)
    side = min(min(photo.shape[2:]) for photo in photos)
    objective.balance(torch.cat([_middle(photo, side) for photo in photos]).byte())
    values = painter.config.model_dump() | {"iterations": max(reference.iterations, 1)}
    slow = {start: PaintConfig.model_validate(values | {"start": start}) for start in reference.starts if reference.iterations}
    device = vgg.means.device
    ours, plain = [], []
    histories: dict[Start, list[list[tuple[float, ...]]]] = {start: [] for start in slow}
    pairs = spread(len(photos), len(painter.styles))[: reference.pairs]
    styles = torch.eye(len(painter.styles))
    for photo, style in track([(photos[i], styles[k]) for i, k in pairs], f"Painting at {size} pixels", unit="pair"):
        on_device, weights = photo.to(device), style[None].to(device)
        with torch.no_grad():
            content = objective.content(on_device)
            painted = painter.paint(photo.byte().permute(0, 2, 3, 1), style[None]).permute(0, 3, 1, 2).float().to(device)
            ours.append(_values(objective(painted, content, weights)))
            plain.append(_values(objective(on_device, content, weights)))
        for start, settings in slow.items():
            history = optimise(settings, objective, on_device, first_image(settings, on_device), style)
            histories[start].append([(losses.content, losses.style, losses.variation) for losses in history])
    config = painter.config
    among = f"{count_of(len(pairs), 'pair')} of " if len(pairs) < len(photos) * len(styles) else ""
    return Evaluated(
        size=size,
        ours=np.mean(ours, axis=0),
        photos=np.mean(plain, axis=0),
        references={start: np.mean(each, axis=0) for start, each in histories.items()},
        method=f"VGG-16; mean over {among}{count_of(len(photos), 'photo')} in {count_of(len(painter.styles), 'style')}; "
        f"weights: content {config.content_weight:g}, style {config.style_weight:g} (styles balanced), "
        f"variation {config.variation_weight:g}; "
        f"L-BFGS starts from the photo unless it says noise, {count_of(reference.iterations, 'iteration')}",
    )


def spread(photos: int, styles: int) -> list[tuple[int, int]]:
    """Every pair of a photo and a style, ordered so that the first few pairs spread over all photos and all styles."""
    both = math.lcm(photos, styles)
    return [(i % photos, (i + i // both) % styles) for i in range(photos * styles)]


def _values(terms: Terms) -> list[float]:
    return [term.item() for term in terms]


def _middle(photo: Tensor, side: int) -> Tensor:
    """The square in the middle of a photo, on which styles are balanced."""
    top, left = ((length - side) // 2 for length in photo.shape[2:])
    return photo[:, :, top : top + side, left : left + side]
