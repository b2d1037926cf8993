"""What several commands share: options, and words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from training.config import Features, change, load_config
from training.data.image_folder import ImageFolder
from training.errors import ConfigError, RunError
from training.run import GanPlan, Run, StylePlan, require_new_folder

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
AutoResume = Annotated[
    bool,
    typer.Option(
        "--auto-resume",
        help="Begin the run, or go on with it where --out holds it already: the same command, however often it is started.",
    ),
]
ChooseFeatures = Annotated[
    Features | None, typer.Option(help="Network that metrics are measured in; inception where none is named.")
]
Weights = Annotated[
    Path | None, typer.Option(help="Local file of the feature network's weights; left out, they are downloaded.")
]
Vgg = Annotated[Path | None, typer.Option(help="VGG-16 weights, .safetensors or .pth; left out, torchvision downloads them.")]
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu, cuda, cuda:1, ...")]


def run_to_resume(out: Path, kind: type[SomePlan], config: str | None, changes: Sequence[str]) -> Run[SomePlan]:
    """The run of `--resume`, which goes by its own config.

    Raises:
        ConfigError: a config is named as well.
        RunError: there is no run, or one of the other kind.
    """
    if config or changes:
        raise ConfigError("--resume goes on with the run's own config. Leave --config and --set out, or begin anew.")
    run = Run.open(out)
    if not isinstance(run.plan, kind):
        raise RunError(f"{out} holds a {run.plan.kind} run. Resume it with: python -m training {run.plan.kind}.")
    return run


def run_to_continue(
    out: Path, kind: type[SomePlan], config: str | None, changes: Sequence[str], *, resume: bool, auto_resume: bool
) -> Run[SomePlan] | None:
    """The run of `--resume` or `--auto-resume`; None where a new one begins.

    Raises:
        ConfigError: a config is named beside `--resume`, or one that the run of `--auto-resume` did not begin with.
        RunError: there is no run to resume, one of the other kind, or, without both options, any at all.
    """
    if resume:
        return run_to_resume(out, kind, config, changes)
    if auto_resume and (out / "run.json").is_file():
        run = run_to_resume(out, kind, None, ())
        _refuse_changed(run, config, changes)
        return run
    require_new_folder(out)
    return None


def _refuse_changed(run: Run[SomePlan], config: str | None, changes: Sequence[str]) -> None:
    """Refuse values that a run did not begin with; what they leave open was decided then."""
    begun: Any = run.plan.config  # GanConfig or StyleConfig; load_config and change give back the same
    chosen = load_config(config, type(begun), changes) if config else change(begun, changes, "--set")
    open_values = (None, "auto")
    changed = sorted(
        name
        for name in chosen.model_fields_set
        if getattr(chosen, name) not in open_values and getattr(chosen, name) != getattr(begun, name)
    )
    if changed:
        raise ConfigError(
            f"{run.folder} began with other values of {', '.join(changed)}. Go on with those, or name another folder "
            "with --out."
        )


def require_same_images(fingerprint: str, pictures: ImageFolder, out: Path) -> None:
    """Refuse pictures that a run did not learn from, told by their fingerprint.

    Raises:
        RunError: they differ.
    """
    if fingerprint != pictures.fingerprint:
        raise RunError(
            f"{out} was trained on other pictures than {pictures.path} holds now. Resume with the same, or begin anew."
        )


def name_of(path: Path) -> str:
    """The name of a folder or zip, for the card; `.` has one as well."""
    return path.resolve().name.encode(errors="replace").decode()


def warn_unreadable(unreadable: Mapping[str, str]) -> None:
    """Tell the user which pictures cannot be read: name -> reason."""
    if unreadable:
        names = "\n".join(f"  {name}: {reason}" for name, reason in unreadable.items())
        typer.secho(f"{len(unreadable)} pictures cannot be read and are left out:\n{names}", fg="yellow", err=True)


def print_next_steps(out: Path, look: Path) -> None:
    """Tell the user what to look at and what to do next."""
    typer.echo(f"Done. Look at {look}, then: python -m training export {out} exported/{out.name}.onnx")
