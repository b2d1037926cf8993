"""Trains a GAN: the generator and the discriminator against each other, in two phases a step.

    python -m training gan --data FOLDER_OR_ZIP --config dcgan --out runs/NAME

Goodfellow et al. 2014; Radford et al. 2016. The generator that is sampled and exported is an exponential moving average of
the one that is trained (EMA), whose pictures are steadier. All that is random in a step is drawn from (seed, step): a
resumed run goes on as if it had never stopped.
"""

from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.config import GanConfig
from training.data.order import batch_indices
from training.errors import ConfigError
from training.loops.progress import Reporter
from training.losses.gan import discriminator_loss, generator_loss
from training.networks.registry import GANS, GanArchitecture
from training.pictures import grid, to_uint8
from training.run import GanPlan, Run, Stateful

_LATENTS, _FLIPS, _SAMPLES = 1, 2, 3  # streams of random numbers, told apart in their seeds
_REPORT_EVERY = 20  # steps


def build_generator(config: GanConfig) -> nn.Module:
    """The generator of a resolved config, untrained.

    Raises:
        ConfigError: no such architecture, or not at this size.
    """
    return _architecture(config).generator(config.image_size, channels_of(config), config.latent_size, config.width)


def build_discriminator(config: GanConfig) -> nn.Module:
    """The discriminator of a resolved config, untrained. Raises as `build_generator`."""
    return _architecture(config).discriminator(config.image_size, channels_of(config), config.width)


def train_gan(run: Run[GanPlan], squares: Tensor, device: torch.device) -> None:
    """Train until the config's images have been seen, from the run's last checkpoint where there is one.

    Args:
        run: where it is kept.
        squares: uint8 [N, c, size, size], the real pictures.
        device: where to train.

    Raises:
        RunError: a loss became NaN, or the checkpoint cannot be read.
    """
    config = run.plan.config
    torch.manual_seed(config.seed)
    generator = build_generator(config).to(device)
    discriminator = build_discriminator(config).to(device)
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=True)
    betas = (config.beta1, config.beta2)
    g_optimizer = torch.optim.Adam(generator.parameters(), config.learning_rate, betas)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), config.learning_rate, betas)
    parts: dict[str, Stateful] = {"generator": generator, "discriminator": discriminator, "average": average,
             "g_optimizer": g_optimizer, "d_optimizer": d_optimizer}  # fmt: skip
    start = run.restore(parts)

    reporter = Reporter(
        run, steps=config.steps, start=start, pictures=config.batch_size, every=(_REPORT_EVERY, config.checkpoint_every)
    )
    with reporter:
        for step in range(start + 1, config.steps + 1):
            real = _real_batch(squares, config, step - 1).to(device)
            latents = _latents(config, step, _LATENTS, config.batch_size).to(device)

            # Phase 1: the discriminator learns to tell a real batch from a fake one.
            fake = generator(latents)
            d_loss = discriminator_loss(discriminator(real), discriminator(fake.detach()))
            d_optimizer.zero_grad()
            d_loss.backward()
            d_optimizer.step()

            # Phase 2: the generator learns to pass for real, through a frozen discriminator.
            discriminator.requires_grad_(False)
            g_loss = generator_loss(discriminator(fake))
            g_optimizer.zero_grad()
            g_loss.backward()
            g_optimizer.step()
            discriminator.requires_grad_(True)
            average.update_parameters(generator)

            reporter.done(step, d_loss=d_loss, g_loss=g_loss)
            if step % config.sample_every == 0 or step == config.steps:
                run.save_sample(step, sample_grid(average.module, config, device))
            if step % config.checkpoint_every == 0 or step == config.steps:
                run.save_checkpoint(step, parts)


@torch.no_grad()
def sample_grid(generator: nn.Module, config: GanConfig, device: torch.device) -> Image.Image:
    """A grid of 64 pictures from the same latents every time, so that a run's samples can be compared."""
    training = generator.training
    generator.eval()
    latents = _latents(config, 0, _SAMPLES, 64).to(device)
    pictures = to_uint8(generator(latents))
    generator.train(training)
    return grid(pictures.cpu().numpy(), columns=8)


def channels_of(config: GanConfig) -> Literal[1, 3]:
    """The channels of a config in which they are resolved, 1 or 3.

    Raises:
        ConfigError: they are not.
    """
    if config.channels is None:
        raise ConfigError("channels must be resolved before a network is built: set channels to 1 or 3.")
    return config.channels


def _architecture(config: GanConfig) -> GanArchitecture:
    if config.architecture not in GANS:
        raise ConfigError(f"There is no architecture {config.architecture}. Known: {', '.join(sorted(GANS))}.")
    return GANS[config.architecture]


def _real_batch(squares: Tensor, config: GanConfig, step: int) -> Tensor:
    real = squares[batch_indices(len(squares), config.batch_size, step, config.seed)].float() / 127.5 - 1
    if config.flip:
        flips = np.random.default_rng((config.seed, step, _FLIPS)).random(len(real)) < 0.5
        real[flips] = real[flips].flip(3)
    return real


def _latents(config: GanConfig, step: int, stream: int, count: int) -> Tensor:
    rng = np.random.default_rng((config.seed, step, stream))
    return torch.from_numpy(rng.standard_normal((count, config.latent_size), dtype=np.float32))
