"""`python -m training style`, `paint` and `int8`."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.errors import report_errors
from training.cli.options import AutoResume, Begin, Config, Device, Out, Resume, Set, Threads, Vgg, warn_unreadable
from training.data.image_folder import open_image_folder, require_existing
from training.program import command


@report_errors
def style(
    styles: Annotated[
        Path,
        typer.Option(
            help="Folder or zip of paintings, or one painting. Each becomes a style, named like its file.", show_default=False
        ),
    ],
    content: Annotated[Path, typer.Option(help="Folder or zip of photos to train on.", show_default=False)],
    out: Out,
    config: Config = None,
    set_: Set = [],  # noqa: B006
    vgg: Vgg = None,
    extend: Annotated[
        Path | None, typer.Option(help="Add the paintings to this run's network. Its own styles do not change.")
    ] = None,
    begin: Begin = None,
    resume: Resume = False,
    auto_resume: AutoResume = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Train one style network on every painting of a folder. The default is --config style; without a GPU, use style-cpu."""
    for folder in (styles, content):
        require_existing(folder)
    from training.cli.train_style import train  # imports torch, which takes seconds: not for help

    train(
        styles=styles, content=content, out=out, config=config, changes=set_, vgg=vgg, extend=extend, begin=begin,
        resume=resume, auto_resume=auto_resume, device=device, threads=threads,
    )  # fmt: skip


@report_errors
def paint(
    content: Annotated[Path, typer.Option(help="Photo to paint.", show_default=False)],
    style: Annotated[
        list[str],
        typer.Option(
            help="Painting to imitate. Repeatable, with weights: --style night.jpg:0.7 --style wave.jpg:0.3.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Image to write: .png, .jpg or .webp.", show_default=False)],
    config: Config = None,
    set_: Set = [],  # noqa: B006
    vgg: Vgg = None,
    device: Device = "auto",
) -> None:
    """Paint one photo by optimisation (Gatys et al.): slow, and the reference for the fast network."""
    from training.cli.paint_photo import paint_photo  # imports torch, which takes seconds: not for help

    paint_photo(content=content, styles=style, out=out, config=config, changes=set_, vgg=vgg, device=device)


@report_errors
def int8(
    exported: Annotated[Path, typer.Argument(help="Exported stylizer.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="File to write: exported/NAME.onnx.", show_default=False)],
    content: Annotated[
        Path,
        typer.Option(help="Folder or zip of photos. The first of them calibrate the activations.", show_default=False),
    ],
) -> None:
    """Convert the convolutions of a stylizer to int8: faster on CPUs with VNNI, with slightly different images."""
    from training.style.quantize import int8_stylizer  # imports onnxruntime, which takes seconds: not for help

    photos = open_image_folder(content)
    warn_unreadable(photos.unreadable)
    difference = int8_stylizer(exported, out, photos)
    typer.echo(
        f"Wrote {out} ({out.stat().st_size / 1e6:.1f} MB). Its images differ from those of {exported} by {difference:.1f} grey "
        f"levels on average. Measure it: {command('evaluate', str(out), '--data', 'PHOTOS', '--styles', 'PAINTINGS')}"
    )
