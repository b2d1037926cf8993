"""What `python -m training gan` does."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
import typer

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
from training.config import AUTO, Features, OnCollapse, load_config, with_values
from training.data.alpha import transparency_of
from training.data.image_cache import CACHE, prepare_images
from training.data.image_folder import ImageFolder, open_image_folder, require_count, require_size
from training.data.labels import class_names, labels_of
from training.devices import find_device, launch
from training.errors import ConfigError, WeightsError
from training.gan.advice import MIN_IMAGES
from training.gan.auto import AutoConfig
from training.gan.choose import MINUTES, choose_for
from training.gan.config import FEATURE_LAYERS, GanConfig
from training.gan.loop import train_gan
from training.gan.origin import ARCHITECTURE, origin_of, settings_to_begin_with
from training.gan.plan import GanPlan
from training.gan.setup import build_discriminator, build_generator, channels_of, precision_of, require_even_batch, resolve_gan
from training.metrics.features import FeatureNetwork, build_features
from training.report.page import REPORT
from training.run import Run
from training.text import count_of
from training.vgg import VggFeatures


def train(
    *,
    data: Path,
    out: Path,
    config: str | None,
    minutes: float | None,
    changes: Sequence[str],
    begin: Path | None,
    resume: bool,
    auto_resume: bool,
    device: str,
    threads: int | None,
    on_collapse: OnCollapse,
    features: Features | None,
    weights: Path | None,
    vgg: Path | None,
    cache: Path | None,
    cache_gb: float,
    processes: int,
    nodes: int,
) -> None:
    """Train a GAN; the options are those of `training.cli.gan.gan`."""
    run = run_to_continue(out, GanPlan, config, changes, resume=resume, auto_resume=auto_resume)
    first = _run_to_begin_with(run, begin, resume=resume)
    if minutes and config != AUTO:
        raise ConfigError("--minutes is for --config auto. For other configs, set the number of images with --set images=...")
    torch_device = find_device(device)
    folder = open_image_folder(data)
    require_count(folder, MIN_IMAGES)
    choices: tuple[str, ...] = ()
    if run:
        settings = run.plan.config
    elif config == AUTO:
        if processes * nodes > 1:
            raise ConfigError("--config auto measures one process. Start the run with one, stop it, and resume it with more.")
        vgg_file = vgg or (weights if features == "vgg" else None)
        free = features is None and weights is None
        chosen, threads = _choose(
            folder, torch_device, minutes or MINUTES, changes, first, vgg_file, threads, free_metrics=free
        )
        settings, choices = chosen.config, chosen.reasons
    elif first:
        settings = settings_to_begin_with(first.plan.config, str(first.folder), config, changes)
    else:
        settings = load_config(config or "gan", GanConfig, changes)
    if first:
        refuse_other_network(settings, first.plan.config, ARCHITECTURE)
    if settings.freeze and not (run or first):
        raise ConfigError("freeze keeps layers of a trained discriminator. Name its run with --from, or leave freeze at 0.")
    if run and features and features != settings.evaluation.network:
        raise ConfigError(
            f"{out} is measured in {settings.evaluation.network}. Metrics in other features cannot be compared. "
            "Leave --features out."
        )
    require_size(folder, settings.image_size, "--set image_size=...", ["--size", str(settings.image_size)])
    measured_in_vgg = (features or settings.evaluation.network) == "vgg"
    network, settings = _feature_network(settings, features, weights or (vgg if measured_in_vgg else None))
    vgg_network, settings = _vgg_network(settings, vgg or (weights if measured_in_vgg else None))
    transparent = settings.channels is None and _learns_transparency(folder)
    settings = resolve_gan(settings, len(folder.names), folder.grey, torch_device, transparent=transparent)
    require_even_batch(settings, processes * nodes)
    build_generator(settings)  # refuses a config before images are decoded
    build_discriminator(settings)
    labels = labels_of(folder, settings.classes.count) if settings.classes.count else None
    classes = () if labels is None else class_names(folder)
    if run is not None:
        require_same_images(run.plan.fingerprint, folder, out)
    images = prepare_images(
        folder, settings.image_size, channels_of(settings), cache or out.parent / CACHE, cache_gb, partial(typer.echo, err=True)
    )
    note_left_out(folder)
    warn_unreadable(folder.unreadable | images.unreadable)
    if labels is not None:
        labels = labels[[name not in images.unreadable for name in folder.names]]
    # The other processes start here with the same command, so the folder must not exist before.
    fabric = launch(torch_device, precision_of(settings), processes, nodes)
    with fabric.rank_zero_first():
        if run is None and fabric.is_global_zero:
            plan = GanPlan(
                config=settings, data=name_of(data), data_path=str(data), images=len(images), fingerprint=folder.fingerprint,
                origin=origin_of(first) if first else None, choices=choices, classes=classes,
            )  # fmt: skip
            Run.create(out, plan)
        run = Run.open(out, GanPlan)
    if fabric.is_global_zero:
        begun = f"from the weights of {first.folder} " if first else ""
        typer.echo(
            f"Training {settings.architecture} {begun}on {count_of(len(images), 'image')} for "
            f"{count_of(settings.steps, 'step')} on {torch_device}, {settings.precision}; see {out / 'report.html'}"
        )
    train_gan(run, images, fabric, network, on_collapse, vgg_network, labels, threads, first)
    if fabric.is_global_zero:
        print_next_steps(out, out / REPORT)


def _run_to_begin_with(run: Run[GanPlan] | None, begin: Path | None, *, resume: bool) -> Run[GanPlan] | None:
    """The run whose weights to begin with; None if the run has weights already, or begins untrained."""
    if run is None or (begin and resume):
        return run_to_begin_with(begin, GanPlan, resume=resume) if begin else None
    if run.plan.origin and run.load_checkpoint() is None:  # it was killed before it had saved the weights
        return Run.open(Path(run.plan.origin.path), GanPlan)
    return None


def _choose(
    folder: ImageFolder,
    device: torch.device,
    minutes: float,
    changes: Sequence[str],
    first: Run[GanPlan] | None,
    vgg: Path | None,
    threads: int | None,
    *,
    free_metrics: bool,
) -> tuple[AutoConfig, int]:
    """The config of `--config auto`, which it prints with its reasons, and the number of threads."""
    network, base = _vgg_network(load_config("gan", GanConfig, changes), vgg)
    typer.echo(f"Looking at the images of {folder.path} and measuring steps on {device}.")
    layers = base.features.layers or ()
    trained = first.plan.config if first else None
    metrics: Features | None = "vgg" if network and free_metrics else None
    chosen, threads = choose_for(folder, device, minutes, changes, trained, network, layers, metrics, threads)
    typer.echo("\n".join(["Choices of --config auto:", *(f"  {reason}" for reason in chosen.reasons)]))
    return chosen, threads


def _learns_transparency(folder: ImageFolder) -> bool:
    """Whether images are trained with transparency if the config leaves it open. Says so if any image states transparency."""
    found = transparency_of(folder)
    if found.is_common:
        typer.echo(
            "Most images are partly transparent, so the model learns transparency (--set channels=3 places them on white)."
        )
    elif found.stated and (found.transparent or not found.looked_at):
        typer.echo(
            f"{found.stated:,} of {count_of(found.images, 'image')} may have transparency, which is placed on white (--set "
            "channels=4 keeps it)."
        )
    return found.is_common


def _feature_network(
    settings: GanConfig, asked: Features | None, weights: Path | None
) -> tuple[FeatureNetwork | None, GanConfig]:
    """The network that the metrics are measured in. It is `pixels` if none is named and Inception cannot be downloaded."""
    if not settings.evaluation.every:
        return None, settings
    name = asked or settings.evaluation.network
    try:
        network = build_features(name or "inception", weights)
    except WeightsError as error:
        if name:
            raise
        typer.secho(f"{error} The metrics are measured in pixels instead.", fg="yellow", err=True)
        name, network = "pixels", build_features("pixels")
    return network, with_values(settings, {"evaluation.network": name or "inception"})


def _vgg_network(settings: GanConfig, weights: Path | None) -> tuple[VggFeatures | None, GanConfig]:
    """VGG-16 for the feature discriminator. Warns and returns None if it is not named and cannot be downloaded."""
    layers = settings.features.layers
    if layers is None:
        layers = FEATURE_LAYERS if settings.can_judge_features else ()
    network = None
    if layers:
        try:
            network = VggFeatures(layers, weights)
        except WeightsError as error:
            if weights or settings.features.layers:
                raise
            typer.secho(
                f"{error} Training continues without the feature discriminator, and needs longer.",
                fg="yellow",
                err=True,
            )
            layers = ()
    return network, with_values(settings, {"features.layers": layers})
