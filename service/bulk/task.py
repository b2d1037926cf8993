"""What a bulk job set out to do, and which pictures are left to be done.

OUT/manifest.jsonl   one line a picture: what it became, or why it could not be restyled
    bulk.json        what the job set out to do, beside the manifest; written first
    .bulk.lock       held while a process is at the job
    .../NAME.jpg     the pictures, by the names that they had
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import filelock
import fsspec
from pydantic import BaseModel, ConfigDict, ValidationError

from ganvas.api import FILE_TYPES, UPLOAD_SUFFIXES, ImageFormat
from ganvas.files import write_whole
from service.bulk.manifest import Manifest
from service.bulk.storage import find


class BulkError(Exception):
    """The job cannot be done; the message says why, and what to do."""


class Task(BaseModel):
    """What is done to every picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: str
    out: str
    model: str  # path of the exported file
    version: str = ""  # of that file; see `versioned`
    style: str | None
    strength: float
    keep_color: float
    max_side: int
    format: ImageFormat


@dataclass(frozen=True)
class Job:
    """A task, and how far it is.

    Attributes:
        task: what is done to every picture.
        manifest: what is done already.
        left: the pictures to do, by their path below `task.pictures`.
    """

    task: Task
    manifest: Manifest
    left: Sequence[str]


def versioned(task: Task) -> Task:
    """The task with the version of its model.

    Raises:
        BulkError: there is no such model.
    """
    try:
        version = hashlib.sha256(Path(task.model).read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise BulkError(f"{task.model} cannot be read: {error.strerror}; --model names a file of GANVAS_MODELS") from None
    return task.model_copy(update={"version": version})


@contextmanager
def begun(task: Task, manifest: str | None = None, *, retry_failed: bool = False) -> Iterator[Job]:
    """List the pictures, and take those away that an earlier run of the same job has done.

    Until the block ends, no other process is at the job: what is left stays left, and nobody rewrites the manifest that
    another one appends to.

    Args:
        task: what to do, `versioned`.
        manifest: the manifest's path; None: in the output folder.
        retry_failed: whether those that could not be restyled are to be tried again.

    Raises:
        BulkError: no pictures, two that would be written to one name, another process at this job, or a manifest of another
            job.
    """
    names = [name for name in _listed(task.pictures) if PurePosixPath(name).suffix.lower() in UPLOAD_SUFFIXES]
    if not names:
        raise BulkError(f"{task.pictures} holds no picture that is read here: {', '.join(sorted(UPLOAD_SUFFIXES))}")
    _refuse_twins(names, task.format)
    path = _manifest_path(task.out, manifest)
    with _held(path):
        _same_task(task, path.with_name("bulk.json"))
        kept = Manifest(path, retry_failed=retry_failed)
        yield Job(task, kept, [name for name in names if name not in kept.done])


@contextmanager
def _held(manifest: Path) -> Iterator[None]:
    """Keep other processes from the job of a manifest; a process that dies lets go."""
    manifest.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(manifest.with_name(".bulk.lock"), blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise BulkError(f"another process is writing {manifest}; wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()


def name_written(name: str, image_format: str) -> str:
    """What a picture is written as: its own name, with the ending of the format where it has another."""
    suffix = FILE_TYPES[image_format].suffix
    return name if name.endswith(suffix) else name + suffix


def _listed(pictures: str) -> list[str]:
    try:
        return find(pictures)
    except (OSError, ValueError, ImportError) as error:
        raise BulkError(f"{pictures} cannot be listed: {error}") from None


def _refuse_twins(names: Sequence[str], image_format: str) -> None:
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
        raise BulkError("--out is a URL, and a manifest grows line by line: name a local file for it with --manifest")
    return Path(root) / "manifest.jsonl"


def _same_task(task: Task, path: Path) -> None:
    """Write down what is to be done, or hold it against what was."""
    try:
        begun = Task.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        write_whole(path, (task.model_dump_json(indent=2) + "\n").encode())
        return
    except ValidationError:
        raise BulkError(f"{path} is not of a bulk job of this version; name another folder with --out") from None
    changed = [name for name in Task.model_fields if getattr(task, name) != getattr(begun, name)]
    if changed:
        raise BulkError(f"{path} says that this job began with another {', '.join(changed)}; name another folder with --out")
