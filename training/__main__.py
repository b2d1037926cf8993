"""`python -m training`: see training/cli.py."""

from training.cli import app

app(prog_name="python -m training")
