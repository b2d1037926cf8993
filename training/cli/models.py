"""`python -m training sample`, `evaluate`, `export` and `table`: from a run to a model."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from ganvas.card import Metric
from ganvas.files import write_whole
from training.card_details import NOT_STATED, read_card_details, with_options
from training.cli.errors import report_errors
from training.cli.options import Device, Weights, chosen_options, name_of, takes_options_of, warn_unreadable
from training.devices import find_device
from training.errors import ConfigError, RunError
from training.export import EXPORTED, export_run
from training.images import format_of
from training.kinds import KINDS, kind_of_model, open_run
from training.metrics.evaluation import EVALUATION, Evaluation, write_metrics
from training.onnx_file import model_file
from training.run import BEST, LAST
from training.table import write_tables


@report_errors
@takes_options_of({name: kind.sample_options for name, kind in KINDS.items()})
def sample(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Image to write: .png, .jpg or .webp.", show_default=False)],
    checkpoint: Annotated[
        Literal["best", "last"] | None,
        typer.Option(help="Checkpoint to sample from. Default: best if the run keeps one, else last.", show_default=False),
    ] = None,
    device: Device = "auto",
    **options: Any,
) -> None:
    """Write a sheet of samples from a run. The help of an option names the kinds of runs that have it."""
    image_format = format_of(out)
    kind, opened = open_run(run)
    chosen = chosen_options(context, options, kind.sample_options, f"{run}, a {kind.name} run,")
    state = opened.load_checkpoint({"best": BEST, "last": LAST}[checkpoint]) if checkpoint else opened.checkpoint_to_export()
    if state is None:
        raise RunError(f"{run} has no {checkpoint} checkpoint. Leave --checkpoint out, or train the run longer.")
    sheet = kind.sample(opened, state, chosen, find_device(device))
    write_whole(out, lambda partial: sheet.save(partial, format=image_format))
    typer.echo(f"Wrote {out}, from step {state['step']:,}.")


@report_errors
@takes_options_of({name: kind.evaluate_options for name, kind in KINDS.items()})
def evaluate(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="Run folder, or an exported model: NAME.onnx.", show_default=False)],
    data: Annotated[
        Path, typer.Option(help="Folder or zip of images to measure with; see docs/training.md.", show_default=False)
    ],
    weights: Weights = None,
    device: Device = "auto",
    write: Annotated[bool, typer.Option("--write", help="Put the metrics into the card of an exported file.")] = False,
    **options: Any,
) -> None:
    """Measure a run or an exported model. The help of an option names the kinds of runs that have it."""
    if write and not model.is_file():
        raise ConfigError("--write is for exported files. A run keeps its evaluation, and export writes it to the card.")
    kind = kind_of_model(model)
    chosen = chosen_options(context, options, kind.evaluate_options, str(model))
    metrics: tuple[Metric, ...] = ()
    step = None
    for measured in kind.evaluate(model, data, chosen, weights, find_device(device)):
        warn_unreadable(measured.unreadable)
        Console().print(measured.table)
        typer.echo(measured.explanation)
        metrics, step = metrics + measured.metrics, measured.step
    if write:
        write_metrics(model, metrics)
        typer.echo(f"Wrote the metrics into the card of {model}.")
    elif model.is_dir():
        assert step is not None  # noqa: S101  a run knows its step
        written = Evaluation(step=step, data=name_of(data), metrics=metrics).write(model)
        kind.write_report(model, open_run(model)[1].plan)
        typer.echo(f"Wrote {written}. Export puts the metrics into the card.")


@report_errors
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Argument(
            help="File to write, NAME.onnx. Default: exported/NAME.onnx, with a name made from --title or the run folder.",
            show_default=False,
        ),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with title, licence, training data and styles; see training/card_details.py.", show_default=False
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Title for the card. Default: made from the name.", show_default=False)
    ] = None,
    summary: Annotated[
        str | None, typer.Option(help="What the model makes, in a sentence. Default: made from the run.", show_default=False)
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", "--license", help="Licence of the model, such as CC BY 4.0.", show_default=False)
    ] = None,
    data_source: Annotated[str | None, typer.Option(help="Where the training images come from.", show_default=False)] = None,
    data_licence: Annotated[
        str | None,
        typer.Option("--data-licence", "--data-license", help="Licence of the training images.", show_default=False),
    ] = None,
) -> None:
    """Export a run to one ONNX file with its card inside, compared with the trained network."""
    details = with_options(
        read_card_details(card), title=title, summary=summary, licence=licence, data_source=data_source,
        data_licence=data_licence,
    )  # fmt: skip
    out = out or EXPORTED / model_file(details.title or run.resolve().name)
    exported = export_run(run, out, details)
    if exported.card.licence == NOT_STATED:
        typer.secho(
            'The card states no licence. To state one, export again with --licence "CC BY 4.0", or the licence that you chose.',
            fg="yellow",
            err=True,
        )
    if exported.outdated:
        typer.secho(
            f"{run / EVALUATION} measured step {exported.outdated.step}, and this is step {exported.step}, so its metrics are "
            "left out of the card. Evaluate the run again and export it again.",
            fg="yellow",
            err=True,
        )
    if exported.step != exported.steps:
        which = "the best by Frechet distance" if (run / BEST).is_file() else "the last so far"
        typer.secho(f"This is the checkpoint of step {exported.step} of {exported.steps}: {which}.", fg="yellow", err=True)
    typer.echo(
        f"Wrote {out} ({exported.card.kind}, {out.stat().st_size / 1e6:.1f} MB). Its images are those of the trained network, "
        "within one grey level."
    )


@report_errors
def table(
    exported: Annotated[Path, typer.Argument(help="Folder of exported models.")] = Path("exported"),
    readme: Annotated[Path, typer.Argument(help="README whose table of models is replaced.")] = Path("README.md"),
) -> None:
    """Make the tables of models in README.md and exported/README.md from the cards."""
    write_tables(exported, readme)
    typer.echo(f"Wrote {exported / 'README.md'} and the table in {readme}.")
