"""Evaluates a generator: fresh samples against real pictures, beside what real pictures score against each other.

    python -m training evaluate MODEL --data FOLDER_OR_ZIP

MODEL is a GAN's run folder or an exported generator. The pictures depend on the seed alone, so a run and its exported file are
measured on the same latents against the same real pictures.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from pydantic import JsonValue
from rich.progress import track
from rich.table import Table
from torch import Tensor

from ganvas.card import OUTPUT, GeneratorCard, Metric
from training.config import Features
from training.data.dataset import load_images
from training.data.image_folder import ImageFolder, require_count, require_size
from training.errors import ConfigError, ExportError, RunError, first_line
from training.export import checkpoint_to_export, generator_graph, write_card
from training.gan.setup import channels_of
from training.metrics.evaluation import four_digits, named, rounded
from training.metrics.features import FeatureNetwork, extract
from training.metrics.fidelity import METRICS, Fidelity, measure
from training.run import GanPlan, Run
from training.table import read_card

_LATENTS, _REAL = 7, 8  # streams of random numbers
_BATCH = 100


@dataclass(frozen=True)
class Candidate:
    """A generator to evaluate, wherever it comes from.

    Attributes:
        path: the run folder or the exported file.
        draw: latents float32 [n, latent_size], on the CPU -> pictures uint8 [n, size, size, channels].
        latent_size: length of a row of latents.
        size: height and width of a picture in pixels.
        channels: 1 or 3.
        features: what it is measured in where nobody asks for anything else.
        step: training steps done; None where the card does not tell.
        images: real pictures shown in them, repeats counted; None where the card does not tell.
    """

    path: Path
    draw: Callable[[Tensor], Tensor]
    latent_size: int
    size: int
    channels: int
    features: Features
    step: int | None
    images: int | None

    @property
    def exported(self) -> bool:
        """Whether it is an exported file, not a run."""
        return self.path.is_file()

    @property
    def progress(self) -> str:
        """How far it was trained, in words to append; empty where that is not known."""
        if self.step is None:
            return ""
        return f"; step {self.step:,}" + ("" if self.images is None else f" ({self.images:,} images)")


@dataclass(frozen=True)
class Settings:
    """How to evaluate.

    Attributes:
        samples: pictures to draw, and real ones to compare them with; fewer where there are not so many real ones.
        neighbours: k, to which a neighbourhood reaches.
        seed: of the latents and of the choice of real pictures.

    Raises:
        ConfigError: too few samples for so many neighbours.
    """

    samples: int = 2000
    neighbours: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples <= self.neighbours:
            raise ConfigError(
                f"--samples {self.samples} are too few for --neighbours {self.neighbours}: take at least "
                f"{self.neighbours + 1}, better thousands."
            )


@dataclass(frozen=True)
class Evaluated:
    """What came of it.

    Attributes:
        fidelity: of the samples.
        floor: of real pictures against others of them: what a perfect generator would have.
        half: real pictures on each side of the floor.
        method: how it was measured, in the card's words.
    """

    fidelity: Fidelity
    floor: Fidelity
    half: int
    method: str

    def table(self) -> Table:
        """A row a metric, to print."""
        table = Table()
        table.add_column("Metric", no_wrap=True)
        for heading in ("Samples", "Floor"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("How to read it")
        ours, floor = asdict(self.fidelity), asdict(self.floor)
        for key, (name, words) in METRICS.items():
            table.add_row(name, *(f"{four_digits(side[key]):,.10g}" for side in (ours, floor)), words)
        return table

    def explain_floor(self, settings: Settings) -> str:
        """What the floor is, in a sentence."""
        said = f"The floor is what {self.half:,} real pictures score against {self.half:,} others"
        if self.half < settings.samples:
            return (
                f"{said}: halves of what there is, for want of {2 * settings.samples:,}; its Frechet distance is too large for "
                "that."
            )
        return f"{said}, as a perfect generator would."

    def metrics(self) -> tuple[Metric, ...]:
        """For the card, unrounded."""
        return named(self.fidelity, self.method)


def load_candidate(path: Path, device: torch.device) -> Candidate:
    """The generator of a run (of the checkpoint that export takes, EMA) or of an exported file.

    Args:
        path: run folder, or .onnx file.
        device: for a run's generator; an exported one is run by onnxruntime on the CPU.

    Raises:
        ConfigError: there is no such path, or it is a stylizer's file.
        RunError: no run, one of a stylizer, or one without checkpoint.
        ExportError: the file is no exported model.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist. Name a run folder or an exported model, NAME.onnx.")
    return _exported(path) if path.is_file() else _trained(path, device)


