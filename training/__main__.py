"""`python -m training`: see training/cli/."""

import sys

from training.program import interpreter

try:
    from training.cli.app import app

    app(prog_name=f"{interpreter()} -m training")
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] in ("training", "ganvas"):
        raise  # a mistake in this project, not a missing installation
    sys.exit(
        f"Error: {sys.executable} has no package {error.name}, which training needs. Run make setup once, which creates .venv. "
        "Then use .venv/bin/python -m training."
    )
