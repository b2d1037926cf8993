"""`ganvas stylize` and `ganvas sheet`: photos in other styles."""

import glob
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ganvas import api
from ganvas.api import ImageFormat, formats_by_suffix
from ganvas.batches.runner import MAX_CONCURRENCY
from ganvas.cli.errors import print_json, report_errors
from ganvas.cli.options import IMAGE_SUFFIXES, Json, MaxConcurrency, Progress, SheetModel, StyleName, StylizerName, Url
from ganvas.cli.output import STDOUT, check_target, format_of, is_folder, report_batch, write_result
from ganvas.cli.running import with_client
from ganvas.cli.style_sheet import stylize_in_every_style
from ganvas.client import AsyncClient, Client
from ganvas.files import write_whole
from ganvas.uploads import ImageSource

Strength = Annotated[float, typer.Option(help=f"{api.STRENGTH}. 0 returns the photo unchanged, 1 applies the style fully.")]
KeepColor = Annotated[
    float, typer.Option(help=f"{api.KEEP_COLOR}. 0 takes the colours of the style, 1 keeps those of the photo.")
]
Brush = Annotated[float, typer.Option(help=f"{api.BRUSH}. Size of the strokes: 1 as trained, 2 twice as large.")]


@report_errors
def stylize(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Photos: files, folders with their subfolders, quoted patterns, or - for stdin.", show_default=False
        ),
    ],
    style: StyleName = None,
    model: StylizerName = None,
    strength: Strength = api.STRENGTH.default,
    keep_color: KeepColor = api.KEEP_COLOR.default,
    brush: Brush = api.BRUSH.default,
    max_side: Annotated[
        int | None,
        typer.Option(
            help="Shrink larger photos until their longer side has this many pixels.", show_default="set by the service"
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="For one photo: a file, or - for stdout. For several: a folder. The same command continues a stopped batch.",
            show_default="PHOTO-MODEL.jpg; stdout for stdin",
        ),
    ] = None,
    format: Annotated[
        ImageFormat | None,
        typer.Option(help="Needed if the file's suffix does not name the format; jpeg for a folder.", show_default=False),
    ] = None,
    max_concurrency: MaxConcurrency = MAX_CONCURRENCY,
    progress: Progress = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Stylize photos in one style, or in a blend of several."""
    is_stdin = STDOUT in sources
    if is_stdin and len(sources) > 1:
        raise ValueError("- reads one photo from stdin and cannot be combined with files.")
    if not is_stdin:
        _check_sources(sources)
    if is_stdin or (len(sources) == 1 and Path(sources[0]).is_file() and not is_folder(out)):
        target = STDOUT if is_stdin and out is None else out
        chosen = format_of(target, format, api.IMAGE_FORMATS, api.DEFAULT_STYLIZE_FORMAT)
        check_target(target, as_json=as_json)
        photo: ImageSource = sys.stdin.buffer.read() if is_stdin else sources[0]
        with Client(url) as client:
            result = client.stylize(
                photo,
                style=style,
                model=model,
                strength=strength,
                keep_color=keep_color,
                brush=brush,
                max_side=max_side,
                format=chosen,
            )
        write_result(result, target, as_json=as_json)
        return
    if out is None or out == STDOUT or Path(out).is_file():
        raise ValueError("Several photos need a folder for their images. Name one with --out.")
    if not is_folder(out) and Path(out).suffix.lower() in formats_by_suffix(api.IMAGE_FORMATS):
        raise ValueError(f"Several photos need a folder, and {out} is the name of an image. For a folder, write {out}/.")

    async def run(client: AsyncClient) -> None:
        report = await client.stylize_many(
            sources,
            out,
            style=style,
            model=model,
            strength=strength,
            keep_color=keep_color,
            brush=brush,
            max_side=max_side,
            format=format or api.DEFAULT_STYLIZE_FORMAT,
            max_concurrency=max_concurrency,
            progress=progress,
        )
        report_batch(report, as_json=as_json)

    with_client(url, run)


def _check_sources(sources: Sequence[str]) -> None:
    for source in sources:
        if not Path(source).exists() and not any(glob.iglob(source, recursive=True)):  # noqa: PTH207  it may be absolute
            raise FileNotFoundError(f"{source} does not exist, and no file matches it as a pattern.")


@report_errors
def sheet(
    photo: Annotated[str, typer.Argument(help="A photo, or - for stdin.", show_default=False)],
    model: SheetModel = None,
    strength: Strength = api.STRENGTH.default,
    keep_color: KeepColor = api.KEEP_COLOR.default,
    brush: Brush = api.BRUSH.default,
    max_side: Annotated[int, typer.Option(min=api.MIN_SIDE, help="Longer side of each image in pixels.")] = 384,
    out: Annotated[str, typer.Option("--out", "-o", help=f"A file ({IMAGE_SUFFIXES}).")] = "sheet.png",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Stylize one photo in every style, as one contact sheet."""
    chosen = format_of(out, None, api.IMAGE_FORMATS, "png")
    check_target(out, as_json=as_json)
    if photo != STDOUT:
        _check_sources([photo])
    source: ImageSource = sys.stdin.buffer.read() if photo == STDOUT else photo

    async def run(client: AsyncClient) -> tuple[bytes, list[str]]:
        return await stylize_in_every_style(client, source, model, strength, keep_color, brush, max_side, chosen)

    data, styles = with_client(url, run)
    write_whole(Path(out), data)
    if as_json:
        print_json({"file": out, "styles": styles})
    else:
        typer.echo(f"Wrote {out}: the photo, {', '.join(styles)}.")