def choose_real(pictures: ImageFolder, candidate: Candidate, settings: Settings) -> tuple[Tensor, dict[str, str]]:
    """Decode real pictures, chosen by the seed and made as those of a training: twice the samples, for the floor's sake.

    Returns:
        uint8 [N, channels, size, size], N at most 2 `samples`, in random order; and name -> reason for the broken ones.

    Raises:
        DataError: too few, or smaller than the generator's.
    """
    require_count(pictures, 2 * (settings.neighbours + 1))
    require_size(pictures, candidate.size, "--set image_size=...")
    order = np.random.default_rng((settings.seed, _REAL)).permutation(len(pictures.names))
    names = [pictures.names[index] for index in order[: 2 * settings.samples]]
    chosen = replace(pictures, sizes={name: pictures.sizes[name] for name in names})
    return load_images(chosen, candidate.size, candidate.channels)


def evaluate(
    candidate: Candidate, real: Tensor, network: FeatureNetwork, settings: Settings, device: torch.device
) -> Evaluated:
    """Measure.

    Args:
        candidate: whose samples.
        real: from `choose_real`.
        network: what to measure in.
        settings: as `real` was chosen by.
        device: where to compute the features.

    Raises:
        DataError: too few pictures are left, or all are the same.
        ExportError: the exported file does not make what its card says.
    """
    k, seed = settings.neighbours, settings.seed
    count, half = min(settings.samples, len(real)), min(settings.samples, len(real) // 2)

    def features(batches: Iterable[Tensor], number: int, words: str) -> Tensor:
        shown = track(batches, words, total=-(-number // _BATCH), transient=True)
        return extract(network, shown, device=device).to(device)

    theirs = features(real.split(_BATCH), len(real), "Measuring real pictures")
    fresh = features(draw_samples(candidate, count, seed), count, "Measuring samples")
    return Evaluated(
        fidelity=measure(theirs[:count], fresh, k),
        floor=measure(theirs[:half], theirs[half : 2 * half], k),
        half=half,
        method=f"{network.name}; {count:,} samples against {count:,} real pictures, k = {k}, seed {seed}",
    )


@torch.no_grad()
def draw_samples(candidate: Candidate, count: int, seed: int) -> Iterator[Tensor]:
    """Fresh pictures in batches, uint8 [n, channels, size, size], a function of the seed alone."""
    latents = np.random.default_rng((seed, _LATENTS)).standard_normal((count, candidate.latent_size), dtype=np.float32)
    for batch in torch.from_numpy(latents).split(_BATCH):
        yield candidate.draw(batch).permute(0, 3, 1, 2)


def keep_in_card(path: Path, metrics: Iterable[Metric]) -> None:
    """Write metrics into the card of an exported file, in place of those of the same names."""
    card = read_card(path)
    measured = rounded(metrics)
    names = {metric.name for metric in measured}
    others = (metric for metric in card.metrics if metric.name not in names)
    write_card(path, card.model_copy(update={"metrics": (*measured, *others)}))


def _trained(folder: Path, device: torch.device) -> Candidate:
    run = Run.open(folder)
    if not isinstance(run.plan, GanPlan):
        raise RunError(f"{folder} holds a style run. Name the folder of its paintings with --styles.")
    config, checkpoint = run.plan.config, checkpoint_to_export(run)
    graph = generator_graph(run, run.plan, checkpoint).eval().to(device)
    step: int = checkpoint["step"]
    return Candidate(
        path=folder,
        draw=lambda latents: graph(latents.to(device)),
        latent_size=config.latent_size,
        size=config.image_size,
        channels=channels_of(config),
        features=config.features or "inception",
        step=step,
        images=step * config.images_a_step,
    )


def _exported(path: Path) -> Candidate:
    card = read_card(path)
    if not isinstance(card, GeneratorCard):
        raise ConfigError(f"{path} is a stylizer. Name the folder of its paintings with --styles.")
    if card.height != card.width:
        raise ConfigError(f"{path} makes pictures of {card.width} x {card.height} pixels; only square ones can be evaluated.")
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise ExportError(f"{path} cannot be run: {first_line(error)}. Export it anew.") from error

    def draw(latents: Tensor) -> Tensor:
        try:
            (pictures,) = session.run([OUTPUT], {"latents": latents.numpy()})
        except Exception as error:
            raise ExportError(f"{path} cannot be run: {first_line(error)}. Export it anew.") from error
        expected = (len(latents), card.height, card.width, card.channels)
        if (pictures.dtype, pictures.shape) != (np.uint8, expected):
            raise ExportError(
                f"{path} makes {pictures.dtype} {pictures.shape}; its card says uint8 {expected}. Export it anew."
            )
        return torch.from_numpy(pictures)

    step, images = _progress(card.training_config)
    return Candidate(path, draw, card.latent_size, card.height, card.channels, "inception", step, images)


def _progress(config: dict[str, JsonValue]) -> tuple[int | None, int | None]:
    """Steps done and images shown, as far as a card tells."""
    step, batch_size, d_steps = config.get("trained_steps"), config.get("batch_size"), config.get("d_steps", 1)
    if not isinstance(step, int):
        return None, None
    return step, step * batch_size * d_steps if isinstance(batch_size, int) and isinstance(d_steps, int) else None
