"""A run folder: all that one training leaves behind, and all that it takes to resume or export it.

runs/NAME/run.json          kind, resolved config, what the data was; written first
          checkpoint.pt     weights, optimizers, step; written whole or not at all
          stats.jsonl       a line a report: step, losses, pictures/s
          samples/000500.png
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from training.config import GanConfig, StyleConfig
from training.errors import RunError
from training.files import write_whole


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


class StylePlan(_Plan):
    """What a style run set out to do."""

    kind: Literal["style"] = "style"
    config: StyleConfig
    styles: dict[str, str]  # style name -> thumbnail, a base64 JPEG; in the order of the network's rows
    data: str  # name of the content folder or zip
    pictures: int


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
        refuse_existing(folder)
        try:
            (folder / "samples").mkdir(parents=True)
        except OSError as error:
            raise RunError(f"{folder} cannot be made: {error.strerror}. Name another folder with --out.") from error
        write_whole(folder / "run.json", lambda path: path.write_text(plan.model_dump_json(indent=2) + "\n"))
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

    def save_checkpoint(self, step: int, parts: Mapping[str, Stateful]) -> None:
        """Write `checkpoint.pt`: the steps done, and the state of networks, optimizers and schedules by name."""
        state = {"step": step, **{name: part.state_dict() for name, part in parts.items()}}
        write_whole(self.folder / "checkpoint.pt", lambda path: torch.save(state, path))

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        """Put the last checkpoint into its parts and forget the statistics after it.

        Returns:
            The steps done; 0 where there is no checkpoint yet, and the parts stay as they are.

        Raises:
            RunError: the checkpoint is broken.
        """
        checkpoint = self.load_checkpoint() or {"step": 0}
        for name, part in parts.items():
            if name in checkpoint:
                part.load_state_dict(checkpoint[name])
        self._forget_after(checkpoint["step"])
        return int(checkpoint["step"])

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint, on the CPU; None where there is none yet.

        Raises:
            RunError: the file is broken.
        """
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise RunError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
        return state

    def save_sample(self, step: int, picture: Image.Image) -> Path:
        """Write one sample picture and return its path."""
        path = self.folder / "samples" / f"{step:07d}.png"
        write_whole(path, lambda partial: picture.save(partial, format="PNG"))
        return path

    def log(self, step: int, **stats: float) -> None:
        """Append a line to stats.jsonl."""
        with (self.folder / "stats.jsonl").open("a") as stream:
            stream.write(json.dumps({"step": step, **{name: round(value, 6) for name, value in stats.items()}}) + "\n")

    def _forget_after(self, step: int) -> None:
        """Drop the lines of stats.jsonl after a step: a resumed run is about to write them again."""
        path = self.folder / "stats.jsonl"
        if path.is_file():
            kept = [line for line in path.read_text().splitlines(keepends=True) if _step(line) <= step]
            write_whole(path, lambda partial: partial.write_text("".join(kept)))


def refuse_existing(folder: Path) -> None:
    """Refuse an output folder that exists.

    Raises:
        RunError: says how to resume it.
    """
    if folder.exists():
        raise RunError(f"{folder} exists already. Name another folder with --out, or go on with it by --resume.")


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line that was cut off when the run was killed
        return float("inf")
