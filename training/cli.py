"""The command line: `python -m training`."""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import torch
import typer

from training.about import read_about
from training.config import GanConfig, StyleConfig, load_config
from training.data.crops import Crops
from training.data.images import Pictures, find_pictures, refuse_few, refuse_small
from training.data.paintings import load_paintings
from training.data.squares import load_squares
from training.errors import ConfigError, RunError, TrainingError, first_line
from training.export import export_run
from training.loops.gan import build_discriminator, build_generator, channels_of, train_gan
from training.loops.style import Objective, train_style
from training.run import GanPlan, Run, StylePlan, refuse_existing
from training.table import write_tables

LEAST_GAN_PICTURES = 16
LEAST_CONTENT_PICTURES = 4
BASELINE_CROPS = 8
DEVICE_TYPES = ("cpu", "cuda", "mps")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train on a folder of pictures, then export one ONNX file that the service serves.",
)

P = ParamSpec("P")
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
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu, cuda, cuda:1, ...")]


def _reports(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what the user can mend into a message and exit code 2, and Ctrl-C into exit code 130."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
        try:
            command(*args, **kwargs)
        except TrainingError as error:
            typer.secho(f"Error: {error}", fg="red", err=True)
            raise typer.Exit(2) from None
        except UnicodeError as error:
            typer.secho(f"Error: a name or a file that is not UTF-8: {error}.", fg="red", err=True)
            raise typer.Exit(2) from None
        except OSError as error:
            typer.secho(f"Error: {error.filename or 'a file'}: {error.strerror or error}", fg="red", err=True)
            raise typer.Exit(2) from None
        except (MemoryError, RuntimeError) as error:
            # torch has a class for the GPU's memory, but none for the CPU's
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            typer.secho(
                "Error: not enough memory. Lower batch_size, width or the size of the pictures by --set.", fg="red", err=True
            )
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.secho("Stopped. A run goes on from its last checkpoint with --resume.", fg="yellow", err=True)
            raise typer.Exit(130) from None

    return wrapped


@app.command()
@_reports
def gan(
    data: Annotated[Path, typer.Option(help="Folder or zip of pictures.", show_default=False)],
    out: Out,
    config: Config = None,
    set_: Set = [],  # noqa: B006  typer reads the default, nobody changes it
    resume: Resume = False,
    device: Device = "auto",
) -> None:
    """Train a GAN on a folder or zip of pictures; --config dcgan where none is named."""
    run = _run_to_resume(out, GanPlan, config, set_) if resume else None
    if run is None:
        refuse_existing(out)
    settings = run.plan.config if run else load_config(config or "dcgan", GanConfig, set_)
    where = _device(device)
    pictures = find_pictures(data)
    refuse_few(pictures, LEAST_GAN_PICTURES)
    refuse_small(pictures, settings.image_size, "--set image_size=...")
    settings = settings.model_copy(update={"channels": settings.channels or (1 if pictures.grey else 3)})
    build_generator(settings)  # these refuse a config before the pictures are decoded
    build_discriminator(settings)
    squares, broken = load_squares(pictures, settings.image_size, channels_of(settings))
    _name_unreadable(pictures.unreadable | broken)
    if run is None:
        run = Run.create(
            out, GanPlan(config=settings, data=_name(data), pictures=len(squares), fingerprint=pictures.fingerprint)
        )
    else:
        _refuse_other(run.plan.fingerprint, pictures, out)
    typer.echo(f"Training {settings.architecture} on {len(squares)} pictures for {settings.steps} steps on {where}; see {out}")
    train_gan(run, squares, where)
    _done(out)


@app.command()
@_reports
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
    where = _device(device)
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
    _done(out)


@app.command()
@_reports
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
    if trained != planned:
        typer.secho(f"This run is not finished: trained {trained} of {planned} steps.", fg="yellow", err=True)
    typer.echo(f"Wrote {out} ({card.kind}, {size:.1f} MB): the same pictures as the trained network, within one grey level.")


@app.command()
@_reports
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


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in DEVICE_TYPES:
            raise RuntimeError(f"known are {', '.join(DEVICE_TYPES)}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"--device {name} cannot be used here: {first_line(error)}. Use auto, cpu or, with a GPU, cuda."
        ) from error
    return device


def _name_unreadable(unreadable: Mapping[str, str]) -> None:
    if unreadable:
        names = "\n".join(f"  {name}: {reason}" for name, reason in unreadable.items())
        typer.secho(f"{len(unreadable)} pictures cannot be read and are left out:\n{names}", fg="yellow", err=True)


def _done(out: Path) -> None:
    typer.echo(f"Done. Look at {out / 'samples'}, then: python -m training export {out} exported/{out.name}.onnx")
