"""Schedules of the learning rates, the gradient penalties and the classes.

They are functions of the progress of a run alone: nothing to save, nothing to restore.
"""

import math

from training.gan.config import GanConfig


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
    if config.optimizer.schedule == "step":
        factor = config.optimizer.step_factor ** math.floor(progress / config.optimizer.step_every + 1e-9)
    elif config.optimizer.schedule == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * progress))
    if config.optimizer.warm_up:
        factor *= min(progress / config.optimizer.warm_up, 1.0)
    return factor


def penalty_factor(config: GanConfig, progress: float) -> float:
    """What the weights r1 and r2 are multiplied by: from `penalty_start` to 1 in the first `penalty_fall` of the run.

    Evenly in the logarithm. A large penalty keeps every kind of picture while the first shapes are found, a small one lets
    the details come: Huang et al. 2024 (R3GAN) lower theirs tenfold.

    Args:
        config: penalty_start, penalty_fall.
        progress: part of the run that is done, 0..1.
    """
    if progress >= config.penalty.ramp:
        return 1.0
    return float(config.penalty.initial_factor ** (1 - progress / config.penalty.ramp))


def class_share(config: GanConfig, progress: float) -> float:
    """How far classes are told apart: 0 until `class_from` of the run, then evenly up to 1 in the next `class_rise` of it.

    Args:
        config: class_from, class_rise.
        progress: part of the run that is done, 0..1.
    """
    if progress < config.classes.start:
        return 0.0
    return min((progress - config.classes.start) / config.classes.ramp, 1.0) if config.classes.ramp else 1.0
