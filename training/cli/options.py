"""Options and messages that several commands share."""

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_type_hints

import typer

from ganvas.left_out import left_out_text
from training.config import AUTO, Features, Table, change, flatten, load_config
from training.data.image_folder import ImageFolder
from training.errors import ConfigError, RunError
from training.program import command
from training.text import count_of

if TYPE_CHECKING:
    from training.run import Plan, Run

SomePlan = TypeVar("SomePlan", bound="Plan")
_MAX_THREADS = 512

Out = Annotated[
    Path, typer.Option(help="Run folder to make; it gets config, samples, stats and checkpoints.", show_default=False)
]
Config = Annotated[str | None, typer.Option(help="A config of training/configs/ by name, or a TOML file.", show_default=False)]
Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="Change one value of the config: --set key=value or table.key=value. Repeatable. All keys: training/*/config.py.",
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue the run in --out from its last checkpoint, with its own config.")
]
AutoResume = Annotated[
    bool,
    typer.Option("--auto-resume", help="Resume the run if --out already contains one, and start a new run otherwise."),
]
Begin = Annotated[
    Path | None,
    typer.Option("--from", help="Start with the weights of this run and train all of them.", show_default=False),
]
ChooseFeatures = Annotated[Features | None, typer.Option(help="Network that the metrics are measured in. Default: inception.")]
Weights = Annotated[Path | None, typer.Option(help="Local file of the feature network's weights. Default: download them.")]
Vgg = Annotated[
    Path | None, typer.Option(help="VGG-16 weights, a .safetensors or .pth file. Default: torchvision downloads them.")
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=_MAX_THREADS,
        help="CPU threads. Default: those of the run if it resumes, else the number that its first step is fastest with. Use 1 "
        "if other programs keep the CPU busy.",
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1, ...")]


def run_to_continue(
    out: Path, plan: type[SomePlan], config: str | None, changes: Sequence[str], *, resume: bool, auto_resume: bool
) -> "Run[SomePlan] | None":
    """The run of `--resume` or `--auto-resume`; None if a new run starts.

    Raises:
        ConfigError: the command line names a config or values with `--resume`, or other values than those of the run.
        RunError: there is no run to resume or a run of another kind; without both options, the folder exists.
    """
    from training.run import Run, require_new_folder  # imports torch, which takes seconds: not for help

    if resume:
        if config or changes:
            raise ConfigError("--resume continues with the run's own config. Leave --config and --set out, or start a new run.")
        return Run.open(out, plan)
    if auto_resume and (out / "run.json").is_file():
        run = Run.open(out, plan)
        _require_same_config(run, config, changes)
        return run
    require_new_folder(out)
    return None


def _require_same_config(run: "Run[SomePlan]", config: str | None, changes: Sequence[str]) -> None:
    """Refuse values that a run was not started with. Values that the config leaves open were resolved at its start."""
    resolved: Any = run.plan.config
    named = None if config == AUTO else config  # what auto chose is in the run
    chosen = load_config(named, type(resolved), changes) if named else change(resolved, changes, "--set")
    before, unresolved = flatten(resolved), (None, "auto")
    changed = sorted(
        key
        for key, value in flatten(chosen, only_set=True).items()
        if value not in unresolved and (key not in before or value != before[key])
    )
    if changed:
        raise ConfigError(
            f"{run.folder} was started with other values of {', '.join(changed)}. Continue with those values, or name another "
            "folder with --out."
        )


def run_to_begin_with(folder: Path, plan: type[SomePlan], *, resume: bool) -> "Run[SomePlan]":
    """The run of `--from`.

    Raises:
        ConfigError: the command line also says `--resume`.
        RunError: there is no run, or a run of another kind.
    """
    from training.run import Run  # imports torch, which takes seconds: not for help

    if resume:
        raise ConfigError("--from is only for a new run. To resume a run, leave --from out.")
    return Run.open(folder, plan)


def refuse_other_network(settings: Table, trained: Table, architecture: Sequence[str]) -> None:
    """Refuse a config whose network does not fit trained weights.

    Args:
        settings: the config.
        trained: the config that the weights were trained with.
        architecture: the values, and tables of values, that define the network.

    Raises:
        ConfigError: a value differs.
    """
    ours, theirs = (
        {key: each for key, each in flatten(table).items() if _defines(key, architecture)} for table in (settings, trained)
    )
    if other := [key for key in theirs | ours if ours.get(key) != theirs.get(key)]:
        raise ConfigError(
            f"{other[0]} is {ours.get(other[0])}, but {theirs.get(other[0])} in the trained network. The values of "
            f"{', '.join(architecture)} cannot change. Leave them out."
        )


def _defines(key: str, architecture: Sequence[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in architecture)


def require_same_images(fingerprint: str, folder: ImageFolder, out: Path) -> None:
    """Refuse images that a run was not trained on.

    Raises:
        RunError: the fingerprints differ.
    """
    if fingerprint != folder.fingerprint:
        raise RunError(
            f"{out} was trained on other images than {folder.path} holds now. Resume with the same images, or start a new run."
        )


def name_of(path: Path) -> str:
    """The name of a folder or zip, for the card. `.` has a name as well."""
    return path.resolve().name.encode(errors="replace").decode()


def warn_unreadable(unreadable: Mapping[str, str]) -> None:
    """List the images that cannot be read: name -> reason."""
    if unreadable:
        names = "\n".join(f"  {name}: {reason}" for name, reason in unreadable.items())
        verb = "is" if len(unreadable) == 1 else "are"
        typer.secho(f"{count_of(len(unreadable), 'file')} cannot be read and {verb} left out:\n{names}", fg="yellow", err=True)


def note_left_out(*folders: ImageFolder) -> None:
    """Say how many files of each folder are left out because of their format."""
    for folder in folders:
        if folder.left_out:
            check = command("check", str(folder.path))
            typer.secho(f"{left_out_text(folder.left_out)}. To list them: {check}", fg="yellow", err=True)


def print_next_steps(out: Path, look: Path) -> None:
    """Say where the results are and how to export them."""
    typer.echo(f"Done. Look at {look}, then: {export_command(out)}")


def export_command(run: Path) -> str:
    """The command that exports a run, to paste into a shell."""
    return command("export", str(run))


def takes_options_of(classes: Mapping[str, type]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of all kinds of models, in place of its `**options`.

    The help of an option names its kinds. Kinds that share an option must give it the same type and range, but each has its
    own help and default. The command uses only the options that the command line sets: `chosen_options`.

    Args:
        classes: the options of each kind by its name; the fields of a dataclass, with typer's annotations.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)
        parameters = {p.name: p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD}
        offered: dict[str, dict[str, inspect.Parameter]] = {}
        for kind, each in classes.items():
            for name, parameter in _parameters(each).items():
                offered.setdefault(name, {})[kind] = parameter
        parameters |= {name: _joined(by_kind) for name, by_kind in offered.items()}
        command.__signature__ = own.replace(parameters=list(parameters.values()))  # type: ignore[attr-defined]
        return command

    return decorate


def chosen_options(context: typer.Context, options: Mapping[str, Any], accepted: type, subject: str) -> Any:
    """The options of one kind of model.

    Args:
        context: of the command.
        options: values of the options of all kinds.
        accepted: the dataclass of the kind.
        subject: what the options are for, to begin a message.

    Raises:
        ConfigError: the command line sets an option of another kind.
    """
    given = {name: value for name, value in options.items() if _is_given(context, name)}
    names = {field.name for field in dataclasses.fields(accepted)}
    if foreign := sorted(given.keys() - names):
        raise ConfigError(f"{subject} has no option --{foreign[0]}. Leave it out.")
    return accepted(**given)


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _joined(by_kind: Mapping[str, inspect.Parameter]) -> inspect.Parameter:
    """One option from the options of this name that several kinds have."""
    first = next(iter(by_kind.values()))
    value, option = get_args(first.annotation)
    option = copy.copy(option)
    option.help = " ".join(f"{kind}: {_help(parameter)}" for kind, parameter in by_kind.items())
    option.show_default = False  # the help of each kind ends with its default
    return first.replace(annotation=Annotated[value, option])


def _help(parameter: inspect.Parameter) -> str:
    _, option = get_args(parameter.annotation)
    default = parameter.default[0] if isinstance(parameter.default, list) else parameter.default
    return f"{option.help} Default: {default}." if option.show_default and default is not None else str(option.help)


def _parameters(options: type) -> dict[str, inspect.Parameter]:
    hints = get_type_hints(options, include_extras=True)
    fields: Iterable[dataclasses.Field[Any]] = dataclasses.fields(options)
    return {
        field.name: inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields
    }
