"""What the run of a style network set out to do: run.json."""

from typing import Literal

from pydantic import Field

from ganvas.card import Name
from training.run import Plan
from training.style.config import StyleConfig


class StylePlan(Plan):
    """The plan of a style network. `data`, `images` and `fingerprint` are those of the photos.

    Attributes:
        styles: style name -> thumbnail, a base64 JPEG; in the order of the network's rows.
        kept: how many styles, the first ones, come from the run that this run extends. They do not change.
        baseline: mean style loss of unpainted photos, to which styles are balanced.
    """

    kind: Literal["style"] = "style"
    config: StyleConfig
    styles: dict[Name, str] = Field(min_length=1)
    kept: int = 0
    baseline: float | None = None

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.config.steps
