"""real.json: what real images score in place of samples. A Frechet distance means little without it.

Two sets of real images that share no image are compared like samples and real images: with the same network and the same
number of images.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ganvas.files import write_whole
from training.metrics.fidelity import Fidelity

REFERENCE = "real.json"


class Reference(BaseModel):
    """The content of real.json.

    Attributes:
        network: that measured, as the card states it.
        count: number of images on each side.
        fidelity: of real images against other real images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    count: int
    fidelity: Fidelity

    def write(self, run_folder: Path) -> None:
        """Write real.json into a run folder."""
        write_whole(run_folder / REFERENCE, lambda partial: partial.write_text(self.model_dump_json(indent=2) + "\n"))


def read_reference(run_folder: Path) -> Reference | None:
    """The reference of a run; None if it has none that can be read: it is then measured again."""
    try:
        return Reference.model_validate_json((run_folder / REFERENCE).read_bytes())
    except (OSError, ValidationError):
        return None
