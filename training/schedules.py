"""Learning-rate schedules, as functions of the progress of a run alone: nothing to save, nothing to restore."""

import math

from training.config import GanConfig


def rate_factor(config: GanConfig, progress: float) -> float:
    """What both learning rates are multiplied by.

    `constant` stays at 1, `step` falls by `step_factor` after every `step_every` of the run, `cosine` falls to 0 along half
    a cosine (Loshchilov and Hutter 2017). With `warm_up`, the rates first rise from 0 in that part of the run.

    Args:
        config: schedule, warm_up, step_every, step_factor.
        progress: part of the run that is done, 0..1.

    Returns:
        A factor in 0..1.
    """
    factor = 1.0
    if config.schedule == "step":
        factor = config.step_factor ** math.floor(progress / config.step_every + 1e-9)
    elif config.schedule == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * progress))
    if config.warm_up:
        factor *= min(progress / config.warm_up, 1.0)
    return factor
