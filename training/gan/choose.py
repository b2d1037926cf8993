"""Chooses a config for a folder on this machine: finds the facts, measures steps, and lets `training.gan.auto` choose."""

from collections.abc import Sequence

import torch

from training.config import Features, Layer
from training.data.image_folder import ImageFolder
from training.gan.auto import CPU_SIDE, SIZES, AutoConfig, Machine, choose
from training.gan.config import GanConfig
from training.gan.folder_facts import look_at_folder
from training.gan.step_time import StepTime, measure_step
from training.vgg import VggFeatures

MINUTES = 60.0
"""How long a run may take if no option says so."""


def choose_for(
    folder: ImageFolder,
    device: torch.device,
    minutes: float,
    changes: Sequence[str],
    trained: GanConfig | None = None,
    vgg: VggFeatures | None = None,
    layers: tuple[Layer, ...] = (),
    metrics: Features | None = None,
    threads: int | None = None,
) -> tuple[AutoConfig, int]:
    """Choose a config, and the number of threads that it was measured with.

    Args:
        folder: the images.
        device: where to train.
        minutes: that the run may take.
        changes: of the command line; they are kept.
        trained: config of the networks to begin with, if there are any.
        vgg: VGG-16, if its weights were found.
        layers: of `vgg`.
        metrics: network to measure in, if the command line names none.
        threads: to measure with; None: the fastest number.

    Raises:
        ConfigError: a change is not allowed.
        DataError: no image can be decoded.
    """
    found = [threads]

    def measure(config: GanConfig) -> StepTime:
        time, found[0] = measure_step(config, device, vgg, found[0])
        return time

    gpu = device.type != "cpu"
    detail = next(
        (size for size in SIZES if size <= min(map(min, folder.sizes.values())) and (gpu or size <= CPU_SIDE)), SIZES[-1]
    )
    machine = Machine(gpu=gpu, seconds=60 * minutes, layers=layers, metrics=metrics, measure=measure)
    chosen = choose(look_at_folder(folder, detail), machine, changes, trained)
    assert found[0] is not None  # noqa: S101  at least one size was measured
    return chosen, found[0]
