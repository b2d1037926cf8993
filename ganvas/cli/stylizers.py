"""`ganvas stylize` and `ganvas sheet`: photos, painted."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ganvas import api
from ganvas.api import ImageFormat
from ganvas.batches.runner import MAX_CONCURRENCY
from ganvas.cli.errors import print_json, report_errors
from ganvas.cli.options import Json, MaxConcurrency, Progress, StyleName, StylizerName, Url
from ganvas.cli.output import STDOUT, format_of, is_folder, put, tell
from ganvas.cli.running import with_client
from ganvas.client import DEFAULT_URL, AsyncClient, Client
from ganvas.files import write_whole
from ganvas.sheet import paint_every_style
from ganvas.uploads import ImageSource

Strength = Annotated[float, typer.Option(help="0, the photo as it is, to 1, the whole style.")]
KeepColor = Annotated[float, typer.Option(help="0, the style's colours, to 1, the photo's own.")]


@report_errors
def stylize(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Photos: files, folders with all that is in them, patterns in quotes, or - for stdin.", show_default=False
        ),
    ],
    style: StyleName = None,
    model: StylizerName = None,
    strength: Strength = api.STRENGTH.default,
    keep_color: KeepColor = api.KEEP_COLOR.default,
    max_side: Annotated[
        int | None, typer.Option(help="Longer side in pixels that larger photos are shrunk to.", show_default="the service's")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="Of one photo: a file, or - for stdout. Of several: a folder, in which the same command goes on where it "
            "was stopped.",
            show_default="PHOTO-MODEL.jpg; stdout for stdin",
        ),
    ] = None,
    format: Annotated[
        ImageFormat | None, typer.Option(help="jpeg, where the file's name does not say it.", show_default=False)
    ] = None,
    max_concurrency: MaxConcurrency = MAX_CONCURRENCY,
    progress: Progress = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Paint photos in a style, or in a blend of several."""
    is_stdin = STDOUT in sources
    if is_stdin and len(sources) > 1:
        raise ValueError("- stands for one photo from stdin; it cannot be mixed with files")
    if is_stdin or (len(sources) == 1 and Path(sources[0]).is_file() and not is_folder(out)):
        photo: ImageSource = sys.stdin.buffer.read() if is_stdin else sources[0]
        target = STDOUT if is_stdin and out is None else out
        chosen = format_of(target, format, api.IMAGE_FORMATS, api.DEFAULT_STYLIZE_FORMAT)
        with Client(url) as client:
            painted = client.stylize(
                photo, style=style, model=model, strength=strength, keep_color=keep_color, max_side=max_side, format=chosen
            )
        put(painted, target, as_json=as_json)
        return
    if out is None or out == STDOUT or Path(out).is_file():
        raise ValueError("several photos need a folder to go into: --out FOLDER")

    async def paint(client: AsyncClient) -> None:
        report = await client.stylize_many(
            sources,
            out,
            style=style,
            model=model,
            strength=strength,
            keep_color=keep_color,
            max_side=max_side,
            format=format or api.DEFAULT_STYLIZE_FORMAT,
            max_concurrency=max_concurrency,
            progress=progress,
        )
        tell(report, as_json=as_json)

    with_client(url, paint)


@report_errors
def sheet(
    photo: Annotated[str, typer.Argument(help="A photo, or - for stdin.", show_default=False)],
    model: StylizerName = None,
    strength: Strength = api.STRENGTH.default,
    keep_color: KeepColor = api.KEEP_COLOR.default,
    max_side: Annotated[int, typer.Option(min=api.MIN_SIDE, help="Longer side of each picture in pixels.")] = 384,
    out: Annotated[str, typer.Option("--out", "-o", help="A file (.png, .jpg, .webp).")] = "sheet.png",
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Paint one photo in every style, side by side in one picture."""
    chosen = format_of(out, None, api.IMAGE_FORMATS, "png")
    source: ImageSource = sys.stdin.buffer.read() if photo == STDOUT else photo

    async def paint(client: AsyncClient) -> tuple[bytes, list[str]]:
        return await paint_every_style(client, source, model, strength, keep_color, max_side, chosen)

    data, styles = with_client(url, paint)
    write_whole(Path(out), data)
    if as_json:
        print_json({"file": out, "styles": styles})
    else:
        typer.echo(f"Wrote {out}: the photo, {', '.join(styles)}.")
