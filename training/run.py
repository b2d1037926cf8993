"""A run folder: everything that one training writes, and everything that resuming or exporting it needs.

runs/NAME/run.json          the plan: kind, resolved config, data; written first
          checkpoint.pt     weights, optimizers, step; replaced in one step
          best.pt           a copy from the step with the lowest Frechet distance, for a GAN
          fallback.pt       a copy from a fixed step, to return to from NaN, for a GAN
          stats.jsonl       one line a report: step, images, losses, images/s; metrics; events
          samples/0000500.png
          tensorboard/      the statistics and samples for `tensorboard --logdir runs`
          real.json         what real images score in place of samples, for a GAN
          held-out.json, held-out/   photos that a style network did not learn from, painted and measured
          report.html       everything on one page; see training/gan/report/ and training/style/report/
          evaluation.json   the last result of `python -m training evaluate`
          .lock             held while a process trains the run
"""

import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import filelock
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from ganvas.files import naming, write_whole
from training.errors import NotFiniteError, RunError, first_line
from training.program import command

SCHEMA_VERSION = 2
"""Of run.json. Raise it when older runs can no longer be resumed or exported."""

LAST, BEST, FALLBACK = "checkpoint.pt", "best.pt", "fallback.pt"

Checkpoint = dict[str, Any]
"""`step`, and the state of each part of the training by name."""


class Stateful(Protocol):
    """Part of a checkpoint: a network, an optimizer, a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """The state to save."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Restore a saved state."""
        ...


class Plan(BaseModel):
    """What a run set out to do. Each kind of model has a subclass.

    Attributes:
        schema_version: of run.json.
        kind: name of the `training.kind.Kind`.
        config: the resolved config, of the class that the kind names.
        data: name of the folder or zip of training images.
        data_path: the same as the command line named it, for the commands in the report.
        images: how many training images there are.
        fingerprint: identifies the images; see `training.data.image_folder`.
        threads: of the CPU that the run uses, once it has started; see `training.threads`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[2] = 2
    kind: str
    config: BaseModel
    data: str
    data_path: str = ""
    images: int
    fingerprint: str = ""
    threads: int | None = None

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        raise NotImplementedError


SomePlan = TypeVar("SomePlan", bound=Plan, covariant=True)
AnyPlan = TypeVar("AnyPlan", bound=Plan)


class Run(Generic[SomePlan]):
    """A run folder that exists. `Run.create` makes one, `Run.open` reads one.

    Attributes:
        folder: the run folder.
        plan: what the run set out to do, resolved when it started.
    """

    def __init__(self, folder: Path, plan: SomePlan) -> None:
        self.folder = folder
        self.plan: SomePlan = plan

    @staticmethod
    def create(folder: Path, plan: AnyPlan) -> "Run[AnyPlan]":
        """Make the folder and write the plan.

        Raises:
            RunError: the folder exists already or cannot be made.
        """
        require_new_folder(folder)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as unfinished:
                whole = Path(unfinished) / "run"
                (whole / "samples").mkdir(parents=True)
                (whole / "run.json").write_bytes(_json(plan))
                whole.rename(folder)
        except OSError as error:
            raise RunError(f"{folder} cannot be made: {error.strerror}. Name another folder with --out.") from error
        return Run(folder, plan)

    @staticmethod
    def open(folder: Path, plan: type[AnyPlan]) -> "Run[AnyPlan]":
        """Read the plan of an existing run.

        Args:
            folder: the run folder.
            plan: the class of the plan; `training.kinds.open_run` finds it if the kind is not known.

        Raises:
            RunError: the folder holds no run, a run of another kind, or a run that this version cannot read.
        """
        kind, expected = read_kind(folder), plan.model_fields["kind"].default
        if kind != expected:
            raise RunError(f"{folder} holds a {kind} run, not a {expected} run. Resume it with: {command(kind)}.")
        path = folder / "run.json"
        try:
            return Run(folder, plan.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            raise RunError(f"{path} cannot be read: {error.errors()[0]['msg']}.") from error

    def record_threads(self, threads: int) -> None:
        """Write into the plan how many threads the run uses."""
        if threads != self.plan.threads:
            self.plan = self.plan.model_copy(update={"threads": threads})
            write_whole(self.folder / "run.json", _json(self.plan))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training this run. The lock ends with the process.

        Raises:
            RunError: another process holds the lock.
        """
        try:
            lock = filelock.FileLock(self.folder / ".lock", blocking=False).acquire()
        except filelock.Timeout as error:
            raise RunError(f"Another process is training {self.folder}. Wait for it, or stop it first.") from error
        with lock:
            yield

    def save_checkpoint(self, step: int, parts: Mapping[str, Stateful], name: str = LAST) -> None:
        """Write a checkpoint.

        Args:
            step: steps done.
            parts: networks, optimizers and schedules by name.
            name: `LAST`; `BEST` for the checkpoint to roll back to and to export; `FALLBACK` for the one to return to from NaN.

        Raises:
            NotFiniteError: a number is not finite. The old checkpoint stays.
            OSError: the file cannot be written. The old checkpoint stays.
        """
        state = {"step": step, **{name: part.state_dict() for name, part in parts.items()}}
        if not _finite(state):
            raise NotFiniteError(
                f"A weight became NaN or infinite by step {step}. {self.folder / name} was not replaced. Start a new run "
                "with a lower learning rate."
            )
        # torch's own file writer reports a full disk as an internal error, without the word disk
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_whole(self.folder / name, buffer.getvalue())

    def restore(self, parts: Mapping[str, Stateful], name: str = LAST, *, forget: bool = True) -> int:
        """Load a checkpoint into its parts and delete the statistics after its step.

        Args:
            parts: by name, as they were saved.
            name: `LAST`, `BEST` or `FALLBACK`.
            forget: whether this process deletes the statistics. Of several processes that share the folder, only one may.

        Returns:
            The steps done. If there is no checkpoint yet, 0, and the parts do not change.

        Raises:
            RunError: the checkpoint is broken.
        """
        checkpoint = self.load_checkpoint(name)
        step = 0
        if checkpoint is not None:
            step = checkpoint["step"]
            for key, part in parts.items():
                self.fit(part, checkpoint, key)
        if forget:
            self._forget_after(step)
        return step

    def fit(self, part: Stateful, checkpoint: Mapping[str, Any], name: str) -> None:
        """Load one part of a checkpoint.

        Raises:
            RunError: the checkpoint does not hold the part, or the part does not fit run.json.
        """
        try:
            part.load_state_dict(checkpoint[name])
        except Exception as error:
            raise RunError(
                f"The checkpoint in {self.folder} does not fit run.json beside it ({name}: {first_line(error)}). "
                "One of the two was changed or comes from another version. Start a new run."
            ) from error

    def load_checkpoint(self, name: str = LAST) -> Checkpoint | None:
        """Read a checkpoint onto the CPU; None if it does not exist.

        Raises:
            RunError: the file is broken.
        """
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            state: Checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise RunError(f"{path} cannot be read: {first_line(error)}.") from error
        if not isinstance(state, dict) or not isinstance(state.get("step"), int):
            raise RunError(f"{path} is not a checkpoint of a training run.")
        return state

    def checkpoint_to_export(self) -> Checkpoint:
        """Read the best checkpoint or, if the run keeps none, the last.

        Raises:
            RunError: there is no checkpoint, or it cannot be read.
        """
        checkpoint = self.load_checkpoint(BEST) or self.load_checkpoint()
        if checkpoint is None:
            raise RunError(f"{self.folder} has no checkpoint yet. Train it with --resume until it has one.")
        return checkpoint

    def save_sample(self, step: int, image: Image.Image) -> Path:
        """Write one sample image and return its path."""
        path = self.folder / "samples" / f"{step:07d}.png"
        write_whole(path, lambda partial: image.save(partial, format="PNG"))
        return path

    def log(self, step: int, **stats: float | str) -> None:
        """Append a line to stats.jsonl."""
        values = {name: round(value, 6) if isinstance(value, float) else value for name, value in stats.items()}
        path = self.folder / "stats.jsonl"
        with naming(path), path.open("a") as stream:
            stream.write(json.dumps({"step": step, **values}) + "\n")

    def _forget_after(self, step: int) -> None:
        """Delete the lines of stats.jsonl after a step: a resumed run writes them again."""
        path = self.folder / "stats.jsonl"
        if path.is_file():
            kept = [line for line in path.read_text(errors="replace").splitlines(keepends=True) if _step(line) <= step]
            write_whole(path, lambda partial: partial.write_text("".join(kept)))


