"""The kinds of models that can be trained. A new kind is one folder beside gan/ and style/ and one line here."""

from pathlib import Path
from typing import Any

from ganvas.card import Card
from training.errors import ConfigError, RunError
from training.gan.kind import GAN
from training.kind import Kind
from training.onnx_file import read_card
from training.run import Run, read_kind
from training.style.kind import STYLE

KINDS: dict[str, Kind[Any, Any]] = {kind.name: kind for kind in (GAN, STYLE)}


def open_run(folder: Path) -> tuple[Kind[Any, Any], Run[Any]]:
    """Read a run of any kind.

    Raises:
        RunError: the folder holds no run, or a run that this version cannot read.
    """
    _require_folder(folder)
    name = read_kind(folder)
    if name not in KINDS:
        raise RunError(f"{folder} holds a {name} run, which this version does not know. Known: {', '.join(KINDS)}.")
    return KINDS[name], Run.open(folder, KINDS[name].plan)


def _require_folder(folder: Path) -> None:
    """Refuse a folder that does not exist, and name the runs beside it.

    Raises:
        RunError: the folder does not exist.
    """
    if folder.is_dir():
        return
    places = {folder.parent, Path("runs")}
    found = sorted({str(path.parent) for place in places if place.is_dir() for path in place.glob("*/run.json")})
    known = f"Runs here: {', '.join(found[:8])}{', ...' if len(found) > 8 else ''}" if found else "No run was found here"
    raise RunError(f"{folder} is not a folder. Name a run folder, the --out of a training. {known}.")


def kind_of_card(card: Card) -> Kind[Any, Any]:
    """The kind of an exported model."""
    return next(kind for kind in KINDS.values() if isinstance(card, kind.card))


def kind_of_model(path: Path) -> Kind[Any, Any]:
    """The kind of a run folder or an exported file.

    Raises:
        ConfigError: the path does not exist.
        RunError: the folder holds no run.
        ExportError: the file is not an exported model.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist. Name a run folder or an exported model, NAME.onnx.")
    return open_run(path)[0] if path.is_dir() else kind_of_card(read_card(path))
