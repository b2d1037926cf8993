"""Measures how long a step of a GAN takes on this machine, before its run begins.

The networks, images and random numbers of the measurement are its own, so a run is the same with and without it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from training.config import with_values
from training.devices import launch
from training.gan.config import GanConfig
from training.gan.setup import channels_of, precision_of, resolve_gan
from training.gan.trainer import GanTrainer
from training.threads import use_threads
from training.vgg import VggFeatures

_IMAGES = 64  # of noise; the content does not change the time of a step
_RUN = 10_000  # steps, so that steps with and without features can be made
_STEPS = 2  # the fastest counts: other programs only make steps slower


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step, with its share of the steps that have penalties.

    Attributes:
        pixels: before the second discriminator joins.
        features: afterwards; None if there is no second discriminator.
    """

    pixels: float
    features: float | None = None

    def steps_in(self, seconds: float, start: float) -> int:
        """Steps of a run that takes this time, if the second discriminator joins after the fraction `start` of the run."""
        mean = self.pixels if self.features is None else start * self.pixels + (1 - start) * self.features
        return int(seconds / mean)


def measure_step(
    config: GanConfig, device: torch.device, vgg: VggFeatures | None = None, threads: int | None = None
) -> tuple[StepTime, int]:
    """The time of a step and, on a CPU, the number of threads that is fastest.

    Args:
        config: its `channels` are resolved.
        device: where to train.
        vgg: with the layers of the config's [features], if it has any.
        threads: to measure with; None: the fastest number.
    """
    long = with_values(config, {"images": _RUN * config.images_per_step})
    settings = resolve_gan(long, _IMAGES, channels_of(config) == 1, device)
    images = torch.zeros(_IMAGES, channels_of(config), config.image_size, config.image_size, dtype=torch.uint8).random_(0, 256)
    labels = torch.arange(_IMAGES) % settings.classes.count if settings.classes.count else None
    trainer = GanTrainer(settings, launch(device, precision_of(settings)), images, vgg, labels)
    every = settings.penalty.every if settings.penalty.r1 or settings.penalty.r2 else 0

    def seconds(step: int, count: int) -> float:
        return min(_seconds(lambda: trainer.step(step), device) for _ in range(count))

    def mean(ordinary: int, penalised: int) -> float:
        usual = seconds(ordinary, _STEPS)
        return usual + (seconds(penalised, 1) - usual) / every if every else usual

    chosen = use_threads(device, threads, None, lambda: trainer.step(1))
    seconds(1, 1)
    pixels = mean(1, every)
    if trainer.features is None:
        return StepTime(pixels), chosen
    late = _RUN - _RUN % max(every, 1)  # with penalties, if there are any
    seconds(late - 1, 1)
    return StepTime(pixels, mean(late - 1, late)), chosen


def _seconds(step: Callable[[], object], device: torch.device) -> float:
    begun = time.monotonic()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic() - begun
