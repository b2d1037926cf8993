"""`python -m training evaluate`, `export` and `table`: from a run to a model."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.about import read_about
from training.cli.options import Device, Weights, name_of, name_unreadable
from training.config import Features
from training.data.images import find_pictures
from training.devices import find_device
from training.errors import ConfigError
from training.evaluate import Settings, choose_real, evaluate, keep_in_card, keep_in_run, load_candidate
from training.exits import exits_in_words
from training.export import export_run
from training.metrics.evaluation import EVALUATION, read_evaluation
from training.metrics.features import build_features
from training.run import BEST, Run
from training.table import write_tables


@exits_in_words
def evaluate_(
    model: Annotated[
        Path, typer.Argument(help="Run folder of a GAN, or an exported generator: NAME.onnx.", show_default=False)
    ],
    data: Annotated[Path, typer.Option(help="Folder or zip of real pictures to compare with.", show_default=False)],
    features: Annotated[
        Features | None, typer.Option(help="Network to measure in; left out, the run's own, or inception for a file.")
    ] = None,
    weights: Weights = None,
    samples: Annotated[int, typer.Option(min=2, help="Pictures to draw, and real ones to compare them with.")] = 2000,
    neighbours: Annotated[int, typer.Option(min=1, help="k of precision, recall, density and coverage.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the latents and of the choice of real pictures.")] = 0,
    device: Device = "auto",
    write: Annotated[bool, typer.Option("--write", help="Put the metrics into the card of an exported file.")] = False,
) -> None:
    """Measure a GAN's run or exported generator against real pictures; a run keeps it for its export's card."""
    settings = Settings(samples, neighbours, seed)
    where = find_device(device)
    candidate = load_candidate(model, where)
    if write and not candidate.exported:
        raise ConfigError("--write is for exported files: a run keeps its evaluation, and export writes it to the card.")
    network = build_features(features or candidate.features, weights)
    pictures = find_pictures(data)
    real, broken = choose_real(pictures, candidate, settings)
    name_unreadable(pictures.unreadable | broken)
    evaluated = evaluate(candidate, real, network, settings, where)
    Console().print(evaluated.table())
    typer.echo(f"{evaluated.method}{candidate.progress}.\n{evaluated.explain_floor(settings)}")
    if write:
        keep_in_card(candidate, evaluated)
        typer.echo(f"Wrote them into the card of {model}.")
    elif not candidate.exported:
        typer.echo(f"Wrote {keep_in_run(candidate, evaluated, name_of(data))}; export puts it into the card.")


@exits_in_words
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="File to write: exported/NAME.onnx.", show_default=False)],
    about: Annotated[
        Path | None, typer.Option(help="TOML with title, licence, data and styles; see training/about.py.")
    ] = None,
) -> None:
    """Export a run to one ONNX file, card inside, compared with the trained network."""
    card = export_run(run, out, read_about(about))
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


@exits_in_words
def table(
    exported: Annotated[Path, typer.Argument(help="Folder of exported models.")] = Path("exported"),
    readme: Annotated[Path, typer.Argument(help="The README whose table of models is made anew.")] = Path("README.md"),
) -> None:
    """Make the tables of models in README.md and exported/README.md from the cards."""
    write_tables(exported, readme)
    typer.echo(f"Wrote {exported / 'README.md'} and the table in {readme}.")
