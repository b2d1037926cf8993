"""`ganvas sample` and `ganvas interpolate`: images of a generator."""

from typing import Annotated

import typer

from ganvas import api
from ganvas.api import AnimationFormat, SampleFormat
from ganvas.batches.runner import MAX_CONCURRENCY
from ganvas.cli.errors import report_errors
from ganvas.cli.options import IMAGE_SUFFIXES, ClassNames, GeneratorName, Json, MaxConcurrency, Progress, Truncation, Url
from ganvas.cli.output import check_target, format_of, is_folder, report_batch, write_result
from ganvas.cli.running import with_client
from ganvas.client import AsyncClient, Client

FILE_FORMAT_HELP = "Needed if the file's suffix does not name the format."


@report_errors
def sample(
    n: Annotated[
        int | None,
        typer.Option(
            "-n",
            min=1,
            help="Number of images. If they are too many for one request, name a folder: -o FOLDER/.",
            show_default=f"{api.DEFAULT_N}, or one for each --class",
        ),
    ] = None,
    model: GeneratorName = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The same seed gives the same images.", show_default="random; 0 for a folder")
    ] = None,
    classes: ClassNames = None,
    truncation: Truncation = api.TRUNCATION.default,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help=f"A file ({IMAGE_SUFFIXES}: several images make a contact sheet; .zip; .npy), - for stdout, or a folder for "
            "one PNG per image.",
            show_default="MODEL-SEED.png, or MODEL_CLASS-SEED.png",
        ),
    ] = None,
    format: Annotated[SampleFormat | None, typer.Option(help=FILE_FORMAT_HELP, show_default=False)] = None,
    max_concurrency: MaxConcurrency = MAX_CONCURRENCY,
    progress: Progress = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make images from a seed."""
    if out is None or not is_folder(out):
        chosen = format_of(out, format, api.SAMPLE_FORMATS, api.DEFAULT_SAMPLE_FORMAT)
        check_target(out, as_json=as_json)
        with Client(url) as client:
            result = client.sample(n, model=model, seed=seed, class_=_one_or_all(classes), truncation=truncation, format=chosen)
            write_result(result, out, as_json=as_json)
        return
    if format not in (None, "png"):
        raise ValueError(f"A folder receives one PNG per image, not {format}. Leave out --format, or name a file.")
    if classes and len(classes) > 1:
        raise ValueError("A folder receives images of one --class. Run the command once for each class, or name a file.")

    async def make(client: AsyncClient) -> None:
        report = await client.sample_many(
            n or api.DEFAULT_N,
            out,
            model=model,
            seed=seed or 0,
            class_=classes[0] if classes else None,
            truncation=truncation,
            max_concurrency=max_concurrency,
            progress=progress,
        )
        report_batch(report, as_json=as_json)

    with_client(url, make)


@report_errors
def interpolate(
    seeds: Annotated[
        list[int] | None,
        typer.Argument(
            help=f"{api.KEYS} seeds, whose images the walk passes. Two random seeds if omitted.", show_default=False
        ),
    ] = None,
    model: GeneratorName = None,
    classes: ClassNames = None,
    steps: Annotated[
        int, typer.Option(min=api.STEPS.minimum, max=api.STEPS.maximum, help="Frames from one key to the next.")
    ] = api.STEPS.default,
    truncation: Truncation = api.TRUNCATION.default,
    loop: Annotated[bool, typer.Option(help="Return to the first key at the end.")] = True,
    fps: Annotated[float, typer.Option(min=api.FPS.minimum, max=api.FPS.maximum, help="Frames per second.")] = api.FPS.default,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="A file (.webp or .gif; .zip and .npy hold single frames), or - for stdout.",
            show_default="MODEL-SEEDS.webp",
        ),
    ] = None,
    format: Annotated[AnimationFormat | None, typer.Option(help=FILE_FORMAT_HELP, show_default=False)] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make a walk from image to image through the latents between them."""
    if seeds and len(seeds) < api.KEYS.minimum:
        raise ValueError(
            f"A walk needs {api.KEYS} seeds, such as {seeds[0]} {seeds[0] + 1}. Leave them out for two random seeds."
        )
    chosen = format_of(out, format, api.ANIMATION_FORMATS, api.DEFAULT_ANIMATION_FORMAT)
    check_target(out, as_json=as_json)
    with Client(url) as client:
        frames = client.interpolate(
            seeds or None,
            model=model,
            class_=_one_or_all(classes),
            steps=steps,
            truncation=truncation,
            loop=loop,
            fps=fps,
            format=chosen,
        )
        write_result(frames, out, as_json=as_json)


def _one_or_all(classes: list[str] | None) -> str | list[str] | None:
    """A single class is for all images, several are for one image each."""
    return classes[0] if classes and len(classes) == 1 else classes or None
