"""Schedules that the kinds of models share: functions of the progress of a run alone, so nothing about them is saved."""

import math


def cosine(fraction: float) -> float:
    """Half a cosine: 1 at fraction 0, falling to 0 at fraction 1 (Loshchilov and Hutter 2017, "SGDR")."""
    return 0.5 * (1 + math.cos(math.pi * fraction))
