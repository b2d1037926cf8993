"""`python -m training`: see training/cli/."""

from training.cli.app import app

app(prog_name="python -m training")
