"""`python -m training export` and `table`: from a run to a model and its place in the READMEs."""

from pathlib import Path
from typing import Annotated

import typer

from ganvas.style_file import SUFFIX
from training.cli.errors import report_errors


@report_errors
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Argument(
            help="File to write, NAME.onnx. Default: exported/NAME.onnx, with a name made from --title or the run folder. "
            "NAME.style.json writes only the style NAME, for the model whose network the run extends.",
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
    # These import torch, which takes seconds: not for help.
    from training.card_details import NOT_STATED, read_card_details, with_options
    from training.export import EXPORTED, export_run
    from training.metrics.evaluation import EVALUATION
    from training.onnx_file import model_file
    from training.run import BEST
    from training.style.export import export_style

    details = with_options(
        read_card_details(card), title=title, summary=summary, licence=licence, data_source=data_source,
        data_licence=data_licence,
    )  # fmt: skip
    if out is not None and out.name.endswith(SUFFIX):
        file = export_style(run, out, details)
        typer.echo(
            f"Wrote {out} ({out.stat().st_size / 1e3:.0f} kB): the style {file.name}. Put it beside the model that it fits."
        )
        return
    out = out or EXPORTED / model_file(details.title or run.resolve().name)
    typer.echo(f"Exporting {run}, and comparing the file with the trained network ...", err=True)
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
    from training.table import write_tables  # imports torch, which takes seconds: not for help

    write_tables(exported, readme)
    typer.echo(f"Wrote {exported / 'README.md'} and the table in {readme}.")
