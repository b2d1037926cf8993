"""What `python -m training gan` does."""

from collections.abc import Sequence
from pathlib import Path

import typer

from training.cli.options import (
    name_of,
    note_left_out,
    print_next_steps,
    require_same_images,
    run_to_continue,
    warn_unreadable,
)
from training.config import Features, OnCollapse, load_config, with_values
from training.data.dataset import load_images
from training.data.image_folder import open_image_folder, require_count, require_size
from training.data.labels import class_names, labels_of
from training.devices import find_device, launch
from training.errors import ConfigError, WeightsError
from training.gan.advice import MIN_IMAGES
from training.gan.config import FEATURE_LAYERS, GanConfig
from training.gan.loop import train_gan
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
    changes: Sequence[str],
    resume: bool,
    auto_resume: bool,
    device: str,
    threads: int | None,
    on_collapse: OnCollapse,
    features: Features | None,
    weights: Path | None,
    vgg: Path | None,
    processes: int,
    nodes: int,
) -> None:
    """Train a GAN; the options are those of `training.cli.gan.gan`."""
    run = run_to_continue(out, GanPlan, config, changes, resume=resume, auto_resume=auto_resume)
    settings = run.plan.config if run else load_config(config or "gan", GanConfig, changes)
    if run and features and features != settings.evaluation.network:
        raise ConfigError(
            f"{out} is measured in {settings.evaluation.network}. Metrics in other features cannot be compared. "
            "Leave --features out."
        )
    torch_device = find_device(device)
    folder = open_image_folder(data)
    require_count(folder, MIN_IMAGES)
    require_size(folder, settings.image_size, "--set image_size=...", ["--size", str(settings.image_size)])
    network, settings = _feature_network(settings, features, weights)
    vgg_network, settings = _vgg_network(settings, vgg or (weights if settings.evaluation.network == "vgg" else None))
    settings = resolve_gan(settings, len(folder.names), folder.grey, torch_device)
    require_even_batch(settings, processes * nodes)
    build_generator(settings)  # refuses a config before images are decoded
    build_discriminator(settings)
    labels = labels_of(folder, settings.classes.count) if settings.classes.count else None
    classes = () if labels is None else class_names(folder)
    images, broken = load_images(folder, settings.image_size, channels_of(settings))
    note_left_out(folder)
    warn_unreadable(folder.unreadable | broken)
    if labels is not None:
        labels = labels[[name not in broken for name in folder.names]]
    if run is not None:
        require_same_images(run.plan.fingerprint, folder, out)
    # The other processes start here with the same command, so the folder must not exist before.
    fabric = launch(torch_device, precision_of(settings), processes, nodes)
    with fabric.rank_zero_first():
        if run is None and fabric.is_global_zero:
            plan = GanPlan(
                config=settings, data=name_of(data), data_path=str(data), images=len(images), fingerprint=folder.fingerprint,
                classes=classes,
            )  # fmt: skip
            Run.create(out, plan)
        run = Run.open(out, GanPlan)
    if fabric.is_global_zero:
        typer.echo(
            f"Training {settings.architecture} on {count_of(len(images), 'image')} for "
            f"{count_of(settings.steps, 'step')} on {torch_device}, {settings.precision}; see {out / 'report.html'}"
        )
    train_gan(run, images, fabric, network, on_collapse, vgg_network, labels, threads)
    if fabric.is_global_zero:
        print_next_steps(out, out / REPORT)


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
