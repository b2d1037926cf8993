"""The two networks of a GAN in training: their optimizers, the average that is exported, and one step of both."""

from functools import partial
from typing import Literal, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from training.data.sampler import batch_indices
from training.errors import ConfigError
from training.gan.augment import augment
from training.gan.classes import Labels, logits_of, with_class
from training.gan.config import GanConfig
from training.gan.losses import gradient_penalty, objective
from training.gan.projected import FeatureAdversary
from training.gan.schedules import class_share, penalty_factor, rate_factor
from training.gan.setup import (
    adam,
    build_discriminator,
    build_generator,
    draw_latents,
    moving_average,
    place,
    refuse_uneven,
)
from training.run import Stateful
from training.vgg import VggFeatures

_LATENTS, _FLIPS, _SIGHT = 1, 2, 4  # streams of random numbers, told apart in their seeds; 3 is that of the sample grid
_LEAST_GRADIENT = 1e-20  # of a logit
_EXAMPLES = 64  # real pictures that tell how large features are

Batch = TypeVar("Batch", Tensor, np.ndarray)
Losses = dict[Literal["d_loss", "g_loss", "d_accuracy", "f_accuracy"], Tensor]


class Adversaries:
    """Generator and discriminator, in training against each other.

    All that is random in a step is drawn from (seed, step), so nothing but the parts below has to be saved. With several
    processes each takes its share of every batch, and the gradients are averaged: the same mathematics as one process with
    the whole batch (but for batch normalisation, whose statistics are those of each share).

    Args:
        config: resolved: channels and augment are known.
        fabric: launched; carries device, precision and processes.
        squares: uint8 [N, c, size, size], the real pictures to learn from.
        vgg: with the config's `feature_layers`, where there are any.
        labels: int64 [N], their classes, where the config has any.

    Attributes:
        average: exponential moving average (EMA) of the generator: what is sampled and exported.
        parts: all that a checkpoint holds of them.
        damping: multiplies both learning rates; lowered when a run had to go back.

    Raises:
        ConfigError: an unknown architecture or size, a batch that cannot be shared by the processes, features to judge and no
            network that has them, or classes and no labels.
    """

    def __init__(
        self, config: GanConfig, fabric: Fabric, squares: Tensor, vgg: VggFeatures | None = None, labels: Tensor | None = None
    ) -> None:
        self.config, self.fabric, self.squares, self._classes = config, fabric, squares, labels
        self.damping = 1.0
        refuse_uneven(config, fabric.world_size)
        if config.classes.count and labels is None:
            raise ConfigError(f"classes is {config.classes.count}, and the pictures have no labels: leave it at 0.")
        torch.manual_seed(config.seed)
        self.generator = place(build_generator(config), fabric.device)
        self.discriminator = place(build_discriminator(config), fabric.device)
        self.average = moving_average(config, self.generator)
        self.g_optimizer = adam(config, self.generator)
        self.d_optimizer = adam(config, self.discriminator)
        self.parts: dict[str, Stateful] = {
            "generator": self.generator, "discriminator": self.discriminator, "average": self.average,
            "g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer,
        }  # fmt: skip
        self.features: FeatureAdversary | None = None
        if config.features.layers:
            if vgg is None:
                raise ConfigError("features.layers are judged by VGG-16: name its weights with --vgg FILE.")
            self.features = FeatureAdversary(config, fabric, vgg, self._pictures(np.arange(min(_EXAMPLES, len(squares)))))
            self.parts |= {"feature_discriminator": self.features.discriminator, "f_optimizer": self.features.optimizer}
        self._objective = objective(config.objective, config.label_smoothing)
        # hinge: the discriminator's gradient is 0 where the generator's is not, so neither is a multiple of the other
        self._judges_apart = config.discriminator.per_sample and config.objective != "hinge"

    def step(self, step: int) -> Losses:
        """One training step.

        Args:
            step: which, from 1 on.

        Returns:
            Scalars: both losses, and the share of pairs whose real picture has the higher logit (0.5: the discriminator
            cannot tell; 1: it is always right), by pixels and, where features are judged, by features.
        """
        config = self.config
        factor = rate_factor(config, (step - 0.5) / config.steps) * self.damping
        d_rate = (config.optimizer.d_learning_rate or config.optimizer.learning_rate) * factor
        _set_rate(self.g_optimizer, config.optimizer.learning_rate * factor)
        _set_rate(self.d_optimizer, d_rate)
        if self.features is not None:
            _set_rate(self.features.optimizer, d_rate)
        losses = self._shared_step(step) if config.one_pass else self._separate_steps(step)
        self.average.update_parameters(self.generator)
        return losses

    def _shared_step(self, step: int) -> Losses:
        """Both phases from one pass through both networks: Shen et al. 2021, "Training GANs in One Stage".

        The generator learns from the discriminator as it was before its step, so the logits of the fake pictures serve
        both losses; only their gradients differ. Where each picture is judged apart from its batch, they differ by a factor
        a picture alone, and one backward pass through the discriminator serves both as well.
        """
        rng = self._random(step, _SIGHT)
        labels = self._labels(step, step)
        real = self._see(self._real(step), step, rng)
        fake = self._fake(step, labels=labels)
        shown = fake.detach().requires_grad_()
        with self.fabric.autocast():
            seen = self._see(shown, step, rng)
            real_logits, fake_logits = self._judge(real, labels), self._judge(seen, labels)
        by_features, losses = self._by_features(step, real, seen, shown, labels)
        d_loss = self._objective.discriminator(real_logits, fake_logits)
        g_loss = self._objective.generator(real_logits.detach(), fake_logits)
        if self._judges_apart:
            (by_d,), (by_g,) = (torch.autograd.grad(loss, fake_logits, retain_graph=True) for loss in (d_loss, g_loss))
            # By d_loss it is above 0; where it is 0 but for rounding, this keeps the ratio finite and the product exact.
            floor = fake_logits.register_hook(lambda gradient: gradient.clamp_min(_LEAST_GRADIENT))
            ratio = (by_g / by_d.clamp_min(_LEAST_GRADIENT)).repeat_interleave(self.config.pack)
            if self._step_discriminator(step, d_loss, real, seen, labels, (shown,)):
                assert shown.grad is not None  # noqa: S101
                direction = shown.grad * ratio[:, None, None, None]
            else:
                floor.remove()
                (direction,) = torch.autograd.grad(g_loss, shown)
        else:
            (direction,) = torch.autograd.grad(g_loss, shown, retain_graph=True)
            self._step_discriminator(step, d_loss, real, seen, labels)
        self.g_optimizer.zero_grad()
        fake.backward(direction if by_features is None else direction + by_features)
        self._update(self.g_optimizer)
        return losses | _losses(d_loss, g_loss, real_logits, fake_logits)

    def _by_features(
        self, step: int, real: Tensor, seen: Tensor, shown: Tensor, labels: Labels | None
    ) -> tuple[Tensor | None, Losses]:
        """Let the second discriminator learn, where it has joined: its part of the generator's gradient at `shown`."""
        config = self.config
        if self.features is None or step <= config.features.start * config.steps:
            return None, {}
        count = max(1, round(config.features.fraction * len(real)))
        direction, right = self.features.step(
            real[:count], seen[:count], shown, labels and labels.first(count), self._penalty(step), self._update
        )
        return config.features.weight * direction, {"f_accuracy": right}

    def _separate_steps(self, step: int) -> Losses:
        """The classical two phases: `d_steps` of the discriminator, then `g_steps` of the generator."""
        config = self.config
        for turn in range(config.d_steps):
            number = (step - 1) * config.d_steps + turn + 1  # of the real batch
            rng = self._random(number, _SIGHT)
            labels = self._labels(number, step)
            fake = self._fake(step, turn, labels)
            with self.fabric.autocast():
                real, seen = self._see(self._real(number), step, rng), self._see(fake.detach(), step, rng)
                real_logits, fake_logits = self._judge(real, labels), self._judge(seen, labels)
            d_loss = self._objective.discriminator(real_logits, fake_logits)
            self._step_discriminator(step, d_loss, real, seen, labels)

        self.discriminator.requires_grad_(False)
        for turn in range(config.g_steps):
            if turn:  # the first turn passes the last pictures that the discriminator has just learned from
                fake = self._fake(step, config.d_steps + turn, labels)
            with self.fabric.autocast():
                against = real_logits.detach()
                if config.objective == "relativistic":  # the others do not look at them
                    with torch.no_grad():
                        against = self._judge(real, labels)
                g_loss = self._objective.generator(against, self._judge(self._see(fake, step, rng), labels))
            self.g_optimizer.zero_grad()
            g_loss.backward()
            self._update(self.g_optimizer)
        self.discriminator.requires_grad_(True)
        return _losses(d_loss, g_loss, real_logits, fake_logits)

    def _judge(self, pictures: Tensor, labels: Labels | None) -> Tensor:
        """Pictures as the discriminator gets them -> logits float [n], by their classes where there are any."""
        return logits_of(self.discriminator(pictures).float(), labels)

    def _step_discriminator(
        self, step: int, loss: Tensor, real: Tensor, fake: Tensor, labels: Labels | None, also: tuple[Tensor, ...] = ()
    ) -> bool:
        """Learn, and leave the gradients of what is named `also` in it; False where the step is left out."""
        config = self.config
        if config.skip_below is not None and mean_over_processes(self.fabric, loss.detach()) < config.skip_below:
            return False
        if factor := self._penalty(step):
            for weight, pictures in ((config.penalty.r1, real), (config.penalty.r2, fake)):
                if weight:
                    loss = loss + factor * weight * gradient_penalty(partial(self._judge, labels=labels), pictures.float())
        self.d_optimizer.zero_grad()
        loss.backward(inputs=[*self.discriminator.parameters(), *also])
        self._update(self.d_optimizer)
        return True

    def _penalty(self, step: int) -> float:
        """What r1 and r2 are multiplied by: 0 in most steps, much in every `penalty_every`-th (lazily: Karras et al. 2020)."""
        config = self.config
        if not (config.penalty.r1 or config.penalty.r2) or step % config.penalty.every:
            return 0.0
        return config.penalty.every * penalty_factor(config, (step - 0.5) / config.steps)

    def _update(self, optimizer: torch.optim.Optimizer) -> None:
        """Step, with the gradients averaged over the processes."""
        if self.fabric.world_size > 1:
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            mean = mean_over_processes(self.fabric, torch.cat([gradient.flatten() for gradient in gradients]))
            for gradient, part in zip(gradients, mean.split([gradient.numel() for gradient in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))
        optimizer.step()

    def _chosen(self, number: int) -> np.ndarray:
        """Which pictures are this process's share of a real batch; the first batch is number 1."""
        return self._share(batch_indices(len(self.squares), self.config.batch_size, number - 1, self.config.seed))

    def _labels(self, number: int, step: int) -> Labels | None:
        """Those of a real batch, where there are classes."""
        if self._classes is None:
            return None
        share = class_share(self.config, (step - 0.5) / self.config.steps)
        return Labels(self._classes[self._chosen(number)].to(self.fabric.device), share)

    def _real(self, number: int) -> Tensor:
        """This process's share of a real batch."""
        config = self.config
        real = self._pictures(self._chosen(number))
        if config.flip:
            flips = self._share(np.random.default_rng((config.seed, number - 1, _FLIPS)).random(config.batch_size) < 0.5)
            real[flips] = real[flips].flip(3)
        return real

    def _pictures(self, chosen: np.ndarray) -> Tensor:
        """Some real pictures: float [n, c, h, w] in -1..1, on the device."""
        pictures = self.squares[chosen].float() / 127.5 - 1
        return pictures.to(self.fabric.device, memory_format=torch.channels_last)

    def _fake(self, step: int, turn: int = 0, labels: Labels | None = None) -> Tensor:
        """As many fake pictures, of these classes where there are any: those of the real ones they are paired with."""
        latents = draw_latents(self.config, (step, _LATENTS, turn) if turn else (step, _LATENTS), self.config.batch_size)
        latents = self._share(latents).to(self.fabric.device)
        if labels is not None:
            latents = with_class(latents, labels.classes, self.config.classes.count)
        with self.fabric.autocast():
            pictures: Tensor = self.generator(latents)
        return pictures

    def _see(self, pictures: Tensor, step: int, rng: torch.Generator) -> Tensor:
        """Pictures as the discriminator gets them: augmented, under noise, packed (Lin et al. 2018, "PacGAN")."""
        config = self.config
        pictures = augment(pictures, config.augment or (), rng)
        if config.instance_noise:
            noise = torch.randn(pictures.shape, generator=rng).to(pictures)
            pictures = pictures + config.instance_noise * (1 - step / config.steps) * noise
        if config.pack == 1:
            return pictures
        n, channels, height, width = pictures.shape
        return pictures.reshape(n // config.pack, config.pack * channels, height, width)

    def _random(self, number: int, stream: int) -> torch.Generator:
        """The random numbers of one step, of this process."""
        seeds = np.random.SeedSequence((self.config.seed, number, stream, self.fabric.global_rank))
        return torch.Generator().manual_seed(int(seeds.generate_state(1)[0]))

    def _share(self, batch: Batch) -> Batch:
        """The rows of this process."""
        size = self.config.batch_size // self.fabric.world_size
        return batch[self.fabric.global_rank * size : (self.fabric.global_rank + 1) * size]


def mean_over_processes(fabric: Fabric, value: Tensor) -> Tensor:
    """The mean of a tensor over all processes of a run, the same in each."""
    mean = fabric.all_reduce(value, reduce_op="mean")
    assert isinstance(mean, Tensor)  # noqa: S101  Fabric reduces collections as well, so its type does not tell
    return mean


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _losses(d_loss: Tensor, g_loss: Tensor, real_logits: Tensor, fake_logits: Tensor) -> Losses:
    accuracy = (real_logits > fake_logits).float().mean()
    return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach(), "d_accuracy": accuracy}
