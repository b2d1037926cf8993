"""The command line, `ganvas` or `python -m ganvas`: see ganvas/cli/."""

import sys


def main() -> None:
    """Run the command line, if what it needs beyond the library is installed."""
    try:
        from ganvas.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "typer"):
            raise
        sys.exit('ganvas: the command line needs typer and rich: pip install "ganvas[cli]"')
    app(prog_name="ganvas")


if __name__ == "__main__":
    main()
