"""How to call this program again: commands to paste into a shell."""

import shlex
import shutil
import sys
from pathlib import Path


def interpreter() -> str:
    """The Python that runs, as short as a shell in this folder finds it: `.venv/bin/python`, `python` or its whole path."""
    path = Path(sys.executable)
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return next((name for name in ("python", "python3") if shutil.which(name) == sys.executable), sys.executable)


def command(*words: str) -> str:
    """A command of training, quoted for a shell: `.venv/bin/python -m training export runs/mine`."""
    return shlex.join([interpreter(), "-m", "training", *words])
