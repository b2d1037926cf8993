"""Results of an evaluation: what is shown, what a run folder keeps (evaluation.json) and what the card states."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.table import Table

from ganvas.card import Metric
from ganvas.files import write_whole
from training.errors import RunError
from training.metrics.fidelity import METRICS, Fidelity
from training.onnx_file import read_card, write_card

EVALUATION = "evaluation.json"


class Measurement(NamedTuple):
    """One table of an evaluation. An evaluation may have several, for instance one for each image size.

    Attributes:
        table: to show.
        explanation: to show below the table.
        metrics: unrounded.
        step: training steps of the measured checkpoint; None if an exported file does not say.
        unreadable: name -> reason for each image that was left out.
    """

    table: Table
    explanation: str
    metrics: tuple[Metric, ...]
    step: int | None
    unreadable: Mapping[str, str]


class Evaluation(BaseModel):
    """The content of evaluation.json.

    Attributes:
        step: of the measured checkpoint.
        data: name of the folder or zip of real images.
        metrics: unrounded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    data: str
    metrics: tuple[Metric, ...]

    def write(self, folder: Path) -> Path:
        """Write evaluation.json into a run folder and return its path."""
        path = folder / EVALUATION
        write_whole(path, lambda partial: partial.write_text(self.model_dump_json(indent=2) + "\n"))
        return path


def read_evaluation(folder: Path) -> Evaluation | None:
    """The evaluation of a run; None if it was not evaluated.

    Raises:
        RunError: the file is broken.
    """
    path = folder / EVALUATION
    if not path.is_file():
        return None
    try:
        return Evaluation.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(f"{path} cannot be read: {error.errors()[0]['msg']}. Evaluate the run again, or delete it.") from error


def write_metrics(path: Path, metrics: Iterable[Metric]) -> None:
    """Write metrics into the card of an exported file. They replace metrics of the same names.

    Raises:
        ExportError: the file is not an exported model, or cannot be written.
    """
    card = read_card(path)
    measured = rounded(metrics)
    names = {metric.name for metric in measured}
    others = (metric for metric in card.metrics if metric.name not in names)
    write_card(path, card.model_copy(update={"metrics": (*measured, *others)}))


def named(fidelity: Fidelity, real: Fidelity, method: str) -> tuple[Metric, ...]:
    """The metrics by the names that people read, unrounded.

    Args:
        fidelity: of the samples.
        real: of real images in place of the samples.
        method: how both were measured.
    """
    ours, theirs = asdict(fidelity), asdict(real)
    return tuple(Metric(name=name, value=ours[key], real=theirs[key], method=method) for key, (name, _) in METRICS.items())


def rounded(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """The metrics as a card states them."""
    return tuple(
        metric.model_copy(
            update={"value": four_digits(metric.value), "real": None if metric.real is None else four_digits(metric.real)}
        )
        for metric in metrics
    )


def four_digits(value: float) -> float:
    """Round to four significant digits: a few thousand images determine no more."""
    return float(f"{value:.4g}")
