"""`python -m training check`: its options. `training.cli.check_images` does the work."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.errors import report_errors
from training.data.image_folder import require_existing

UNUSABLE = 1
"""Exit code if training would refuse the images as they are."""


@report_errors
def check(
    data: Annotated[Path, typer.Argument(help="Folder or zip of images.", show_default=False)],
    size: Annotated[
        int | None,
        typer.Option(
            min=16,
            max=2048,
            help="Side of the training images in pixels. Default: the largest that fits, at most 64.",
            show_default=False,
        ),
    ] = None,
    style: Annotated[
        bool, typer.Option("--style", help="The images are photos or paintings for a style network, not images for a GAN.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Image to write: the duplicates side by side. Not written if there are none."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Check images before a long training: what can be used, what is left out and why, duplicates, and what to run next.

    Exit code: 0 if training accepts the images, 1 if it would refuse them as they are, 2 if nothing can be read.
    """
    require_existing(data)
    from training.cli.check_images import check_images  # imports torch, which takes seconds: not for help

    if not check_images(data, size, out, style=style, as_json=as_json):
        raise typer.Exit(UNUSABLE)
