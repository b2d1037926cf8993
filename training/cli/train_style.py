"""What `python -m training style` runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import typer
from torch import Tensor

from training.cli.options import (
    name_of,
    note_left_out,
    print_next_steps,
    refuse_other_network,
    require_same_images,
    run_to_begin_with,
    run_to_continue,
    warn_unreadable,
)
from training.config import change, load_config
from training.data.crops import Crops
from training.data.image_folder import open_image_folder, open_image_or_folder, require_count, require_size
from training.data.paintings import load_paintings
from training.devices import find_device, resolve_precision
from training.errors import ConfigError, DataError, RunError
from training.report.page import REPORT
from training.run import Run
from training.style.config import ARCHITECTURE, StyleConfig
from training.style.loop import train_style
from training.style.network import stylizer_from
from training.style.objective import Objective, features_for
from training.style.plan import StylePlan
from training.style.report.held_out import Gallery, photos_to_hold_out
from training.text import count_of
from training.vgg import VggFeatures

MIN_PHOTOS = 4
BASELINE_CROPS = 8
EXTENSION_STEPS = 100  # for each new painting: only its scales and biases learn
EXTENSION_RATE = 5e-3


def train(
    *,
    styles: Path,
    content: Path,
    out: Path,
    config: str | None,
    changes: Sequence[str],
    vgg: Path | None,
    extend: Path | None,
    begin: Path | None,
    resume: bool,
    auto_resume: bool,
    device: str,
    threads: int | None,
) -> None:
    """Train a style network; the options are those of `training.cli.style.style`."""
    run = run_to_continue(out, StylePlan, config, changes, resume=resume, auto_resume=auto_resume)
    continues = run is not None and auto_resume
    extended = _run_to_extend(extend, begin, config, resume=resume) if extend and not continues else None
    initial = run_to_begin_with(begin, StylePlan, resume=resume) if begin and not continues else None
    torch_device = find_device(device)
    photos, painting_files = open_image_folder(content), open_image_or_folder(styles)
    settings = _settings(run, extended, initial, config, changes, len(painting_files.names))
    precision = resolve_precision(settings.precision, torch_device)
    settings = settings.model_copy(update={"precision": precision})
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
    paintings: int,
) -> StyleConfig:
    """The config of the run to continue, of the run to extend, of the run to start from, or of a new run."""
    if run:
        return run.plan.config
    if extended:
        return _settings_to_extend(extended, changes, paintings)
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


def _settings_to_extend(base: Run[StylePlan], changes: Sequence[str], paintings: int) -> StyleConfig:
    """The config of the run to extend, with the steps and the rate of an extension unless --set changes them."""
    old = base.plan.config
    short = {"steps": EXTENSION_STEPS * paintings, "learning_rate": EXTENSION_RATE}
    settings = change(old.model_copy(update=short), changes, f"of {base.folder}")
    refuse_other_network(settings, old, ARCHITECTURE)
    return settings


def _settings_to_begin_with(first: Run[StylePlan], config: str | None, changes: Sequence[str]) -> StyleConfig:
    """The named config or, if there is none, that of the run to begin with."""
    old = first.plan.config
    settings = load_config(config, StyleConfig, changes) if config else change(old, changes, f"of {first.folder}")
    refuse_other_network(settings, old, ARCHITECTURE)
    return settings
