"""What a GAN's run set out to do: run.json."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from training.gan.config import GanConfig
from training.run import Plan


class Origin(BaseModel):
    """The run whose weights another run began with.

    Attributes:
        path: of the run folder, as the command line named it.
        step: of its checkpoint.
        data: name of the images that it was trained on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    step: int
    data: str


class GanPlan(Plan):
    """The plan of a GAN.

    Attributes:
        origin: where the weights came from; None: the run began untrained.
        choices: what `--config auto` chose and why, one line each.
        classes: names of the classes in the order of their labels; empty without classes, and in runs of older versions.
    """

    kind: Literal["gan"] = "gan"
    config: GanConfig
    origin: Origin | None = None
    choices: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.config.steps
