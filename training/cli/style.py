"""`python -m training style`, `paint` and `int8`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor

from training.cli.errors import report_errors
from training.cli.options import (
    AutoResume,
    Config,
    Device,
    Out,
    Resume,
    Set,
    Threads,
    Vgg,
    name_of,
    note_left_out,
    print_next_steps,
    require_same_images,
    run_to_continue,
    warn_unreadable,
)
from training.config import change, load_config
from training.console import Display
from training.data.crops import Crops
from training.data.image_folder import open_image_folder, read_image, require_count, require_size
from training.data.paintings import load_paintings
from training.devices import find_device, resolve_precision
from training.errors import ConfigError, DataError, RunError
from training.program import command
from training.report.page import REPORT
from training.run import Run
from training.style.config import ARCHITECTURE, PaintConfig, StyleConfig
from training.style.loop import train_style
from training.style.network import stylizer_from
from training.style.objective import Objective, features_for
from training.style.paint import Losses
from training.style.paint import paint as paint_photo
from training.style.painting_files import Painting
from training.style.plan import StylePlan
from training.style.quantize import PHOTOS, int8_stylizer
from training.style.report.held_out import Gallery, photos_to_hold_out
from training.text import count_of
from training.threads import limit_threads
from training.vgg import VggFeatures

MIN_PHOTOS = 4
BASELINE_CROPS = 8


@report_errors
def style(
    styles: Annotated[
        Path, typer.Option(help="Folder or zip of paintings. Each becomes a style, named like its file.", show_default=False)
    ],
    content: Annotated[Path, typer.Option(help="Folder or zip of photos to train on.", show_default=False)],
    out: Out,
    config: Config = None,
    set_: Set = [],  # noqa: B006
    vgg: Vgg = None,
    extend: Annotated[
        Path | None, typer.Option(help="Add the paintings to this run's network. Its own styles do not change.")
    ] = None,
    begin: Annotated[
        Path | None,
        typer.Option("--from", help="Start with the weights of this run and train all of them."),
    ] = None,
    resume: Resume = False,
    auto_resume: AutoResume = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Train one style network on every painting of a folder. The default is --config style; without a GPU, use style-cpu."""
    run = run_to_continue(out, StylePlan, config, set_, resume=resume, auto_resume=auto_resume)
    continues = run is not None and auto_resume
    extended = _run_to_extend(extend, begin, config, resume=resume) if extend and not continues else None
    initial = _run_to_begin_with(begin, resume=resume) if begin and not continues else None
    torch_device = find_device(device)
    settings = _settings(run, extended, initial, config, set_)
    precision = resolve_precision(settings.precision, torch_device)
    settings = settings.model_copy(update={"precision": precision})

    photos, painting_files = open_image_folder(content), open_image_folder(styles)
    require_count(photos, MIN_PHOTOS)
    for folder in (photos, painting_files):
        require_size(folder, settings.crop_size, "--set crop_size=...", ["--style", "--size", str(settings.crop_size)])
    paintings, thumbnails, broken = load_paintings(painting_files, settings.style_size)
    note_left_out(photos, painting_files)
    warn_unreadable(photos.unreadable | painting_files.unreadable | broken)
    kept = _kept_styles(run, extended)
    if run is not None:
        require_same_images(run.plan.fingerprint, photos, out)
        _require_same_paintings(run, kept | thumbnails, styles, paintings)
    elif again := kept.keys() & thumbnails.keys():
        raise DataError(f"{extend} has the style {min(again)} already. Rename the painting, or remove it from {styles}.")

    held_out = run.plan.held_out if run else photos_to_hold_out(photos)
    learned = replace(photos, sizes={name: size for name, size in photos.sizes.items() if name not in held_out})
    crops = Crops(learned, settings.crop_size, settings.batch_size, settings.seed)
    features = VggFeatures(features_for(settings), vgg).to(torch_device).in_precision(precision)
    objective = Objective(settings, paintings, features)
    balanced = run or extended  # a run whose styles are balanced already
    baseline = objective.balance(crops.first(BASELINE_CROPS), balanced.plan.baseline if balanced else None)
    network = None
    if source := extended or initial:
        weights = source.checkpoint_to_export()["network"]
        network = stylizer_from(settings, list(kept | thumbnails), weights, list(source.plan.styles))
    if run is None:
        plan = StylePlan(
            config=settings,
            styles=kept | thumbnails,
            kept=len(kept),
            baseline=baseline,
            styles_path=str(styles),
            vgg_path=str(vgg or ""),
            held_out=held_out,
            data=name_of(content),
            data_path=str(content),
            images=len(photos.names),
            fingerprint=photos.fingerprint,
        )
        run = Run.create(out, plan)
    typer.echo(
        f"Training {count_of(len(paintings), 'style')} ({', '.join(paintings)}) on {count_of(len(photos.names), 'photo')} for "
        f"{count_of(settings.steps, 'step')} on {torch_device}, {precision}; see {out / REPORT}"
    )
    train_style(run, crops, objective, torch_device, network, threads, Gallery(run, photos, objective))
    print_next_steps(out, out / REPORT)


def _settings(
    run: Run[StylePlan] | None,
    extended: Run[StylePlan] | None,
    initial: Run[StylePlan] | None,
    config: str | None,
    changes: Sequence[str],
) -> StyleConfig:
    """The config of the run to continue, of the run to extend, of the run to start from, or of a new run."""
    if run:
        return run.plan.config
    if extended:
        return _settings_to_extend(extended, changes)
    if initial:
        return _settings_to_begin_with(initial, config, changes)
    return load_config(config or "style", StyleConfig, changes)


