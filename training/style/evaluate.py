"""Evaluates a stylizer: its objective on photos, beside the slow optimisation of the same objective on the same photos.

    python -m training evaluate MODEL --data PHOTOS --styles PAINTINGS

MODEL is a style run folder or an exported stylizer. Every photo is painted in every style, by the network and by L-BFGS, which
starts from the photo, or from noise as in Johnson, Alahi and Fei-Fei 2016; the network "equals k iterations" where the mean
objective of L-BFGS first falls to the network's after k.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from rich.progress import track
from rich.table import Table
from torch import Tensor

from ganvas.card import OUTPUT, Metric, StylizerCard
from training.data.image_folder import UNREADABLE, ImageFolder, reason
from training.errors import ConfigError, DataError, ExportError, first_line
from training.export import checkpoint_to_export, stylizer_graph
from training.metrics.evaluation import four_digits
from training.run import Run, StylePlan
from training.style.config import PaintConfig, PaintingConfig, Start
from training.style.objective import Objective, Terms
from training.style.paint import first_picture, optimise, resize
from training.table import read_card
from training.vgg import VggFeatures

_SHOWN = (10, 25, 50, 100, 200)  # iterations of the reference that have a row of the table
_LEAST, _LEAST_SHORTER = 64, 32  # pixels, of the longer and the shorter side
_STARTS: dict[Start, str] = {"content": "L-BFGS", "noise": "L-BFGS from noise"}


@dataclass(frozen=True)
class Painter:
    """A stylizer to evaluate, wherever it comes from.

    Attributes:
        path: the run folder or the exported file.
        paint: photos uint8 [n, h, w, 3] and styles float [n, k] -> pictures uint8 [n, h, w, 3].
        styles: names of the k styles.
        config: what it was trained to lower.
        multiple: of which h and w must be multiples.
        step: training steps done; None where the card does not tell.
    """

    path: Path
    paint: Callable[[Tensor, Tensor], Tensor]
    styles: tuple[str, ...]
    config: PaintingConfig
    multiple: int
    step: int | None


@dataclass(frozen=True)
class Reference:
    """The slow optimisation to compare with.

    Attributes:
        iterations: of L-BFGS; 0 leaves it out.
        starts: from the photo (`content`), from noise, or both, one after the other.
        pairs: of a photo and a style, spread evenly over both; None for all.
    """

    iterations: int
    starts: tuple[Start, ...] = ("content",)
    pairs: int | None = None


@dataclass(frozen=True)
class Evaluated:
    """What came of it, at one size; means over photos and styles of content, style and variation, weighted.

    Attributes:
        size: longer side of a photo in pixels.
        ours: float [3], of the network's pictures.
        photos: float [3], of the photos as they are.
        references: float [iterations, 3], of L-BFGS after each iteration, by where it started.
        method: how it was measured, in the card's words.
    """

    size: int
    ours: npt.NDArray[np.float64]
    photos: npt.NDArray[np.float64]
    references: Mapping[Start, npt.NDArray[np.float64]]
    method: str

    def equal_iterations(self, start: Start) -> int | None:
        """Iterations after which L-BFGS is as good; None where it takes more than were measured."""
        reached = np.flatnonzero(self.references[start].sum(axis=1) <= self.ours.sum())
        return int(reached[0]) + 1 if len(reached) else None

    def table(self) -> Table:
        """A row for the photos, one for the network, and some for the reference, to print."""
        table = Table(title=f"{self.size} pixels")
        table.add_column("", no_wrap=True)
        for heading in ("Content", "Style", "Variation", "Objective"):
            table.add_column(heading, justify="right", no_wrap=True)
        rows = {"Photos as they are": self.photos, "Network": self.ours}
        for start, losses in self.references.items():
            last = len(losses)
            rows |= {f"{_STARTS[start]}, {k} iterations": losses[k - 1] for k in sorted({*_SHOWN, last}) if 1 <= k <= last}
        for name, terms in rows.items():
            table.add_row(name, *(f"{four_digits(value):,.10g}" for value in (*terms, terms.sum())))
        return table

    def explain(self) -> str:
        """How many iterations the network equals, in a sentence for each start."""
        if not self.references:
            return "Nothing to compare with: --iterations 0."
        said = []
        for start, losses in self.references.items():
            equal = self.equal_iterations(start)
            better = f"is better than all {len(losses)}" if equal is None else f"equals {equal}"
            said.append(f"The network {better} iterations of {_STARTS[start]}.")
        return "\n".join(said)

    def metrics(self) -> tuple[Metric, ...]:
        """For the card, unrounded."""
        names = ("Content loss", "Style loss", "Variation loss", "Objective")
        values = dict(zip(names, (*self.ours, self.ours.sum()), strict=True))
        for start, losses in self.references.items():
            values[f"Equal iterations of {_STARTS[start]}"] = self.equal_iterations(start) or len(losses)
        return tuple(
            Metric(name=f"{name} at {self.size} px", value=value, method=self.method) for name, value in values.items()
        )


def load_painter(path: Path, device: torch.device) -> Painter:
    """The network of a style run (of its last checkpoint) or of an exported file.

    Args:
        path: run folder, or .onnx file.
        device: for a run's network; an exported one is run by onnxruntime on the CPU.

    Raises:
        RunError: no run, one of a GAN, or one without checkpoint.
        ExportError: the file is no exported stylizer, cannot be run, or does not say what it was trained for.
    """
    return _exported(path) if path.is_file() else _trained(path, device)


def choose_photos(pictures: ImageFolder, size: int, multiple: int) -> tuple[list[Tensor], dict[str, str]]:
    """Decode photos, the longer side `size` pixels, both sides cut to a multiple.

    Returns:
        float [1, 3, h, w] in whole levels 0..255 each; and name -> reason for the broken ones.

    Raises:
        ConfigError: the size is under 64 pixels.
        DataError: a photo is smaller than that, or too long and thin.
    """
    if size < _LEAST:
        raise ConfigError(f"--size {size} is too small to judge a painting: take at least {_LEAST}.")
    photos, broken = [], {}
    for name, sides in pictures.sizes.items():
        if max(sides) < size or min(sides) * size // max(sides) < _LEAST_SHORTER:
            raise DataError(
                f"{name} in {pictures.path} is {sides[0]}x{sides[1]}; for --size {size} its longer side must have as many "
                f"pixels, and the shorter one {_LEAST_SHORTER} when shrunk to that. Take it out, or choose another --size."
            )
        try:
            photo = torch.from_numpy(np.array(pictures.open(name, "RGB"))).permute(2, 0, 1)[None].float()
        except UNREADABLE as error:
            broken[name] = reason(error)
            continue
        photo = resize(photo, size / max(sides)).round()
        height, width = (side // multiple * multiple for side in photo.shape[2:])
        photos.append(photo[:, :, :height, :width])
    if not photos:
        raise DataError(f"No photo in {pictures.path} can be decoded, such as {next(iter(broken))}.")
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
        paintings: style name -> float [1, 3, h, w] RGB in 0..255; the network's styles are among them.
        vgg: has the layers of the painter's config.
        reference: what to compare with, and on how many pairs of a photo and a style.
        size: of the photos.

    Raises:
        ConfigError: a style's painting is missing.
        NotFiniteError: a loss became NaN or infinite.
        ExportError: the exported file cannot be run.
    """
    if missing := [style for style in painter.styles if style not in paintings]:
        raise ConfigError(
            f"{painter.path} has the style {missing[0]}, and --styles holds no painting of that name "
            f"(only {', '.join(paintings)}). Name the folder that it was trained with."
        )
    objective = Objective(painter.config, {style: paintings[style] for style in painter.styles}, vgg)
    side = min(min(photo.shape[2:]) for photo in photos)
    objective.balance(torch.cat([_middle(photo, side) for photo in photos]).byte())
    told = painter.config.model_dump() | {"iterations": max(reference.iterations, 1)}
    slow = {start: PaintConfig.model_validate(told | {"start": start}) for start in reference.starts if reference.iterations}
    device = vgg.means.device
    ours, plain = [], []
    histories: dict[Start, list[list[tuple[float, ...]]]] = {start: [] for start in slow}
    pairs = spread(len(photos), len(painter.styles))[: reference.pairs]
    styles = torch.eye(len(painter.styles))
    for photo, style in track([(photos[i], styles[k]) for i, k in pairs], f"Painting at {size} pixels", transient=True):
        there, weights = photo.to(device), style[None].to(device)
        with torch.no_grad():
            content = objective.content(there)
            painted = painter.paint(photo.byte().permute(0, 2, 3, 1), style[None]).permute(0, 3, 1, 2).float().to(device)
            ours.append(_values(objective(painted, content, weights)))
            plain.append(_values(objective(there, content, weights)))
        for start, settings in slow.items():
            history = optimise(settings, objective, there, first_picture(settings, there), style)
            histories[start].append([(losses.content, losses.style, losses.variation) for losses in history])
    config = painter.config
    among = f"{len(pairs)} pairs of " if len(pairs) < len(photos) * len(styles) else ""
    return Evaluated(
        size=size,
        ours=np.mean(ours, axis=0),
        photos=np.mean(plain, axis=0),
        references={start: np.mean(each, axis=0) for start, each in histories.items()},
        method=f"mean over {among}{len(photos)} photos in {len(painter.styles)} styles; weights: content "
        f"{config.content_weight:g}, style {config.style_weight:g} (styles balanced), variation {config.variation_weight:g}; "
        f"L-BFGS from the photo on unless it says noise, {reference.iterations} iterations",
    )


