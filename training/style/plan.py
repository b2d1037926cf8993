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
        styles_path: folder or zip of the paintings as the command line named it, for the commands in the report.
        vgg_path: local weights of VGG-16, likewise; empty if they were downloaded.
        held_out: names of the photos that the network does not learn from.
        baseline: mean style loss of unpainted photos, to which styles are balanced.
    """

    kind: Literal["style"] = "style"
    config: StyleConfig
    styles: dict[Name, str] = Field(min_length=1)
    kept: int = 0
    styles_path: str = ""
    vgg_path: str = ""
    held_out: tuple[str, ...] = ()
    baseline: float | None = None

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.config.steps
