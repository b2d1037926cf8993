"""What a GAN's run set out to do: run.json."""

from typing import Literal

from training.gan.config import GanConfig
from training.run import Plan


class GanPlan(Plan):
    """The plan of a GAN."""

    kind: Literal["gan"] = "gan"
    config: GanConfig

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.config.steps
