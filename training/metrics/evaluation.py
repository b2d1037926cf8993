"""What an evaluation found: as it is shown, as a run folder keeps it (evaluation.json), and as the card tells it."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ganvas.card import Metric
from ganvas.files import write_whole
from training.errors import RunError
from training.metrics.fidelity import METRICS, Fidelity

EVALUATION = "evaluation.json"


class Evaluation(BaseModel):
    """The whole of evaluation.json.

    Attributes:
        step: of the checkpoint that was measured.
        data: name of the folder or zip of real pictures that it was compared with.
        metrics: unrounded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    data: str
    metrics: tuple[Metric, ...]

    def write(self, folder: Path) -> Path:
        """Write it into a run folder, whole, and return its path."""
        path = folder / EVALUATION
        write_whole(path, lambda partial: partial.write_text(self.model_dump_json(indent=2) + "\n"))
        return path


def read_evaluation(folder: Path) -> Evaluation | None:
    """The evaluation of a run; None where there is none.

    Raises:
        RunError: the file is broken.
    """
    path = folder / EVALUATION
    if not path.is_file():
        return None
    try:
        return Evaluation.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(f"{path} cannot be read: {error.errors()[0]['msg']}. Evaluate the run anew, or delete it.") from error


def named(fidelity: Fidelity, method: str) -> tuple[Metric, ...]:
    """The metrics by the names that people read, unrounded.

    Args:
        fidelity: what was measured.
        method: how.
    """
    values = asdict(fidelity)
    return tuple(Metric(name=name, value=values[key], method=method) for key, (name, _) in METRICS.items())


def rounded(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """To what a card tells."""
    return tuple(metric.model_copy(update={"value": four_digits(metric.value)}) for metric in metrics)


def four_digits(value: float) -> float:
    """Rounded to four significant digits: a few thousand pictures fix no more."""
    return float(f"{value:.4g}")
