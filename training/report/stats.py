"""Reads stats.jsonl: the reports, evaluations and events of a run.

    {"step": 20, "images": 1280, "d_loss": 1.31, "g_loss": 0.82, "d_accuracy": 0.71, "images_per_second": 265.1}
    {"step": 600, "images": 38400, "frechet": 41.2, "precision": 0.62, "recall": 0.31, "density": 0.8, "coverage": 0.6}
    {"step": 600, "images": 38400, "event": "The samples are nearly all alike: their diversity is 0.12 ..."}

Any key except `step` may be missing. If a run was killed, its last line may be incomplete.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from training.metrics.fidelity import METRICS

Row = dict[str, float]  # the numbers of one line by key, always with `step` and `images`


class Event(NamedTuple):
    """Something that a user should know, and when it happened."""

    step: int
    images: int
    words: str


@dataclass(frozen=True)
class Stats:
    """The content of stats.jsonl, oldest first, without numbers that are not finite."""

    rows: tuple[Row, ...] = ()
    events: tuple[Event, ...] = ()

    def series(self, key: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Images shown and values, float [m] each, of the m lines that have this key."""
        points = [(row["images"], row[key]) for row in self.rows if key in row]
        images, values = np.array(points, np.float64).reshape(-1, 2).T
        return images, values

    @property
    def evaluations(self) -> list[Row]:
        """The lines that hold metrics."""
        return [row for row in self.rows if METRICS.keys() & row.keys()]

    @property
    def best(self) -> Row | None:
        """The evaluation with the lowest Frechet distance, the first of several; None if there is no evaluation."""
        return min((row for row in self.rows if "frechet" in row), key=lambda row: row["frechet"], default=None)

    @property
    def step(self) -> int:
        """Steps done by the last line."""
        return int(max((row["step"] for row in self.rows), default=0))

    @property
    def images(self) -> int:
        """Training images shown by the last line, repeats counted."""
        return int(max((row["images"] for row in self.rows), default=0))

    @property
    def images_per_second(self) -> float | None:
        """The median of the last ten reports; None if there is no report."""
        speeds = self.series("images_per_second")[1][-10:]
        return float(np.median(speeds)) if len(speeds) else None


def read_stats(path: Path, images_per_step: int) -> Stats:
    """Read stats.jsonl. Broken lines are left out; a missing file counts as empty.

    Args:
        path: the file.
        images_per_step: fills in `images` if a line does not have it.
    """
    rows: list[Row] = []
    events: list[Event] = []
    for line in path.read_text(errors="replace").splitlines() if path.is_file() else ():
        values = _values(line)
        row: Row = {key: value for key, value in values.items() if _is_number(value)}
        if "step" in row:
            row.setdefault("images", row["step"] * images_per_step)
            rows.append(row)
            if isinstance(words := values.get("event"), str):
                events.append(Event(int(row["step"]), int(row["images"]), words))
    return Stats(tuple(rows), tuple(events))


def _values(line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):  # incomplete because the run was killed
        return {}
    return values if isinstance(values, dict) else {}


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer of more digits than a float holds
        return False
