"""The style files of the models folder: more named styles for stylizers that are served."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from ganvas.style_file import MAX_STYLE_FILE, SUFFIX, StyleFile, parse_style_file
from service.engine.errors import RefusedError, UnreadableError
from service.engine.model_file import read_any


class StyleFiles:
    """What was read of the style files, by path."""

    def __init__(self) -> None:
        self._read: dict[Path, StyleFile | RefusedError] = {}

    @property
    def fitting(self) -> list[StyleFile]:
        """The files that say what they should, by name."""
        return sorted((file for file in self._read.values() if isinstance(file, StyleFile)), key=lambda file: file.name)

    def update(self, changed: Sequence[Path], removed: Sequence[Path]) -> list[Path]:
        """Read changed files and forget removed ones. Blocks.

        Returns:
            The files that could not be read now, to be tried again.
        """
        for path in removed:
            self._read.pop(path, None)
        for path in changed:
            try:
                self._read[path] = read_style_file(path)
            except RefusedError as error:
                self._read[path] = error
        return [path for path in changed if isinstance(self._read[path], UnreadableError)]

    def verdicts(self, taken: set[str]) -> dict[Path, str | None]:
        """Why each file is refused, or None if a model took its style.

        Args:
            taken: the names of the styles that models took.
        """
        return {path: self._verdict(file, taken) for path, file in self._read.items()}

    def _verdict(self, file: StyleFile | RefusedError, taken: set[str]) -> str | None:
        if isinstance(file, RefusedError):
            return str(file)
        if file.name in taken:
            return None
        return (
            f"it fits no served stylizer: none has the style_space {file.style_space}, vectors of this length, and no style of "
            "this name. Serve the model that the style was made for, or rename the style"
        )


def read_style_file(path: Path) -> StyleFile:
    """Read one style file.

    Raises:
        UnreadableError: it cannot be read now.
        RefusedError: it is not a style file, it is too large, or it says another name than its own.
    """
    try:
        file = parse_style_file(read_any(path, MAX_STYLE_FILE))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise RefusedError(f"it is not a style file: {'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}") from None
    if path.name != file.name + SUFFIX:
        raise RefusedError(f"its style is called {file.name}; rename the file to {file.name}{SUFFIX}")
    return file
