"""Checks claims of the docs about the shipped generators: do they make all kinds of images, equally often?

    python -m benchmarks.shipped_gans --digits digits-28.zip [--model exported/digits.onnx] [--truncation 0.7]
    python -m benchmarks.shipped_gans --heads [--model exported/toon-heads.onnx]

A small network classifies the digits. It is trained here on 90% of the real digits and tested on the others. It also says
how often a digit that is asked for by name is that digit, with seeds 0 to 199 of the service for each. Heads are
classified by the colour of their corners; the drawings have five background colours.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
import torch.nn.functional as F
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from ganvas.card import LATENTS, METADATA_KEY, OUTPUT, GeneratorCard, parse_card
from service.engine.classes import with_classes
from service.engine.latents import first_of_each
from training.data.dataset import load_images
from training.data.image_folder import open_image_folder
from training.onnx_file import ExportedModel

SAMPLES = 2000
SEEDS = 200
SURE = 0.9
"""The classifier is sure of a digit from this probability on."""

BACKGROUNDS = ("b6e3f4", "c0aede", "d1d4f9", "ffd5dc", "ffdfbf")
_CORNER = 6  # pixels
_EPOCHS = 12
_BATCH = 100

Bytes = npt.NDArray[np.uint8]


def sample(model: Path, count: int, seed: int = 0, truncation: float = 1) -> Bytes:
    """Sample images of an exported generator, with latents multiplied by `truncation`: uint8 [count, h, w, c]."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    card = parse_card(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    if not isinstance(card, GeneratorCard):
        raise typer.BadParameter(f"{model} is not a generator.")
    latents = np.random.default_rng(seed).standard_normal((count, card.latent_size), dtype=np.float32) * np.float32(truncation)
    rows = (session.run([OUTPUT], {LATENTS: batch})[0] for batch in np.split(latents, range(_BATCH, count, _BATCH)))
    return np.concatenate(list(rows))


def sample_class(model: Path, number: int, count: int = SEEDS, truncation: float = 1) -> Bytes:
    """The images that the service makes of a class for the seeds from 0 on: uint8 [count, h, w, c]."""
    exported = ExportedModel(model, GeneratorCard)
    latents = first_of_each(range(count), exported.card.latent_size) * np.float32(truncation)
    return exported.run({LATENTS: with_classes(latents, np.full(count, number), len(exported.card.classes))})


def read_digits(data: Path) -> tuple[Tensor, Tensor]:
    """Read all digits and their classes (the names of their folders): uint8 [N, 1, 28, 28] and int64 [N]."""
    folder = open_image_folder(data)
    real_images, broken = load_images(folder, 28, 1)
    names = [name for name in folder.names if name not in broken]
    return real_images, torch.tensor([int(name.split("/")[-2]) for name in names])


def train_classifier(digits: Tensor, classes: Tensor) -> tuple[nn.Module, float, float]:
    """Train a small convolutional network. Returns it, and the fractions of unseen digits it is right about and sure of."""
    torch.manual_seed(0)
    order = torch.randperm(len(digits))
    test, learn = order[: len(order) // 10], order[len(order) // 10 :]
    network = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in track(range(_EPOCHS), "Training the classifier"):
        for batch in learn[torch.randperm(len(learn))].split(_BATCH):
            shift = [int(step) for step in torch.randint(-2, 3, (2,))]
            loss = F.cross_entropy(network(digits[batch].float().roll(shift, (2, 3)) / 255), classes[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    chances, kinds = _classify(network, digits[test]).max(dim=1)
    return network, float((kinds == classes[test]).float().mean()), float((chances >= SURE).float().mean())


@torch.no_grad()
def _classify(network: nn.Module, digits: Tensor) -> Tensor:
    return torch.cat([network(batch.float() / 255).softmax(1) for batch in digits.split(_BATCH)])


def background(images: Bytes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """For each image [h, w, 3], the index in `BACKGROUNDS` nearest to its upper corners, and the RMS distance in levels."""
    corners = np.concatenate([images[:, :_CORNER, :_CORNER], images[:, :_CORNER, -_CORNER:]], axis=2)
    colours = np.array([list(bytes.fromhex(colour)) for colour in BACKGROUNDS], dtype=float)
    distances = np.sqrt(((corners.mean(axis=(1, 2))[:, None] - colours) ** 2).mean(axis=2))
    return distances.argmin(axis=1), distances.min(axis=1)


def _print_shares(title: str, names: Sequence[str], kinds: npt.NDArray[np.intp]) -> None:
    table = Table("kind", "fraction", title=title)
    for kind, name in enumerate(names):
        table.add_row(name, f"{(kinds == kind).mean():.1%}")
    Console().print(table)


def main(
    digits: Annotated[Path | None, typer.Option(help="Zip or folder of digits, with one folder per class.")] = None,
    heads: Annotated[bool, typer.Option("--heads", help="Check the backgrounds of the heads.")] = False,
    model: Annotated[Path | None, typer.Option(help="Exported generator. Default: the shipped one.")] = None,
    truncation: Annotated[float, typer.Option(min=0, max=1, help="Factor of the latents, as in /v1/sample.")] = 1,
) -> None:
    """Print the fraction of each kind of image among 2,000 samples."""
    if digits:
        network, accuracy, sure_of_real = train_classifier(*read_digits(digits))
        images = sample(model or Path("exported/digits.onnx"), SAMPLES, truncation=truncation)
        chances, kinds = _classify(network, torch.from_numpy(images).permute(0, 3, 1, 2)).max(dim=1)
        _print_shares("Digits", [str(digit) for digit in range(10)], kinds.numpy())
        sure = (chances >= SURE).float().mean()
        typer.echo(
            f"The classifier is right about {accuracy:.1%} of unseen real digits. It is sure (>= {SURE}) of {sure_of_real:.1%} "
            f"of them and of {sure:.1%} of samples."
        )
        by_name = Table("asked for", "is", "taken for", title=f"{SEEDS} of each digit by name")
        right = 0
        for digit in range(10):
            named = sample_class(model or Path("exported/digits.onnx"), digit, truncation=truncation)
            kinds = _classify(network, torch.from_numpy(named).permute(0, 3, 1, 2)).argmax(dim=1)
            counts = torch.bincount(kinds, minlength=10).tolist()
            right += counts[digit]
            others = ", ".join(f"{other}: {count}" for other, count in enumerate(counts) if count and other != digit)
            by_name.add_row(str(digit), f"{counts[digit] / SEEDS:.1%}", others)
        Console().print(by_name)
        typer.echo(f"{right / (10 * SEEDS):.1%} of the digits that are asked for by name are these digits.")
    if heads:
        nearest, distances = background(sample(model or Path("exported/toon-heads.onnx"), SAMPLES, truncation=truncation))
        _print_shares("Backgrounds", BACKGROUNDS, nearest)
        typer.echo(
            f"Distance to the nearest background in grey levels: median {np.median(distances):.1f}, 90% below "
            f"{np.quantile(distances, 0.9):.1f}."
        )
    if not (digits or heads):
        sys.exit("Nothing to check. Use --digits ZIP or --heads.")


if __name__ == "__main__":
    typer.run(main)
