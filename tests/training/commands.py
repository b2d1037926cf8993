"""The command line of training, as tests call it."""

import re

from typer.testing import CliRunner, Result

from training.cli.app import app


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    """Call what must succeed; give back what it said."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object) -> str:
    """Call what must be refused; give back what it said, on one line."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return re.sub(r"[\s│]+", " ", result.output)