def spread(photos: int, styles: int) -> list[tuple[int, int]]:
    """Every pair of a photo and a style, in an order in which the first few hold all photos and all styles alike."""
    both = math.lcm(photos, styles)
    return [(i % photos, (i + i // both) % styles) for i in range(photos * styles)]


def _values(terms: Terms) -> list[float]:
    return [term.item() for term in terms]


def _middle(photo: Tensor, side: int) -> Tensor:
    """The square in the middle of a photo: what styles are balanced on."""
    top, left = ((length - side) // 2 for length in photo.shape[2:])
    return photo[:, :, top : top + side, left : left + side]


def _trained(folder: Path, device: torch.device) -> Painter:
    run = Run.open(folder)
    if not isinstance(run.plan, StylePlan):
        raise ConfigError(f"{folder} holds a GAN's run; --styles is for stylizers. Leave it out.")
    checkpoint = checkpoint_to_export(run)
    graph = stylizer_graph(run, run.plan, checkpoint).eval().to(device)

    def paint(photos: Tensor, styles: Tensor) -> Tensor:
        ones = torch.ones(len(photos), device=device)
        painted: Tensor = graph(photos.to(device), styles.to(device), ones, 0 * ones)
        return painted

    config = PaintingConfig.model_validate(run.plan.config.model_dump(include=set(PaintingConfig.model_fields)))
    return Painter(folder, paint, tuple(run.plan.styles), config, graph.stylizer.size_multiple, checkpoint["step"])


def _exported(path: Path) -> Painter:
    card = read_card(path)
    if not isinstance(card, StylizerCard):
        raise ConfigError(f"{path} is a generator; --styles is for stylizers. Leave it out.")
    told = {name: value for name, value in card.training_config.items() if name in PaintingConfig.model_fields}
    if told.keys() != PaintingConfig.model_fields.keys():
        raise ExportError(f"The card of {path} does not say what objective it was trained for. Export it anew from its run.")
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise ExportError(f"{path} cannot be run: {first_line(error)}. Export it anew.") from error

    def paint(photos: Tensor, styles: Tensor) -> Tensor:
        ones = np.ones(len(photos), np.float32)
        inputs = {"images": photos.numpy(), "styles": styles.numpy(), "strength": ones, "keep_color": 0 * ones}
        try:
            (pictures,) = session.run([OUTPUT], inputs)
        except Exception as error:
            raise ExportError(f"{path} cannot be run: {first_line(error)}. Export it anew.") from error
        return torch.from_numpy(pictures)

    step = card.training_config.get("trained_steps")
    names = tuple(style.name for style in card.styles)
    return Painter(
        path, paint, names, PaintingConfig.model_validate(told), card.size_multiple, step if isinstance(step, int) else None
    )
