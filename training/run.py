"""A run folder: all that one training leaves behind, and all that it takes to resume or export it.

runs/NAME/run.json          kind, resolved config, what the data was; written first
          checkpoint.pt     weights, optimizers, step; written whole or not at all
          best.pt           the same, as it was when a GAN's Frechet distance was lowest
          stats.jsonl       a line a report: step, images, losses, pictures/s; metrics; events in words
          samples/0000500.png
          tensorboard/      the same for `tensorboard --logdir runs`
          report.html       all of it on one page, for a GAN; see training/report/
          evaluation.json   what `python -m training evaluate` measured last
          .lock             held while a process trains it
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

import filelock
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ganvas.card import Name
from ganvas.files import write_whole
from training.errors import NotFiniteError, RunError, first_line
from training.gan.config import GanConfig
from training.style.config import StyleConfig

LAST, BEST = "checkpoint.pt", "best.pt"


class Stateful(Protocol):
    """A network, an optimizer, a schedule: all that a checkpoint holds."""

    def state_dict(self) -> dict[str, Any]:
        """What to save."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take it back."""
        ...


class _Plan(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GanPlan(_Plan):
    """What a GAN run set out to do."""

    kind: Literal["gan"] = "gan"
    config: GanConfig
    data: str  # name of the folder or zip
    pictures: int
    fingerprint: str = ""  # of the pictures; see training.data.image_folder


class StylePlan(_Plan):
    """What a style run set out to do."""

    kind: Literal["style"] = "style"
    config: StyleConfig
    styles: dict[Name, str] = Field(min_length=1)  # style name -> thumbnail, a base64 JPEG; in the order of the network's rows
    kept: int = 0  # how many of them, the first, come from the run that this one extends, and stay as they are
    baseline: float | None = None  # mean style loss of unpainted photos, to which styles are balanced
    data: str  # name of the content folder or zip
    pictures: int
    fingerprint: str = ""  # of the photos


Plan = Annotated[GanPlan | StylePlan, Field(discriminator="kind")]
SomePlan = TypeVar("SomePlan", GanPlan, StylePlan, covariant=True)
_PLANS: TypeAdapter[GanPlan | StylePlan] = TypeAdapter(Plan)


class Run(Generic[SomePlan]):
    """A run folder that exists. `Run.create` makes one, `Run.open` finds one.

    Attributes:
        folder: the run folder.
        plan: what the run set out to do, as resolved when it began.
    """

    def __init__(self, folder: Path, plan: SomePlan) -> None:
        self.folder = folder
        self.plan: SomePlan = plan

    @classmethod
    def create(cls, folder: Path, plan: SomePlan) -> "Run[SomePlan]":
        """Make the folder and write the plan.

        Raises:
            RunError: the folder exists already, or cannot be made.
        """
        require_new_folder(folder)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as unfinished:
                whole = Path(unfinished) / "run"
                (whole / "samples").mkdir(parents=True)
                (whole / "run.json").write_text(plan.model_dump_json(indent=2) + "\n")
                whole.rename(folder)
        except OSError as error:
            raise RunError(f"{folder} cannot be made: {error.strerror}. Name another folder with --out.") from error
        return cls(folder, plan)

    @classmethod
    def open(cls, folder: Path) -> "Run[GanPlan] | Run[StylePlan]":
        """Read the plan of an existing run.

        Raises:
            RunError: there is no run in this folder, or not one that this version can read.
        """
        plan = folder / "run.json"
        if not plan.is_file():
            raise RunError(f"{folder} holds no training run (no run.json). Name a folder that --out made.")
        try:
            found = _PLANS.validate_json(plan.read_bytes())
        except ValidationError as error:
            raise RunError(f"{plan} cannot be read: {error.errors()[0]['msg']}.") from error
        return Run[GanPlan](folder, found) if isinstance(found, GanPlan) else Run[StylePlan](folder, found)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training this run at the same time; a process that dies lets go.

        Raises:
            RunError: another one holds it.
        """
        lock = filelock.FileLock(self.folder / ".lock", blocking=False)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise RunError(f"Another process is training {self.folder}. Wait for it, or stop it first.") from error
        try:
            yield
        finally:
            lock.release()

    def save_checkpoint(self, step: int, parts: Mapping[str, Stateful], name: str = LAST) -> None:
        """Write a checkpoint: the steps done, and the state of networks, optimizers and schedules by name.

        Args:
            step: steps done.
            parts: by name.
            name: `LAST`, or `BEST` for the one to go back to and to export.

        Raises:
            NotFiniteError: a number in it is not finite; the old checkpoint stays.
        """
        state = {"step": step, **{name: part.state_dict() for name, part in parts.items()}}
        if not _finite(state):
            raise NotFiniteError(
                f"A weight became NaN or infinite by step {step}. {self.folder / name} is as it was "
                "before; train anew with a lower rate (--set learning_rate=...)."
            )
        write_whole(self.folder / name, lambda path: torch.save(state, path))

    def restore(self, parts: Mapping[str, Stateful], name: str = LAST) -> int:
        """Put a checkpoint into its parts and forget the statistics after it.

        Args:
            parts: by name, as they were saved.
            name: `LAST` or `BEST`.

        Returns:
            The steps done; 0 where there is no checkpoint yet, and the parts stay as they are.

        Raises:
            RunError: the checkpoint is broken.
        """
        checkpoint = self.load_checkpoint(name)
        step = 0
        if checkpoint is not None:
            step = checkpoint["step"]
            for key, part in parts.items():
                self.fit(part, checkpoint, key)
        self._forget_after(step)
        return step

    def fit(self, part: Stateful, checkpoint: Mapping[str, Any], name: str) -> None:
        """Put one part of a checkpoint in its place.

        Raises:
            RunError: the checkpoint lacks it, or it is of another shape than run.json says.
        """
        try:
            part.load_state_dict(checkpoint[name])
        except Exception as error:
            raise RunError(
                f"The checkpoint in {self.folder} does not fit run.json beside it ({name}: {first_line(error)}). "
                "One of the two was changed or comes from another version; train anew."
            ) from error

    def load_checkpoint(self, name: str = LAST) -> dict[str, Any] | None:
        """A checkpoint, `LAST` or `BEST`, on the CPU; None where there is none yet.

        Raises:
            RunError: the file is broken.
        """
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise RunError(f"{path} cannot be read: {first_line(error)}.") from error
        if not isinstance(state, dict) or not isinstance(state.get("step"), int):
            raise RunError(f"{path} is no checkpoint of a training run.")
        return state

    def save_sample(self, step: int, picture: Image.Image) -> Path:
        """Write one sample picture and return its path."""
        path = self.folder / "samples" / f"{step:07d}.png"
        write_whole(path, lambda partial: picture.save(partial, format="PNG"))
        return path

    def log(self, step: int, **stats: float | str) -> None:
        """Append a line to stats.jsonl."""
        values = {name: round(value, 6) if isinstance(value, float) else value for name, value in stats.items()}
        with (self.folder / "stats.jsonl").open("a") as stream:
            stream.write(json.dumps({"step": step, **values}) + "\n")

    def _forget_after(self, step: int) -> None:
        """Drop the lines of stats.jsonl after a step: a resumed run is about to write them again."""
        path = self.folder / "stats.jsonl"
        if path.is_file():
            kept = [line for line in path.read_text(errors="replace").splitlines(keepends=True) if _step(line) <= step]
            write_whole(path, lambda partial: partial.write_text("".join(kept)))


def require_new_folder(folder: Path) -> None:
    """Refuse an output folder that exists.

    Raises:
        RunError: says how to resume it.
    """
    if folder.exists():
        raise RunError(f"{folder} exists already. Name another folder with --out, or go on with it by --resume.")


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
