"""Evaluates a model of any kind and keeps the metrics.

    python -m training evaluate MODEL --data FOLDER_OR_ZIP

MODEL is a run folder or an exported model. How a kind is measured: training/gan/evaluate.py, training/style/evaluate.py.
"""

from collections.abc import Iterable
from pathlib import Path

from ganvas.card import Metric
from training.metrics.evaluation import Evaluation, rounded
from training.onnx_file import read_card, write_card


def keep_in_run(folder: Path, step: int, data: str, metrics: tuple[Metric, ...]) -> Path:
    """Write the metrics into a run folder, where export finds them; the path of the file."""
    return Evaluation(step=step, data=data, metrics=metrics).write(folder)


def keep_in_card(path: Path, metrics: Iterable[Metric]) -> None:
    """Write metrics into the card of an exported file. They replace metrics of the same names."""
    card = read_card(path)
    measured = rounded(metrics)
    names = {metric.name for metric in measured}
    others = (metric for metric in card.metrics if metric.name not in names)
    write_card(path, card.model_copy(update={"metrics": (*measured, *others)}))
