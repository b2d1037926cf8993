"""The command line: `ganvas` or `python -m ganvas`. See ganvas/cli/."""

import io
import sys


def main() -> None:
    """Run the command line, or say what to install if its dependencies are missing."""
    try:
        from ganvas.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "typer"):
            raise
        sys.exit('The command line needs typer and rich. Run: pip install "ganvas[cli]"')
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a title may hold letters that the terminal does not have
    app(prog_name="ganvas")


if __name__ == "__main__":
    main()
