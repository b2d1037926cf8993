"""What a GAN's run set out to do: run.json."""

from typing import Literal

from training.gan.config import GanConfig
from training.run import Plan


class GanPlan(Plan):
    """The plan of a GAN.

    Attributes:
        classes: names of the classes in the order of their labels; empty without classes, and in runs of older versions.
    """

    kind: Literal["gan"] = "gan"
    config: GanConfig
    classes: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.config.steps
