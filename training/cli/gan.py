"""`python -m training gan`."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.errors import report_errors
from training.cli.options import (
    AutoResume,
    ChooseFeatures,
    Config,
    Device,
    Out,
    Resume,
    Set,
    Vgg,
    Weights,
    name_of,
    print_next_steps,
    require_same_images,
    run_to_continue,
    run_to_resume,
    warn_unreadable,
)
from training.config import Features, load_config
from training.data.dataset import load_images
from training.data.image_folder import open_image_folder, require_count, require_size
from training.data.labels import labels_of
from training.devices import find_device, launch
from training.errors import ConfigError, WeightsError
from training.gan.config import FEATURE_LAYERS, GanConfig
from training.gan.loop import OnCollapse, train_gan
from training.gan.setup import build_discriminator, build_generator, channels_of, precision_of, refuse_uneven, resolve_gan
from training.metrics.features import FeatureNetwork, build_features
from training.run import GanPlan, Run
from training.vgg import VggFeatures

LEAST_GAN_PICTURES = 16


@report_errors
def gan(
    data: Annotated[Path, typer.Option(help="Folder or zip of pictures.", show_default=False)],
    out: Out,
    config: Config = None,
    set_: Set = [],  # noqa: B006  typer reads the default, nobody changes it
    resume: Resume = False,
    auto_resume: AutoResume = False,
    device: Device = "auto",
    on_collapse: Annotated[
        OnCollapse, typer.Option(help="What to do when the run collapses: rollback goes back, with lower rates.")
    ] = "warn",
    features: ChooseFeatures = None,
    weights: Weights = None,
    vgg: Vgg = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes on this machine that share each batch.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines that share each batch; run this under torchrun on each.")] = 1,
) -> None:
    """Train a GAN on a folder or zip of pictures; --config gan where none is named."""
    run = run_to_continue(out, GanPlan, config, set_, resume=resume, auto_resume=auto_resume)
    settings = run.plan.config if run else load_config(config or "gan", GanConfig, set_)
    if run and features and features != settings.features:
        raise ConfigError(f"{out} is measured in {settings.features}; its metrics would not compare. Leave --features out.")
    where = find_device(device)
    pictures = open_image_folder(data)
    require_count(pictures, LEAST_GAN_PICTURES)
    require_size(pictures, settings.image_size, "--set image_size=...")
    network, settings = _feature_network(settings, features, weights)
    judge, settings = _judge(settings, vgg or (weights if settings.features == "vgg" else None))
    settings = resolve_gan(settings, len(pictures.names), pictures.grey, where)
    refuse_uneven(settings, processes * nodes)
    build_generator(settings)  # these refuse a config before the pictures are decoded
    build_discriminator(settings)
    labels = labels_of(pictures, settings.classes) if settings.classes else None
    squares, broken = load_images(pictures, settings.image_size, channels_of(settings))
    warn_unreadable(pictures.unreadable | broken)
    if labels is not None:
        labels = labels[[name not in broken for name in pictures.names]]
    if run is not None:
        require_same_images(run.plan.fingerprint, pictures, out)
    # Further processes begin here with the same command, so the folder must not be there before.
    fabric = launch(where, precision_of(settings), processes, nodes)
    with fabric.rank_zero_first():
        if run is None and fabric.is_global_zero:
            Run.create(
                out, GanPlan(config=settings, data=name_of(data), pictures=len(squares), fingerprint=pictures.fingerprint)
            )
        run = run_to_resume(out, GanPlan, None, ())
    if fabric.is_global_zero:
        typer.echo(
            f"Training {settings.architecture} on {len(squares)} pictures for {settings.steps} steps on {where}, "
            f"{settings.precision}; see {out / 'report.html'}"
        )
    train_gan(run, squares, fabric, network, on_collapse, judge, labels)
    if fabric.is_global_zero:
        print_next_steps(out, out / "report.html")


def _feature_network(
    settings: GanConfig, asked: Features | None, weights: Path | None
) -> tuple[FeatureNetwork | None, GanConfig]:
    """What the metrics are measured in; pixels where nobody asked for anything else and Inception cannot be had."""
    if not settings.evaluate_every:
        return None, settings
    name = asked or settings.features
    try:
        network = build_features(name or "inception", weights)
    except WeightsError as error:
        if name:
            raise
        typer.secho(f"{error} The run is watched in pixels instead.", fg="yellow", err=True)
        name, network = "pixels", build_features("pixels")
    return network, settings.model_copy(update={"features": name or "inception"})


def _judge(settings: GanConfig, weights: Path | None) -> tuple[VggFeatures | None, GanConfig]:
    """VGG-16 for the second discriminator; none, with a word, where nobody asked for it and its weights cannot be had."""
    layers = settings.feature_layers
    if layers is None:
        layers = FEATURE_LAYERS if settings.can_judge_features else ()
    network = None
    if layers:
        try:
            network = VggFeatures(layers, weights)
        except WeightsError as error:
            if weights or settings.feature_layers:
                raise
            typer.secho(f"{error} Pixels alone are judged instead, which takes longer to be as good.", fg="yellow", err=True)
            layers = ()
    return network, settings.model_copy(update={"feature_layers": layers})