def _json(plan: Plan) -> bytes:
    return f"{plan.model_dump_json(indent=2)}\n".encode()


def require_new_folder(folder: Path) -> None:
    """Refuse an output folder that exists.

    Raises:
        RunError: the folder exists.
    """
    if folder.exists():
        raise RunError(f"{folder} exists already. Name another folder with --out, or continue the run with --resume.")


def read_kind(folder: Path) -> str:
    """Read the kind of a run.

    Raises:
        RunError: the folder holds no run, or a run of another schema version.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise RunError(f"{folder} holds no training run (no run.json). Name a run folder, the --out of a training.")
    try:
        header = _Header.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(f"{path} cannot be read: {error.errors()[0]['msg']}.") from error
    if header.schema_version < SCHEMA_VERSION:
        raise RunError(f"The run in {folder} was started by an older version of Ganvas and cannot be read. Start a new run.")
    if header.schema_version > SCHEMA_VERSION:
        raise RunError(f"{folder} was started by a newer version of Ganvas. Update Ganvas, or start a new run.")
    return header.kind


class _Header(BaseModel):
    """The part of run.json that all schema versions share. Version 1 did not state its version."""

    schema_version: int = 1
    kind: str


def _finite(state: object) -> bool:
    if isinstance(state, torch.Tensor):
        return not state.is_floating_point() or bool(state.isfinite().all())
    if isinstance(state, Mapping):
        return all(map(_finite, state.values()))
    return True


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line that was cut off when the run was killed
        return float("inf")
