"""Checks that a training loop makes of itself."""

import math
from collections.abc import Mapping
from pathlib import Path

from training.errors import RunError


def refuse_nan(losses: Mapping[str, float], step: int, folder: Path) -> None:
    """Stop a run that has left the rails, before it can overwrite its last good checkpoint.

    Raises:
        RunError: a loss is not finite; says which, and what to do.
    """
    if bad := [name for name, value in losses.items() if not math.isfinite(value)]:
        raise RunError(
            f"{' and '.join(bad)} became NaN or infinite at step {step}. The last checkpoint is whole: go on with --resume, or "
            f"train anew with a lower rate (--set learning_rate=...). See {folder / 'stats.jsonl'}."
        )
