"""`python -m training evaluate`, `export` and `table`: from a run to a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console

from ganvas.card import Metric
from training.card_details import read_card_details
from training.cli.errors import report_errors
from training.cli.options import Device, Weights, name_of, warn_unreadable
from training.config import Features
from training.data.image_folder import open_image_folder
from training.data.paintings import load_paintings
from training.devices import find_device
from training.errors import ConfigError
from training.export import export_run
from training.gan.evaluate import Settings, choose_real, evaluate, keep_in_card, load_candidate
from training.metrics.evaluation import EVALUATION, Evaluation, read_evaluation
from training.metrics.features import build_features
from training.run import BEST, Run
from training.style.config import Start
from training.style.evaluate import Reference, choose_photos, evaluate_painter, load_painter
from training.style.objective import features_for
from training.style.quantize import PHOTOS, int8_stylizer
from training.table import write_tables
from training.vgg import VggFeatures


@report_errors
def evaluate_(
    model: Annotated[Path, typer.Argument(help="Run folder, or an exported model: NAME.onnx.", show_default=False)],
    data: Annotated[
        Path, typer.Option(help="Folder or zip: real pictures to compare with, or photos to paint.", show_default=False)
    ],
    features: Annotated[
        Features | None, typer.Option(help="Network to measure in; left out, the run's own, or inception for a file.")
    ] = None,
    weights: Weights = None,
    samples: Annotated[int, typer.Option(min=2, help="Images to generate, and real ones to compare them with.")] = 2000,
    neighbours: Annotated[int, typer.Option(min=1, help="k of precision, recall, density and coverage.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the latents and of the choice of real pictures.")] = 0,
    styles: Annotated[
        Path | None, typer.Option(help="Of a stylizer: folder or zip of its paintings, by the names of its styles.")
    ] = None,
    size: Annotated[list[int], typer.Option(help="Of a stylizer: longer side of the photos in pixels. Repeatable.")] = [256],  # noqa: B006
    iterations: Annotated[int, typer.Option(min=0, help="Of a stylizer: L-BFGS iterations to compare with.")] = 50,
    start: Annotated[
        Literal["content", "noise", "both"],
        typer.Option(help="Of a stylizer: where L-BFGS starts, the photo (content) or noise."),
    ] = "content",
    pairs: Annotated[
        int | None, typer.Option(min=1, help="Of a stylizer: pairs of a photo and a style, spread evenly; left out, all.")
    ] = None,
    device: Device = "auto",
    write: Annotated[bool, typer.Option("--write", help="Put the metrics into the card of an exported file.")] = False,
) -> None:
    """Measure a model: a generator against real pictures, a stylizer (--styles) against painting by optimisation."""
    if write and not model.is_file():
        raise ConfigError("--write is for exported files: a run keeps its evaluation, and export writes it to the card.")
    where = find_device(device)
    if styles is None:
        step, metrics = _evaluate_generator(model, data, features, weights, Settings(samples, neighbours, seed), where)
    else:
        starts: tuple[Start, ...] = ("content", "noise") if start == "both" else (start,)
        step, metrics = _evaluate_stylizer(model, data, styles, weights, size, Reference(iterations, starts, pairs), where)
    if write:
        keep_in_card(model, metrics)
        typer.echo(f"Wrote them into the card of {model}.")
    elif model.is_dir():
        assert step is not None  # noqa: S101  a run knows it
        written = Evaluation(step=step, data=name_of(data), metrics=metrics).write(model)
        typer.echo(f"Wrote {written}; export puts it into the card.")


def _evaluate_generator(
    model: Path, data: Path, features: Features | None, weights: Path | None, settings: Settings, where: torch.device
) -> tuple[int | None, tuple[Metric, ...]]:
    candidate = load_candidate(model, where)
    network = build_features(features or candidate.features, weights)
    pictures = open_image_folder(data)
    real, broken = choose_real(pictures, candidate, settings)
    warn_unreadable(pictures.unreadable | broken)
    evaluated = evaluate(candidate, real, network, settings, where)
    Console().print(evaluated.table())
    typer.echo(f"{evaluated.method}{candidate.progress}.\n{evaluated.explain_floor(settings)}")
    return candidate.step, evaluated.metrics()


def _evaluate_stylizer(
    model: Path, data: Path, styles: Path, weights: Path | None, sizes: Sequence[int], reference: Reference, where: torch.device
) -> tuple[int | None, tuple[Metric, ...]]:
    painter = load_painter(model, where)
    photos, found = open_image_folder(data), open_image_folder(styles)
    paintings, _, broken = load_paintings(found, painter.config.style_size)
    warn_unreadable(photos.unreadable | found.unreadable | broken)
    vgg = VggFeatures(features_for(painter.config), weights, option="--weights").to(where)
    metrics: tuple[Metric, ...] = ()
    for size in sizes:
        chosen, broken = choose_photos(photos, size, painter.multiple)
        warn_unreadable(broken)
        evaluated = evaluate_painter(painter, chosen, paintings, vgg, reference, size)
        Console().print(evaluated.table())
        typer.echo(f"{evaluated.method}.\n{evaluated.explain()}")
        metrics += evaluated.metrics()
    return painter.step, metrics


@report_errors
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="File to write: exported/NAME.onnx.", show_default=False)],
    about: Annotated[
        Path | None, typer.Option(help="TOML with title, licence, data and styles; see training/card_details.py.")
    ] = None,
) -> None:
    """Export a run to one ONNX file, card inside, compared with the trained network."""
    card = export_run(run, out, read_card_details(about))
    size = out.stat().st_size / 1e6
    trained, planned = card.training_config["trained_steps"], Run.open(run).plan.config.steps
    evaluation = read_evaluation(run)
    if evaluation and evaluation.step != trained:
        typer.secho(
            f"{run / EVALUATION} is of step {evaluation.step}, and this is step {trained}: its metrics are left out of the "
            "card. Evaluate the run anew and export it again.",
            fg="yellow",
            err=True,
        )
    if trained != planned:
        which = "the best by Frechet distance" if (run / BEST).is_file() else "the last so far"
        typer.secho(f"This is the checkpoint of step {trained} of {planned}: {which}.", fg="yellow", err=True)
    typer.echo(f"Wrote {out} ({card.kind}, {size:.1f} MB): the same pictures as the trained network, within one grey level.")


@report_errors
def int8(
    exported: Annotated[Path, typer.Argument(help="Exported stylizer.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="File to write: exported/NAME.onnx.", show_default=False)],
    content: Annotated[
        Path,
        typer.Option(help=f"Folder or zip of photos: {PHOTOS} tell how large activations become.", show_default=False),
    ],
) -> None:
    """Write a stylizer anew with its convolutions in int8: faster on CPUs with VNNI, a little off in its pictures."""
    photos = open_image_folder(content)
    warn_unreadable(photos.unreadable)
    levels = int8_stylizer(exported, out, photos)
    typer.echo(
        f"Wrote {out} ({out.stat().st_size / 1e6:.1f} MB): its pictures are {levels:.1f} grey levels from those of {exported} "
        "in the mean. Measure it with python -m training evaluate."
    )


@report_errors
def table(
    exported: Annotated[Path, typer.Argument(help="Folder of exported models.")] = Path("exported"),
    readme: Annotated[Path, typer.Argument(help="The README whose table of models is made anew.")] = Path("README.md"),
) -> None:
    """Make the tables of models in README.md and exported/README.md from the cards."""
    write_tables(exported, readme)
    typer.echo(f"Wrote {exported / 'README.md'} and the table in {readme}.")
