"""Schedules of the learning rates, the gradient penalties and the classes.

They are functions of the progress of a run alone: nothing about them is saved.
"""

import math

from training.gan.config import ClassesConfig, OptimizerConfig, PenaltyConfig
from training.schedules import cosine


def rate_factor(config: OptimizerConfig, fraction: float) -> float:
    """The factor of both learning rates.

    `constant` stays at 1. `step` is multiplied by `step_factor` after every `step_every` of the run. `cosine` falls to
    `final_factor` along half a cosine. With `warm_up`, the rates also rise from 0 in that fraction of the run.

    Args:
        config: schedule, final_factor, warm_up, step_every, step_factor.
        fraction: of the run that is done, 0..1.

    Returns:
        A factor in 0..1.
    """
    factor = 1.0
    if config.schedule == "step":
        factor = config.step_factor ** math.floor(fraction / config.step_every + 1e-9)
    elif config.schedule == "cosine":
        factor = config.final_factor + (1 - config.final_factor) * cosine(fraction)
    if config.warm_up:
        factor *= min(fraction / config.warm_up, 1.0)
    return factor


def beta2(config: OptimizerConfig, fraction: float) -> float:
    """Adam's beta2: from `beta2` to `final_beta2` along half a cosine, as in R3GAN (Huang et al. 2024).

    A long memory of squared gradients is steadier, but at the start of a run the gradients shrink faster than it forgets.

    Args:
        config: beta2, final_beta2.
        fraction: of the run that is done, 0..1.
    """
    if config.final_beta2 is None:
        return config.beta2
    return config.final_beta2 + (config.beta2 - config.final_beta2) * cosine(fraction)


def penalty_factor(config: PenaltyConfig, fraction: float) -> float:
    """The factor of the weights r1 and r2: from `initial_factor` to 1 in the first `ramp` of the run, linear in the logarithm.

    A large penalty preserves variety while the first shapes form. A small penalty allows details later: Huang et al. 2024
    (R3GAN) lower theirs tenfold.

    Args:
        config: initial_factor, ramp.
        fraction: of the run that is done, 0..1.
    """
    if fraction >= config.ramp:
        return 1.0
    return float(config.initial_factor ** (1 - fraction / config.ramp))


def class_share(config: ClassesConfig, fraction: float) -> float:
    """The share of the class in a logit: 0 until `start` of the run, then rising linearly to 1 in the next `ramp` of the run.

    Args:
        config: start, ramp.
        fraction: of the run that is done, 0..1.
    """
    if fraction < config.start:
        return 0.0
    return min((fraction - config.start) / config.ramp, 1.0) if config.ramp else 1.0
