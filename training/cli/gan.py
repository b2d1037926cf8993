"""`python -m training gan`: its options. `training.cli.train_gan` does the work."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.errors import report_errors
from training.cli.options import AutoResume, Begin, ChooseFeatures, Device, Out, Resume, Set, Threads, Vgg, Weights
from training.config import OnCollapse
from training.data.image_folder import require_existing


@report_errors
def gan(
    data: Annotated[Path, typer.Option(help="Folder or zip of images.", show_default=False)],
    out: Out,
    config: Annotated[
        str | None,
        typer.Option(
            help="auto, which chooses for the images and the machine; a config of training/configs/ by name; or a TOML file.",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=1.0, help="Minutes that a run of --config auto may take. Default: 60.", show_default=False),
    ] = None,
    set_: Set = [],  # noqa: B006  typer only reads the default
    begin: Begin = None,
    resume: Resume = False,
    auto_resume: AutoResume = False,
    device: Device = "auto",
    threads: Threads = None,
    on_collapse: Annotated[
        OnCollapse,
        typer.Option(help="What to do after a collapse; rollback returns to the best checkpoint with lower learning rates."),
    ] = "warn",
    features: ChooseFeatures = None,
    weights: Weights = None,
    vgg: Vgg = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the prepared images. Default: .images beside the run.", show_default=False)
    ] = None,
    cache_gb: Annotated[
        float, typer.Option(min=0.0, help="Most gigabytes that the prepared images in that folder may take together.")
    ] = 100.0,
    processes: Annotated[int, typer.Option(min=1, help="Number of processes on this machine, which share each batch.")] = 1,
    nodes: Annotated[
        int, typer.Option(min=1, help="Number of machines, which share each batch. Run this under torchrun on each.")
    ] = 1,
) -> None:
    """Train a GAN on a folder or zip of images. The default is --config gan."""
    require_existing(data)
    from training.cli.train_gan import train  # imports torch, which takes seconds: not for help

    train(
        data=data, out=out, config=config, minutes=minutes, changes=set_, begin=begin, resume=resume, auto_resume=auto_resume,
        device=device, threads=threads, on_collapse=on_collapse, features=features, weights=weights, vgg=vgg, cache=cache,
        cache_gb=cache_gb, processes=processes, nodes=nodes,
    )  # fmt: skip
