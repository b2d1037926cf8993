"""A GAN training step as in textbooks, with one switch for each ingredient that makes ours faster.

Without ingredients, the step uses contiguous float32 and two phases with separate fake images. The generator phase computes
gradients of the discriminator weights and discards them. Adam has its default implementation, and the moving average loops
over the weights. Networks, batches, objective and penalties are those of `training.gan.trainer.GanTrainer`, from the same
seed.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from training.config import flatten
from training.data.sampler import batch_indices
from training.errors import ConfigError
from training.gan.architectures.base import MakesInputs, modules_with_progress
from training.gan.augment import augment
from training.gan.config import GanConfig
from training.gan.losses import gradient_penalty, objective
from training.gan.setup import build_discriminator, build_generator
from training.random import Stream, draw_latents

Ingredient = Literal["channels_last", "generator once", "both once", "fused updates", "bfloat16"]
INGREDIENTS: dict[Ingredient, str] = {
    "channels_last": "memory layout of weights and images: height, width, channels",
    "generator once": "both phases use the fake images of one pass",
    "both once": "both phases use the images and the logits of one pass",
    "fused updates": "Adam and the moving average use one kernel for all weights",
    "bfloat16": "convolutions multiply 16-bit numbers",
}
"""Name -> description."""

_DISCRIMINATOR, _GENERATOR = 0, 1  # phases; the first latents of a step are those that GanTrainer draws
_LEFT_ALONE = ("classes.count", "pack", "instance_noise", "skip_below", "d_steps", "g_steps")


class PlainGan:
    """Two networks and a plain step that trains both, with optional ingredients.

    Args:
        config: resolved config.
        device: device to train on.
        images: uint8 [N, c, size, size], the real images.
        ingredients: any keys of `INGREDIENTS`.

    Raises:
        ConfigError: the plain recipe does not support a setting of the config.
    """

    def __init__(self, config: GanConfig, device: torch.device, images: Tensor, ingredients: Sequence[Ingredient] = ()) -> None:
        values, defaults = flatten(config), flatten(GanConfig())
        for key in _LEFT_ALONE:
            if values[key] != defaults[key]:
                raise ConfigError(f"The plain recipe does not support {key}. Leave it at {defaults[key]} for this benchmark.")
        bare = build_generator(config)
        if isinstance(bare, MakesInputs) or modules_with_progress(bare):
            raise ConfigError(
                f"The plain recipe does not support architecture {config.architecture}. Choose for instance dcgan."
            )
        self.config, self.device, self.images, self.ingredients = config, device, images, frozenset(ingredients)
        self._layout = torch.channels_last if "channels_last" in ingredients else torch.contiguous_format
        torch.manual_seed(config.seed)
        self.generator = self._place(build_generator(config))
        self.discriminator = self._place(build_discriminator(config))
        self.average = deepcopy(self.generator)
        adam = config.optimizer
        self.g_optimizer = self._optimizer(self.generator, adam.learning_rate)
        self.d_optimizer = self._optimizer(
            self.discriminator, config.optimizer.d_learning_rate or config.optimizer.learning_rate
        )
        self._objective = objective(config.objective, config.label_smoothing)
        self._rng = torch.Generator().manual_seed(config.seed)  # for flips and augmentations

    def step(self, step: int) -> dict[str, Tensor]:
        """Run one training step, counted from 1. Returns both losses without penalties."""
        losses = self._passes_once(step) if "both once" in self.ingredients else self._two_phases(step)
        self._update_average()
        return losses

    def _two_phases(self, step: int) -> dict[str, Tensor]:
        real = self._preprocess(self._real(step))
        fake = self._fake(step, _DISCRIMINATOR)
        fake_augmented = self._preprocess(fake.detach())
        with self._autocast():
            d_loss = self._objective.discriminator(self.discriminator(real).float(), self.discriminator(fake_augmented).float())
        self._step_discriminator(step, d_loss, real, fake_augmented)

        if "generator once" not in self.ingredients:
            fake = self._fake(step, _GENERATOR)
        with self._autocast():
            fake_logits = self.discriminator(self._preprocess(fake)).float()
            real_logits = fake_logits.detach()
            if self.config.objective == "relativistic":  # the other objectives do not need real images here
                with torch.no_grad():
                    real_logits = self.discriminator(real).float()
        g_loss = self._objective.generator(real_logits, fake_logits)
        self.g_optimizer.zero_grad()
        g_loss.backward()
        self.g_optimizer.step()
        return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach()}

    def _passes_once(self, step: int) -> dict[str, Tensor]:
        """Shen et al. 2021, "Training GANs in One Stage"."""
        real = self._preprocess(self._real(step))
        fake = self._fake(step, _DISCRIMINATOR)
        fake_leaf = fake.detach().requires_grad_()
        fake_augmented = self._preprocess(fake_leaf)
        with self._autocast():
            real_logits, fake_logits = self.discriminator(real).float(), self.discriminator(fake_augmented).float()
        d_loss = self._objective.discriminator(real_logits, fake_logits)
        g_loss = self._objective.generator(real_logits.detach(), fake_logits)
        (grad_fake,) = torch.autograd.grad(g_loss, fake_leaf, retain_graph=True)
        self._step_discriminator(step, d_loss, real, fake_augmented.detach())
        self.g_optimizer.zero_grad()
        fake.backward(grad_fake)
        self.g_optimizer.step()
        return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach()}

    def _step_discriminator(self, step: int, loss: Tensor, real: Tensor, fake: Tensor) -> None:
        config = self.config
        if step % config.penalty.every == 0:
            for weight, images in ((config.penalty.r1, real), (config.penalty.r2, fake)):
                if weight:
                    loss = loss + weight * config.penalty.every * gradient_penalty(self.discriminator, images.float())
        self.d_optimizer.zero_grad()
        loss.backward(inputs=list(self.discriminator.parameters()) if "both once" in self.ingredients else None)
        self.d_optimizer.step()

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = self.config.ema_decay
        averaged: list[Tensor] = list(self.average.parameters())
        current: list[Tensor] = list(self.generator.parameters())
        if "fused updates" in self.ingredients:
            get_ema_multi_avg_fn(decay)(averaged, current, None)
        else:
            for mean, weight in zip(averaged, current, strict=True):
                mean.mul_(decay).add_(weight, alpha=1 - decay)
        for mean, value in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            mean.copy_(value)

    def _real(self, step: int) -> Tensor:
        config = self.config
        chosen = batch_indices(len(self.images), config.batch_size, step - 1, config.seed)
        real = self.images[chosen].float() / 127.5 - 1
        if config.flip:
            flips = torch.rand(len(real), generator=self._rng) < 0.5
            real[flips] = real[flips].flip(3)
        return real.to(self.device, memory_format=self._layout)

    def _fake(self, step: int, phase: int) -> Tensor:
        config = self.config
        latents = draw_latents(config.seed, Stream.LATENTS, step, phase, count=config.batch_size, size=config.latent_size)
        latents = latents.to(self.device)
        with self._autocast():
            images: Tensor = self.generator(latents)
        return images

    def _preprocess(self, images: Tensor) -> Tensor:
        return augment(images, self.config.augment or (), self._rng)

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled="bfloat16" in self.ingredients)

    def _place(self, network: nn.Module) -> nn.Module:
        placed: nn.Module = network.to(device=self.device, memory_format=self._layout)  # type: ignore[call-overload]
        return placed

    def _optimizer(self, network: nn.Module, rate: float) -> torch.optim.Adam:
        fused = True if "fused updates" in self.ingredients else None
        return torch.optim.Adam(
            network.parameters(), rate, (self.config.optimizer.beta1, self.config.optimizer.beta2), fused=fused
        )
