"""Evaluates a generator: scores its samples against real images, and other real images in their place as a comparison.

    python -m training evaluate MODEL --data FOLDER_OR_ZIP

MODEL is a GAN's run folder or an exported generator. The samples depend on the seed alone, so a run and its exported file are
measured on the same latents against the same real images.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from pydantic import JsonValue
from rich.table import Table
from torch import Tensor

from ganvas.card import LATENTS, GeneratorCard
from training.config import Features
from training.console import track
from training.data.dataset import ImageDataset, load_images
from training.data.image_folder import ImageFolder, open_image_folder, require_count, require_size
from training.errors import ConfigError
from training.gan.export import generator_graph
from training.gan.images import rows_of_pass
from training.gan.plan import GanPlan
from training.gan.setup import channels_of
from training.images import ALPHA
from training.metrics.evaluation import Measurement, four_digits, named
from training.metrics.features import FeatureNetwork, Pixels, build_features, extract
from training.metrics.fidelity import METRICS, Fidelity, measure
from training.onnx_file import ExportedModel
from training.random import Stream, draw_latents, numpy_rng
from training.run import Run


@dataclass(frozen=True)
class EvaluateOptions:
    """Options of `python -m training evaluate` for a generator.

    Raises:
        ConfigError: there are fewer samples than neighbours need.
    """

    features: Annotated[
        Features | None,
        typer.Option(help="Network to measure in. Default: that of the run, or inception for a file."),
    ] = None
    samples: Annotated[int, typer.Option(min=2, help="Number of samples, and of real images.")] = 2000
    neighbours: Annotated[int, typer.Option(min=1, help="k of precision, recall, density and coverage.")] = 5
    seed: Annotated[int, typer.Option(min=0, help="Seed of the latents and of the choice of real images.")] = 0

    def __post_init__(self) -> None:
        if self.samples <= self.neighbours:
            raise ConfigError(
                f"--samples {self.samples} are too few for --neighbours {self.neighbours}. Take at least "
                f"{self.neighbours + 1}, better thousands."
            )


@dataclass(frozen=True)
class Candidate:
    """A generator to evaluate, from a run or from a file.

    Attributes:
        draw: latents float32 [n, latent_size], on the CPU -> images uint8 [n, size, size, channels].
        latent_size: length of a row of latents.
        size: height and width of an image in pixels.
        channels: 1, 3 or 4.
        features: network to measure in if no option names one.
        step: training steps done; None if the card does not state them.
        images: real images shown in these steps, repeats counted; None if the card does not state them.
    """

    draw: Callable[[Tensor], Tensor]
    latent_size: int
    size: int
    channels: int
    features: Features
    step: int | None
    images: int | None

    @property
    def progress(self) -> str:
        """How far the generator was trained, in words to append; empty if unknown."""
        if self.step is None:
            return ""
        return f"; step {self.step:,}" + ("" if self.images is None else f" ({self.images:,} images)")


@dataclass(frozen=True)
class Scores:
    """The scores of a generator.

    Attributes:
        fidelity: of the samples, against real images.
        real: of the same number of other real images in place of the samples, as a perfect generator would score.
        count: number of samples, of real images, and of other real images.
        method: how the scores were measured, as the card states it.
    """

    fidelity: Fidelity
    real: Fidelity
    count: int
    method: str

    def table(self) -> Table:
        """One row a metric."""
        table = Table()
        table.add_column("Metric", no_wrap=True)
        for heading in ("Samples", "Real images"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("How to read it")
        ours, real = asdict(self.fidelity), asdict(self.real)
        for key, (name, words) in METRICS.items():
            table.add_row(name, *(f"{four_digits(side[key]):,.10g}" for side in (ours, real)), words)
        return table

    def explain(self, asked: int) -> str:
        """What real images score, and whether there were fewer images than asked for."""
        real = f"Real images: the score of {self.count:,} other real images, which a perfect generator would reach."
        if self.count < asked:
            return (
                f"{real} There are too few images for {asked:,} against {asked:,}, so all Frechet distances are larger than "
                "with more images."
            )
        return real


def evaluate_generator(
    model: Path, data: Path, options: EvaluateOptions, weights: Path | None, device: torch.device
) -> Iterator[Measurement]:
    """See `training.kind.Kind`."""
    candidate = load_candidate(model, device)
    network = build_features(options.features or candidate.features, weights)
    folder = open_image_folder(data)
    real, broken = choose_real(folder, candidate, options)
    scores = evaluate(candidate, real, network, options, device)
    yield Measurement(
        table=scores.table(),
        explanation=f"{scores.method}{candidate.progress}.\n{scores.explain(options.samples)}",
        metrics=named(scores.fidelity, scores.real, scores.method),
        step=candidate.step,
        unreadable=folder.unreadable | broken,
    )


def load_candidate(path: Path, device: torch.device) -> Candidate:
    """The generator of a run (the averaged one, of the checkpoint that export takes) or of an exported file.

    Args:
        path: run folder or .onnx file.
        device: for a run's generator. onnxruntime runs an exported one on the CPU.

    Raises:
        RunError: there is no run, a run of another kind, or a run without checkpoint.
        ConfigError: the images of the exported file are not square.
        ExportError: the file is not an exported generator.
    """
    return _exported(path) if path.is_file() else _trained(path, device)


def choose_real(folder: ImageFolder, candidate: Candidate, options: EvaluateOptions) -> ImageDataset:
    """Decode real images as training does: two sets of at most `samples` images, one to measure the other.

    Returns:
        At most 2 `samples` images in random order.

    Raises:
        DataError: there are too few images, or one is smaller than the generator's.
    """
    require_count(folder, 2 * (options.neighbours + 1))
    require_size(folder, candidate.size, "--set image_size=...")
    order = numpy_rng(options.seed, Stream.EVALUATE_IMAGES).permutation(len(folder.names))
    names = [folder.names[index] for index in order[: 2 * options.samples]]
    chosen = replace(folder, sizes={name: folder.sizes[name] for name in names})
    return load_images(chosen, candidate.size, candidate.channels)


def evaluate(
    candidate: Candidate, real: Tensor, network: FeatureNetwork, options: EvaluateOptions, device: torch.device
) -> Scores:
    """Measure a generator.

    Args:
        candidate: the generator.
        real: images from `choose_real`.
        network: what to measure in.
        options: the same as for `choose_real`.
        device: where to compute the features.

    Raises:
        DataError: too few images are left, or all are the same.
        ExportError: the exported file does not make what its card says.
    """
    k, seed = options.neighbours, options.seed
    count = min(options.samples, len(real) // 2)  # both comparisons: distances of different numbers cannot be compared

    rows = rows_of_pass(candidate.size)

    def features(batches: Iterable[Tensor], number: int, words: str) -> Tensor:
        shown = track(batches, words, total=-(-number // rows), unit="batch")
        return extract(network, shown, device=device).to(device)

    theirs = features(real.split(rows), len(real), "Measuring real images")
    ours = features(draw_samples(candidate, count, seed), count, "Measuring samples")
    over = ", transparency on grey" if candidate.channels == ALPHA + 1 and not isinstance(network, Pixels) else ""
    return Scores(
        fidelity=measure(theirs[:count], ours, k),
        real=measure(theirs[:count], theirs[count : 2 * count], k),
        count=count,
        method=f"{network.name}{over}; {count:,} samples against {count:,} real images, k = {k}, seed {seed}",
    )


@torch.no_grad()
def draw_samples(candidate: Candidate, count: int, seed: int) -> Iterator[Tensor]:
    """Samples in batches, uint8 [n, channels, size, size]. They depend on the seed alone."""
    latents = draw_latents(seed, Stream.EVALUATE_LATENTS, count=count, size=candidate.latent_size)
    for batch in latents.split(rows_of_pass(candidate.size)):
        yield candidate.draw(batch).permute(0, 3, 1, 2)


def _trained(folder: Path, device: torch.device) -> Candidate:
    run = Run.open(folder, GanPlan)
    config, checkpoint = run.plan.config, run.checkpoint_to_export()
    graph = generator_graph(run, checkpoint).to(device)
    step: int = checkpoint["step"]
    return Candidate(
        draw=lambda latents: graph(latents.to(device)),
        latent_size=config.latent_size,
        size=config.image_size,
        channels=channels_of(config),
        features=config.evaluation.network or "inception",
        step=step,
        images=step * config.images_per_step,
    )


def _exported(path: Path) -> Candidate:
    model = ExportedModel(path, GeneratorCard)
    card = model.card
    if card.height != card.width:
        raise ConfigError(f"{path} makes images of {card.width} x {card.height} pixels. Only square images can be evaluated.")
    step, images = _progress(card.training_config)
    return Candidate(
        draw=lambda latents: torch.from_numpy(model.run({LATENTS: latents.numpy()})),
        latent_size=card.latent_size,
        size=card.height,
        channels=card.channels,
        features="inception",
        step=step,
        images=images,
    )


def _progress(config: dict[str, JsonValue]) -> tuple[int | None, int | None]:
    """Steps done and images shown, if the card says so."""
    step, batch_size, d_steps = config.get("trained_steps"), config.get("batch_size"), config.get("d_steps", 1)
    if not isinstance(step, int):
        return None, None
    return step, step * batch_size * d_steps if isinstance(batch_size, int) and isinstance(d_steps, int) else None
