"""The command line: `python -m training`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from training.about import read_about
from training.config import Features, GanConfig, StyleConfig, load_config
from training.data.crops import Crops
from training.data.images import Pictures, find_pictures, refuse_few, refuse_small
from training.data.paintings import load_paintings
from training.data.squares import load_squares
from training.devices import find_device, launch
from training.errors import ConfigError, RunError, WeightsError
from training.evaluate import Settings, choose_real, evaluate, keep_in_card, keep_in_run, load_candidate
from training.exits import exits_in_words
from training.export import export_run
from training.loops.gan import OnCollapse, train_gan
from training.loops.gan_setup import build_discriminator, build_generator, channels_of, precision_of, refuse_uneven, resolve_gan
from training.loops.style import Objective, train_style
from training.metrics.evaluation import EVALUATION, read_evaluation
from training.metrics.features import FeatureNetwork, build_features
from training.run import BEST, GanPlan, Run, StylePlan, refuse_existing
from training.table import write_tables

LEAST_GAN_PICTURES = 16
LEAST_CONTENT_PICTURES = 4
BASELINE_CROPS = 8

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train on a folder of pictures, then export one ONNX file that the service serves.",
)

SomePlan = TypeVar("SomePlan", GanPlan, StylePlan)

Out = Annotated[Path, typer.Option(help="Run folder to make: config, samples, stats and checkpoints.", show_default=False)]
Config = Annotated[str | None, typer.Option(help="A config of training/configs/ by name, or a TOML file.", show_default=False)]
Set = Annotated[
    list[str],
    typer.Option("--set", help="Change a value of the config: --set key=value; keys as in training/config.py. Repeatable."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in --out from its last checkpoint, by its own config.")
]
ChooseFeatures = Annotated[
    Features | None, typer.Option(help="Network that metrics are measured in; inception where none is named.")
]
Weights = Annotated[
    Path | None, typer.Option(help="Local file of the feature network's weights; left out, they are downloaded.")
]
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu, cuda, cuda:1, ...")]


@app.command()
@exits_in_words
def gan(
    data: Annotated[Path, typer.Option(help="Folder or zip of pictures.", show_default=False)],
    out: Out,
    config: Config = None,
    set_: Set = [],  # noqa: B006  typer reads the default, nobody changes it
    resume: Resume = False,
    device: Device = "auto",
    on_collapse: Annotated[
        OnCollapse, typer.Option(help="What to do when the run collapses: rollback goes back, with lower rates.")
    ] = "warn",
    features: ChooseFeatures = None,
    weights: Weights = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes on this machine that share each batch.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines that share each batch; run this under torchrun on each.")] = 1,
) -> None:
    """Train a GAN on a folder or zip of pictures; --config dcgan where none is named."""
    run = _run_to_resume(out, GanPlan, config, set_) if resume else None
    if run is None:
        refuse_existing(out)
    settings = run.plan.config if run else load_config(config or "dcgan", GanConfig, set_)
    if run and features and features != settings.features:
        raise ConfigError(f"{out} is measured in {settings.features}; its metrics would not compare. Leave --features out.")
    where = find_device(device)
    pictures = find_pictures(data)
    refuse_few(pictures, LEAST_GAN_PICTURES)
    refuse_small(pictures, settings.image_size, "--set image_size=...")
    network, settings = _feature_network(settings, features, weights)
    settings = resolve_gan(settings, len(pictures.names), pictures.grey, where)
    refuse_uneven(settings, processes * nodes)
    build_generator(settings)  # these refuse a config before the pictures are decoded
    build_discriminator(settings)
    squares, broken = load_squares(pictures, settings.image_size, channels_of(settings))
    _name_unreadable(pictures.unreadable | broken)
    if run is not None:
        _refuse_other(run.plan.fingerprint, pictures, out)
    # Further processes begin here with the same command, so the folder must not be there before.
    fabric = launch(where, precision_of(settings), processes, nodes)
    with fabric.rank_zero_first():
        if run is None and fabric.is_global_zero:
            Run.create(out, GanPlan(config=settings, data=_name(data), pictures=len(squares), fingerprint=pictures.fingerprint))
        run = _run_to_resume(out, GanPlan, None, ())
    if fabric.is_global_zero:
        typer.echo(
            f"Training {settings.architecture} on {len(squares)} pictures for {settings.steps} steps on {where}, "
            f"{settings.precision}; see {out / 'report.html'}"
        )
    train_gan(run, squares, fabric, network, on_collapse)
    if fabric.is_global_zero:
        _done(out, out / "report.html")


@app.command()
@exits_in_words
def style(
    styles: Annotated[
        Path, typer.Option(help="Folder or zip of paintings: one style each, named by its file.", show_default=False)
    ],
    content: Annotated[Path, typer.Option(help="Folder or zip of photos to learn painting on.", show_default=False)],
    out: Out,
    config: Config = None,
    set_: Set = [],  # noqa: B006
    vgg: Annotated[
        Path | None, typer.Option(help="VGG-16 weights, .safetensors or .pth; left out, torchvision downloads them.")
    ] = None,
    resume: Resume = False,
    device: Device = "auto",
) -> None:
    """Train one style network on every painting of a folder; --config style (style-cpu without a GPU)."""
    run = _run_to_resume(out, StylePlan, config, set_) if resume else None
    if run is None:
        refuse_existing(out)
    settings = run.plan.config if run else load_config(config or "style", StyleConfig, set_)
    where = find_device(device)
    photos = find_pictures(content)
    refuse_few(photos, LEAST_CONTENT_PICTURES)
    refuse_small(photos, settings.crop_size, "--set crop_size=...")
    found = find_pictures(styles)
    refuse_small(found, settings.crop_size, "--set crop_size=...")
    paintings, thumbnails, broken = load_paintings(found, settings.style_size)
    _name_unreadable(photos.unreadable | found.unreadable | broken)
    crops = Crops(photos, settings.crop_size, settings.batch_size, settings.seed)
    objective = Objective(settings, paintings, vgg, where)
    objective.balance(crops.first(BASELINE_CROPS))
    if run is None:
        plan = StylePlan(
            config=settings,
            styles=thumbnails,
            data=_name(content),
            pictures=len(photos.names),
            fingerprint=photos.fingerprint,
        )
        run = Run.create(out, plan)
    else:
        _refuse_other(run.plan.fingerprint, photos, out)
        if run.plan.styles != thumbnails:
            raise RunError(
                f"{out} was trained on {', '.join(run.plan.styles)}; {styles} holds other paintings ({', '.join(paintings)}). "
                "Resume with the same."
            )
    typer.echo(
        f"Training {len(paintings)} styles ({', '.join(paintings)}) on {len(photos.names)} photos for {settings.steps} steps "
        f"on {where}; see {out}"
    )
    train_style(run, crops, objective, where)
    _done(out, out / "samples")


@app.command("evaluate")
@exits_in_words
def evaluate_(
    model: Annotated[
        Path, typer.Argument(help="Run folder of a GAN, or an exported generator: NAME.onnx.", show_default=False)
    ],
    data: Annotated[Path, typer.Option(help="Folder or zip of real pictures to compare with.", show_default=False)],
    features: Annotated[
        Features | None, typer.Option(help="Network to measure in; left out, the run's own, or inception for a file.")
    ] = None,
    weights: Weights = None,
    samples: Annotated[int, typer.Option(min=2, help="Pictures to draw, and real ones to compare them with.")] = 2000,
    neighbours: Annotated[int, typer.Option(min=1, help="k of precision, recall, density and coverage.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the latents and of the choice of real pictures.")] = 0,
    device: Device = "auto",
    write: Annotated[bool, typer.Option("--write", help="Put the metrics into the card of an exported file.")] = False,
) -> None:
    """Measure a GAN's run or exported generator against real pictures; a run keeps it for its export's card."""
    settings = Settings(samples, neighbours, seed)
    where = find_device(device)
    candidate = load_candidate(model, where)
    if write and not candidate.exported:
        raise ConfigError("--write is for exported files: a run keeps its evaluation, and export writes it to the card.")
    network = build_features(features or candidate.features, weights)
    pictures = find_pictures(data)
    real, broken = choose_real(pictures, candidate, settings)
    _name_unreadable(pictures.unreadable | broken)
    evaluated = evaluate(candidate, real, network, settings, where)
    Console().print(evaluated.table())
    typer.echo(f"{evaluated.method}{candidate.progress}.\n{evaluated.explain_floor(settings)}")
    if write:
        keep_in_card(candidate, evaluated)
        typer.echo(f"Wrote them into the card of {model}.")
    elif not candidate.exported:
        typer.echo(f"Wrote {keep_in_run(candidate, evaluated, _name(data))}; export puts it into the card.")


@app.command()
@exits_in_words
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="File to write: exported/NAME.onnx.", show_default=False)],
    about: Annotated[
        Path | None, typer.Option(help="TOML with title, licence, data and styles; see training/about.py.")
    ] = None,
) -> None:
    """Export a run to one ONNX file, card inside, compared with the trained network."""
    card = export_run(run, out, read_about(about))
    size = out.stat().st_size / 1e6
    trained, planned = card.training_config["trained_steps"], Run.open(run).plan.config.steps
    evaluation = read_evaluation(run)
    if evaluation and evaluation.step != trained:
        typer.secho(
            f"{run / EVALUATION} is of step {evaluation.step}, and this is step {trained}: its metrics are left out of the "
            "card. Evaluate the run anew and export it again.",
            fg="yellow",
            err=True,
        )
    if trained != planned:
        which = "the best by Frechet distance" if (run / BEST).is_file() else "the last so far"
        typer.secho(f"This is the checkpoint of step {trained} of {planned}: {which}.", fg="yellow", err=True)
    typer.echo(f"Wrote {out} ({card.kind}, {size:.1f} MB): the same pictures as the trained network, within one grey level.")


@app.command()
@exits_in_words
def table(
    exported: Annotated[Path, typer.Argument(help="Folder of exported models.")] = Path("exported"),
    readme: Annotated[Path, typer.Argument(help="The README whose table of models is made anew.")] = Path("README.md"),
) -> None:
    """Make the tables of models in README.md and exported/README.md from the cards."""
    write_tables(exported, readme)
    typer.echo(f"Wrote {exported / 'README.md'} and the table in {readme}.")


def _run_to_resume(out: Path, kind: type[SomePlan], config: str | None, changes: Sequence[str]) -> Run[SomePlan]:
    if config or changes:
        raise ConfigError("--resume goes on with the run's own config. Leave --config and --set out, or begin anew.")
    run = Run.open(out)
    if not isinstance(run.plan, kind):
        raise RunError(f"{out} holds a {run.plan.kind} run. Resume it with: python -m training {run.plan.kind}.")
    return run


def _refuse_other(fingerprint: str, pictures: Pictures, out: Path) -> None:
    if fingerprint != pictures.fingerprint:
        raise RunError(
            f"{out} was trained on other pictures than {pictures.path} holds now. Resume with the same, or begin anew."
        )


def _name(path: Path) -> str:
    """The name of a folder or zip, for the card; `.` has one as well."""
    return path.resolve().name.encode(errors="replace").decode()


def _name_unreadable(unreadable: Mapping[str, str]) -> None:
    if unreadable:
        names = "\n".join(f"  {name}: {reason}" for name, reason in unreadable.items())
        typer.secho(f"{len(unreadable)} pictures cannot be read and are left out:\n{names}", fg="yellow", err=True)


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


def _done(out: Path, look: Path) -> None:
    typer.echo(f"Done. Look at {look}, then: python -m training export {out} exported/{out.name}.onnx")
