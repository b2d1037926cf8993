"""A bulk task: what it does to each image, and which images remain.

OUT/manifest.jsonl   one line per image: what was written, or why it could not be stylized
    bulk.json        the task, beside the manifest; written first
    .bulk.lock       held while a process works on the task
    .../NAME.jpg     the images, with the names of their inputs
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import filelock
import fsspec
from pydantic import BaseModel, ConfigDict, ValidationError

from ganvas.api import FILE_TYPES, UPLOAD_SUFFIXES, ImageFormat
from ganvas.files import write_whole
from ganvas.left_out import START_BYTES, left_out_text, why_left_out
from service.bulk.manifest import Manifest
from service.bulk.storage import Storage, find
from service.engine.errors import RefusedError, UnreadableError
from service.engine.folder import version_of
from service.engine.model_file import examine, size_limit
from service.settings import settings


class BulkError(Exception):
    """The task cannot be done; the message says why and what to do."""


class Task(BaseModel):
    """What is done to every image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: str
    out: str
    model: str  # path of the exported file
    version: str = ""  # of that file; see `versioned`
    style: str | None
    strength: float
    keep_color: float
    brush: float
    max_side: int
    format: ImageFormat


@dataclass(frozen=True)
class OpenTask:
    """A task that this process works on.

    Attributes:
        task: what is done to every image.
        manifest: what is done already.
        remaining: the images to stylize, by their path below `task.images`.
        left_out: the files that are not read as images.
    """

    task: Task
    manifest: Manifest
    remaining: Sequence[str]
    left_out: Sequence[str]


def versioned(task: Task) -> Task:
    """Add the version of the model.

    Raises:
        BulkError: the model does not exist, or is not a file.
    """
    path = Path(task.model)
    try:
        examine(path, size_limit(settings().max_model_mb))
        version = version_of(path.read_bytes())
    except UnreadableError as error:
        reason = str(error).removeprefix("the file ")
        raise BulkError(f"{task.model} {reason}; --model must name a file in the folder GANVAS_MODELS") from None
    except RefusedError as error:
        raise BulkError(f"{task.model} is refused: {error}") from None
    return task.model_copy(update={"version": version})


@contextmanager
def open_task(task: Task, manifest: str | None = None, *, retry_failed: bool = False) -> Iterator[OpenTask]:
    """List the images, without those that an earlier run of the same task has done.

    Until the block ends, no other process can open the task, stylize its images or change the manifest.

    Args:
        task: the task, `versioned`.
        manifest: path of the manifest; None: in the output folder.
        retry_failed: whether to try the images again that could not be stylized.

    Raises:
        BulkError: there are no images, two would be written to one file, another process works on the task, or the manifest
            belongs to another task.
    """
    names, left_out = _sorted_out(task.images)
    if not names:
        found = f" ({left_out_text(left_out)})" if left_out else ""
        raise BulkError(f"{task.images} contains no image{found}; names must end in {', '.join(sorted(UPLOAD_SUFFIXES))}")
    _require_distinct(names, task.format)
    path = _manifest_path(task.out, manifest)
    with _held(path):
        _same_task(task, path.with_name("bulk.json"))
        kept = Manifest(path, retry_failed=retry_failed)
        yield OpenTask(task, kept, [name for name in names if name not in kept.done], left_out)


@contextmanager
def _held(manifest: Path) -> Iterator[None]:
    """Lock the task of a manifest. The lock of a process that dies is released."""
    manifest.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = filelock.FileLock(manifest.with_name(".bulk.lock"), blocking=False).acquire()
    except filelock.Timeout:
        raise BulkError(f"another process is writing {manifest}; wait until it ends, or stop it") from None
    with lock:
        yield


def name_written(name: str, image_format: str) -> str:
    """The name of the output: the name of the input, plus the suffix of the format if the name has another suffix."""
    suffix = FILE_TYPES[image_format].suffix
    return name if name.endswith(suffix) else name + suffix


def _sorted_out(images: str) -> tuple[list[str], list[str]]:
    """The images, and the files that are left out."""
    names: list[str] = []
    left_out: list[str] = []
    storage = Storage(images)
    for name in _listed(images):
        try:
            reason = why_left_out(name, partial(storage.start, name, START_BYTES))
        except Exception as error:  # fsspec raises the errors of many libraries
            reason = str(error) or type(error).__name__
        (names if reason is None else left_out).append(name)
    return names, left_out


def _listed(images: str) -> list[str]:
    try:
        return find(images)
    except (OSError, ValueError, ImportError) as error:
        raise BulkError(f"{images} cannot be listed: {error}") from None


def _require_distinct(names: Sequence[str], image_format: str) -> None:
    written: dict[str, str] = {}
    for name in names:
        other = written.setdefault(name_written(name, image_format), name)
        if other != name:
            raise BulkError(f"{other} and {name} would both be written to {name_written(name, image_format)}; rename one")


def _manifest_path(out: str, manifest: str | None) -> Path:
    if manifest is not None:
        return Path(manifest)
    filesystem, root = fsspec.core.url_to_fs(out)
    if "file" not in filesystem.protocol:
        raise BulkError("--out is a URL, and the manifest must be a local file: name one with --manifest")
    return Path(root) / "manifest.jsonl"


def _same_task(task: Task, path: Path) -> None:
    """Write the task, or compare it with the one that was written before."""
    try:
        begun = Task.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        write_whole(path, (task.model_dump_json(indent=2) + "\n").encode())
        return
    except ValidationError:
        raise BulkError(f"{path} was not written by this version of ganvas; choose another folder with --out") from None
    changed = [name for name in Task.model_fields if getattr(task, name) != getattr(begun, name)]
    if changed:
        raise BulkError(f"{path} belongs to a task with another {', '.join(changed)}; choose another folder with --out")
