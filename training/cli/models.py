"""`python -m training sample` and `evaluate`. Each kind of model brings its own options."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from ganvas.card import Metric
from ganvas.files import write_whole
from training.cli.errors import report_errors
from training.cli.options import Device, Weights, chosen_options, name_of, takes_options_of, warn_unreadable
from training.devices import find_device
from training.errors import ConfigError, RunError
from training.images import format_of
from training.kinds import KINDS, kind_of_model, open_run
from training.metrics.evaluation import Evaluation, write_metrics
from training.run import BEST, LAST


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