def _kept_styles(run: Run[StylePlan] | None, extended: Run[StylePlan] | None) -> dict[str, str]:
    """The styles that do not learn, with their thumbnails."""
    if extended:
        return extended.plan.styles
    return dict(list(run.plan.styles.items())[: run.plan.kept]) if run else {}


def _require_same_paintings(
    run: Run[StylePlan], found: Mapping[str, str], folder: Path, paintings: Mapping[str, Tensor]
) -> None:
    if run.plan.styles != found:
        trained = list(run.plan.styles)[run.plan.kept :]
        raise RunError(
            f"{run.folder} was trained on {', '.join(trained)}, but {folder} holds other paintings ({', '.join(paintings)}). "
            "Resume with the same paintings."
        )


def _run_to_extend(folder: Path, begin: Path | None, config: str | None, *, resume: bool) -> Run[StylePlan]:
    if begin:
        raise ConfigError("--extend keeps the trained styles, --from trains them further. Give one of the two.")
    if config or resume:
        raise ConfigError(
            "--extend uses the config of the run that it names. Leave --config out. To resume an extension, leave --extend out."
        )
    return Run.open(folder, StylePlan)


def _settings_to_extend(base: Run[StylePlan], changes: Sequence[str]) -> StyleConfig:
    """The config of the run to extend, with an eighth of its steps (Dumoulin et al. 2017) unless --set changes them."""
    old = base.plan.config
    settings = change(old.model_copy(update={"steps": max(1, old.steps // 8)}), changes, f"of {base.folder}")
    _refuse_other_network(settings, old)
    return settings


def _run_to_begin_with(folder: Path, *, resume: bool) -> Run[StylePlan]:
    if resume:
        raise ConfigError("--from is only for a new run. To resume a run, leave --from out.")
    return Run.open(folder, StylePlan)


def _settings_to_begin_with(first: Run[StylePlan], config: str | None, changes: Sequence[str]) -> StyleConfig:
    """The named config or, if there is none, that of the run to begin with."""
    old = first.plan.config
    settings = load_config(config, StyleConfig, changes) if config else change(old, changes, f"of {first.folder}")
    _refuse_other_network(settings, old)
    return settings


def _refuse_other_network(settings: StyleConfig, old: StyleConfig) -> None:
    if other := [name for name in ARCHITECTURE if getattr(settings, name) != getattr(old, name)]:
        raise ConfigError(
            f"{other[0]} is {getattr(settings, other[0])}, but {getattr(old, other[0])} in the trained network. The values of "
            f"{', '.join(ARCHITECTURE)} cannot change. Leave them out."
        )


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
    settings = load_config(config or "paint", PaintConfig, set_)
    painting = Painting(out)
    torch_device = find_device(device)
    photo = _tensor(read_image(content))
    named = dict(_weighted(each) for each in style)
    paintings = {str(path): _tensor(read_image(path)) for path in named}
    weights = torch.tensor(list(named.values()))
    features = VggFeatures(features_for(settings), vgg).to(torch_device)
    limit_threads()
    display = Display("Painting", settings.iterations * settings.scales, unit="iteration")

    def show(losses: Losses, image: Tensor) -> None:
        painting.record(losses, image)
        terms = {name: f"{getattr(losses, name):.3g}" for name in ("content", "style", "variation")}
        display.show(losses.iteration, {"": f"{losses.size} px", **terms})
        if settings.sample_every and losses.iteration % settings.sample_every == 0:
            painting.save_sample()

    try:
        with display:
            paint_photo(settings, photo, paintings, weights / weights.sum(), features, show)
    except KeyboardInterrupt:
        if saved := painting.save():
            typer.secho(f"Wrote {saved} as of iteration {painting.losses[-1].iteration}.", fg="yellow", err=True)
        raise
    typer.echo(f"Wrote {painting.save()} and its losses beside it.")


@report_errors
def int8(
    exported: Annotated[Path, typer.Argument(help="Exported stylizer.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="File to write: exported/NAME.onnx.", show_default=False)],
    content: Annotated[
        Path,
        typer.Option(help=f"Folder or zip of photos. {PHOTOS} of them calibrate the activations.", show_default=False),
    ],
) -> None:
    """Convert the convolutions of a stylizer to int8: faster on CPUs with VNNI, with slightly different images."""
    photos = open_image_folder(content)
    warn_unreadable(photos.unreadable)
    difference = int8_stylizer(exported, out, photos)
    typer.echo(
        f"Wrote {out} ({out.stat().st_size / 1e6:.1f} MB). Its images differ from those of {exported} by {difference:.1f} grey "
        f"levels on average. Measure it: {command('evaluate', str(out), '--data', 'PHOTOS', '--styles', 'PAINTINGS')}"
    )


def _weighted(style: str) -> tuple[Path, float]:
    """`night.jpg:0.7` -> the painting and its weight, 1 by default."""
    path, _, weight = style.rpartition(":")
    if not path or Path(style).is_file():
        return Path(style), 1.0
    try:
        value = float(weight)
    except ValueError:
        return Path(style), 1.0
    if not 0 < value < float("inf"):
        raise ConfigError(f"--style {style}: the weight must be a number above 0, such as {path}:0.5.")
    return Path(path), value


def _tensor(image: Image.Image) -> Tensor:
    """Float [1, 3, h, w] in 0..255."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
