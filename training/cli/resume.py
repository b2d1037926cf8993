"""The command that resumes a run."""

from pathlib import Path

from typer._click.globals import get_current_context  # typer brings its own click

from training.program import command

_ONLY_TO_START = (
    "config",
    "set_",
    "minutes",
    "resume",
    "auto_resume",
    "extend",
    "begin",
)  # --resume takes their effect from the run


def resume_command() -> str | None:
    """The command that resumes the run of the present command; None if it trains none, or the run has not begun."""
    context = get_current_context(silent=True)
    if context is None or "resume" not in context.params or not (Path(context.params["out"]) / "run.json").is_file():
        return None
    words = [str(context.info_name)]
    for parameter in context.command.params:
        name, value = str(parameter.name), context.params.get(str(parameter.name))
        source = context.get_parameter_source(name)
        if name not in _ONLY_TO_START and source is not None and source.name == "COMMANDLINE" and value is not None:
            words += [parameter.opts[0], str(value)]
    return command(*words, "--resume")
