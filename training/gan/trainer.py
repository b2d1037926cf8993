"""The two networks of a GAN in training: their optimizers, the average that is exported, and one step of both."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from training.data.image_set import Images
from training.errors import ConfigError
from training.gan.architectures.base import fake_inputs, modules_with_progress, real_inputs
from training.gan.augment import AugmentProbability, augment
from training.gan.batches import Batch, BatchSource
from training.gan.classes import Labels, logits_of
from training.gan.config import GanConfig
from training.gan.freeze import freeze_first
from training.gan.losses import gradient_penalty, objective
from training.gan.one_pass import one_pass_gradients
from training.gan.projected import ProjectedDiscriminator
from training.gan.schedules import beta2, class_share, penalty_factor, rate_factor
from training.gan.setup import (
    adam,
    build_discriminator,
    build_generator,
    channels_of,
    moving_average,
    place,
    require_even_batch,
)
from training.progress import Progress
from training.random import Stream, numpy_rng
from training.run import Stateful
from training.vgg import VggFeatures

_EXAMPLES = 64  # real images that set the scale of the features

Scalars = dict[str, Tensor]


class GanTrainer:
    """Trains a generator and a discriminator against each other.

    All random numbers of a step are a function of (seed, step), so a checkpoint holds only the parts below. With several
    processes each takes its share of every batch, and the gradients are averaged. That is the same mathematics as one process
    with the whole batch, except for batch normalisation, whose statistics are those of each share.

    Args:
        config: resolved: channels and augment are known.
        fabric: launched; carries device, precision and processes.
        images: the real images to learn from.
        vgg: with the layers of the config's [features], if it has any.
        classes: int64 [N], the classes of the images, if the config has classes.
        grown: networks that change with the progress of the run stay as they are at its end, because they are trained already.

    Attributes:
        generator_ema: exponential moving average (EMA) of the generator: what is sampled and exported.
        parts: everything that a checkpoint holds of the trainer.
        lr_scale: multiplies all learning rates; lowered when a run goes back to a checkpoint.

    Raises:
        ConfigError: the processes cannot share the batch, or VGG-16 or the classes are missing.
    """

    def __init__(
        self,
        config: GanConfig,
        fabric: Fabric,
        images: Images,
        vgg: VggFeatures | None = None,
        classes: Tensor | None = None,
        *,
        grown: bool = False,
    ) -> None:
        require_even_batch(config, fabric.world_size)
        if config.classes.count and classes is None:
            raise ConfigError(f"classes.count is {config.classes.count}, but the images have no labels. Leave it at 0.")
        self.config, self.fabric, self._grown = config, fabric, grown
        self.lr_scale = 1.0
        self.batches = BatchSource(config, fabric, images, classes)
        torch.manual_seed(config.seed)
        self.generator = place(build_generator(config), fabric.device)
        self.discriminator = place(build_discriminator(config), fabric.device)
        if config.freeze:
            with torch.no_grad():
                fake = self.generate(torch.zeros(config.pack, config.latent_size, device=fabric.device))
            freeze_first(self.discriminator, config.freeze, fake.float().reshape(1, -1, *fake.shape[2:]))
        self._learning = [parameter for parameter in self.discriminator.parameters() if parameter.requires_grad]
        self.generator_ema = moving_average(config, self.generator)
        self.g_optimizer = adam(config, self.generator)
        self.d_optimizer = adam(config, self.discriminator)
        self.parts: dict[str, Stateful] = {
            "generator": self.generator, "discriminator": self.discriminator, "generator_ema": self.generator_ema,
            "g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer,
        }  # fmt: skip
        self.augmentation = AugmentProbability(config.augmentation, config.steps)
        if self.augmentation.adapts:
            self.parts["augmentation"] = self.augmentation
        self.features: ProjectedDiscriminator | None = None
        if config.features.layers:
            if vgg is None:
                raise ConfigError("features.layers are judged by VGG-16. Name its weights with --vgg FILE.")
            examples = self.batches.load(np.arange(min(_EXAMPLES, len(images))))
            self.features = ProjectedDiscriminator(config, fabric, vgg, examples)
            self.parts |= {"feature_discriminator": self.features.discriminator, "feature_optimizer": self.features.optimizer}
        self._objective = objective(config.objective, config.label_smoothing)
        self._shared_backward = config.discriminator.per_sample and config.objective != "hinge"
        networks = (self.generator, self.discriminator, self.generator_ema)
        self._modules_with_progress = [module for network in networks for module in modules_with_progress(network)]

    def step(self, step: int) -> Scalars:
        """Make one training step; the first is 1.

        Returns:
            Scalars by name:
            d_loss, g_loss: both losses, without penalties.
            d_accuracy: the fraction of pairs whose real image has the higher logit; 0.5 if the discriminator cannot tell.
            real_logit, fake_logit: the mean logits.
            r1, r2: the penalties before they are weighted, only in a step that has them.
            feature_d_loss, feature_g_loss, feature_accuracy: the same of the feature discriminator, once it has joined.
        """
        progress = self.config.progress(step)
        self._set_rates(progress)
        self.set_progress(progress)
        draws = numpy_rng(self.config.seed, Stream.NETWORKS, step, self.fabric.global_rank)
        torch.manual_seed(int(draws.integers(2**32)))  # of layers that draw numbers themselves
        scalars = self._one_pass_step(progress) if self.config.one_pass else self._two_phase_step(progress)
        self.generator_ema.update_parameters(self.generator)
        if self.augmentation.adapts:
            self.augmentation.record(mean_over_processes(self.fabric, scalars["d_accuracy"]))
        return scalars

    def settings(self, step: int) -> dict[str, float]:
        """The values of the schedules at a step, by name; see docs/gans.md. Those that do not apply are missing."""
        config, progress = self.config, self.config.progress(step)
        g_rate, d_rate = self._rates(progress)
        settings = {"learning_rate": g_rate, "d_learning_rate": d_rate}
        if config.classes.count:
            settings["class_share"] = class_share(config.classes, progress.fraction)
        if config.augment and (config.augmentation.ramp or self.augmentation.adapts):
            settings["augment_probability"] = self.augmentation.at(progress.fraction)
        return settings

    def _one_pass_step(self, progress: Progress) -> Scalars:
        """Serve both losses by one pass through both networks; see `one_pass_gradients`."""
        batch = self.draw(progress)
        fake = self.generate(batch.latents)
        fake_leaf = fake.detach().requires_grad_()

        with self.fabric.autocast():
            real = self.preprocess(batch.real, progress, batch.rng)
            fake_augmented = self.preprocess(fake_leaf, progress, batch.rng)
            real_logits, fake_logits = self.discriminate(real, batch.labels), self.discriminate(fake_augmented, batch.labels)
        d_loss = self._objective.discriminator(real_logits, fake_logits)
        g_loss = self._objective.generator(real_logits.detach(), fake_logits)
        scalars = _summarise(d_loss, g_loss, real_logits, fake_logits)

        grad_features = self._step_features(progress, batch, real, fake_augmented, fake_leaf, scalars)
        if self._is_ahead(d_loss):
            (grad_fake,) = torch.autograd.grad(g_loss, fake_leaf)
        else:
            penalty = self._penalty(progress, batch.labels, real, fake_augmented, scalars)
            self.d_optimizer.zero_grad()
            grad_fake = one_pass_gradients(
                d_loss, g_loss, penalty, fake_logits, fake_leaf, self._learning,
                shared_backward=self._shared_backward,
            )  # fmt: skip
            self._update(self.d_optimizer)

        self.g_optimizer.zero_grad()
        fake.backward(grad_fake if grad_features is None else grad_fake + grad_features)
        self._update(self.g_optimizer)
        return scalars

    def _two_phase_step(self, progress: Progress) -> Scalars:
        """The classical two phases: `d_steps` of the discriminator, then `g_steps` of the generator."""
        config = self.config
        penalties: Scalars = {}
        for turn in range(config.d_steps):
            batch = self.draw(progress, turn)
            fake = self.generate(batch.latents)
            with self.fabric.autocast():
                real = self.preprocess(batch.real, progress, batch.rng)
                fake_augmented = self.preprocess(fake.detach(), progress, batch.rng)
                real_logits = self.discriminate(real, batch.labels)
                fake_logits = self.discriminate(fake_augmented, batch.labels)
            d_loss = self._objective.discriminator(real_logits, fake_logits)
            if not self._is_ahead(d_loss):
                penalty = self._penalty(progress, batch.labels, real, fake_augmented, penalties)
                self.d_optimizer.zero_grad()
                (d_loss + penalty).backward(inputs=self._learning)
                self._update(self.d_optimizer)

        self._let_learn(False)
        for turn in range(config.g_steps):
            if turn:  # the first turn uses the last images that the discriminator has just learned from
                fake = self.generate(self.batches.latents(progress.step, config.d_steps + turn, batch.labels))
            with self.fabric.autocast():
                against = real_logits.detach()
                if config.objective == "relativistic":  # the other objectives do not use the real logits
                    with torch.no_grad():
                        against = self.discriminate(real, batch.labels)
                logits = self.discriminate(self.preprocess(fake, progress, batch.rng), batch.labels)
            g_loss = self._objective.generator(against, logits)
            self.g_optimizer.zero_grad()
            g_loss.backward()
            self._update(self.g_optimizer)
        self._let_learn(True)
        return _summarise(d_loss, g_loss, real_logits, fake_logits) | penalties

    def draw(self, progress: Progress, turn: int = 0) -> Batch:
        """The batch of one turn of the discriminator in a step, with the real images as inputs of the discriminators."""
        batch = self.batches.draw(progress, turn)
        return replace(batch, real=real_inputs(self.generator, batch.real))

    def set_progress(self, progress: Progress) -> None:
        """Tell the networks that change with the progress of the run how far it is."""
        for module in self._modules_with_progress:
            module.set_progress(1.0 if self._grown else progress.fraction)

    def generate(self, latents: Tensor) -> Tensor:
        """Fake images as inputs of the discriminators: float [n, latent_size] -> float [n, k * c, h, w] in -1..1."""
        with self.fabric.autocast():
            return fake_inputs(self.generator, latents)

    def preprocess(self, images: Tensor, progress: Progress, rng: torch.Generator) -> Tensor:
        """Images as the discriminators see them: augmented, with noise, and packed (Lin et al. 2018, "PacGAN").

        Args:
            images: float [n, k * c, h, w] in -1..1, k images of c channels a row; k is 1 for most architectures.
            progress: of the run; the noise falls with it.
            rng: on the CPU.

        Returns:
            float [n / pack, k * pack * c, h, w].
        """
        config = self.config
        channels = channels_of(config)
        images = augment(images, config.augment or (), rng, self.augmentation.at(progress.fraction), channels)
        if config.instance_noise:
            noise = torch.randn(images.shape, generator=rng).to(images)
            images = images + config.instance_noise * (1 - progress.fraction) * noise
        if config.pack == 1:
            return images
        n, _, height, width = images.shape
        packed = images.reshape(n // config.pack, config.pack, -1, channels, height, width).transpose(1, 2)
        return packed.reshape(n // config.pack, -1, height, width)

    def discriminate(self, images: Tensor, labels: Labels | None) -> Tensor:
        """Preprocessed images -> logits float [n], including those of the classes if there are labels."""
        return logits_of(self.discriminator(images).float(), labels)

    def _step_features(
        self, progress: Progress, batch: Batch, real: Tensor, fake_augmented: Tensor, fake_leaf: Tensor, scalars: Scalars
    ) -> Tensor | None:
        """Train the feature discriminator, if it has joined, and return the gradient of its part of the generator's loss."""
        config = self.config.features
        if self.features is None or progress.fraction < config.start:
            return None
        count, channels = max(1, round(config.fraction * len(real))), channels_of(self.config)
        labels = batch.labels and batch.labels.first(count)
        grad_fake, found = self.features.step(
            real[:count, :channels],
            fake_augmented[:count, :channels],
            fake_leaf,
            labels,
            self._penalty_weight(progress),
            self._update,
            batch.rng,
        )
        scalars.update(found)
        return config.weight * grad_fake

    def _let_learn(self, learns: bool) -> None:
        """Whether the layers of the discriminator that are not frozen get gradients."""
        for parameter in self._learning:
            parameter.requires_grad_(learns)

    def _is_ahead(self, d_loss: Tensor) -> bool:
        """Whether the discriminator is so far ahead that it skips its step."""
        limit = self.config.skip_below
        return limit is not None and bool(mean_over_processes(self.fabric, d_loss.detach()) < limit)

    def _penalty(
        self, progress: Progress, labels: Labels | None, real: Tensor, fake: Tensor, scalars: Scalars
    ) -> Tensor | float:
        """The weighted gradient penalties of this step, 0 in most steps; their values are added to the scalars."""
        weight = self._penalty_weight(progress)
        total: Tensor | float = 0.0
        if weight:
            config, discriminate = self.config.penalty, partial(self.discriminate, labels=labels)
            for name, factor, images in (("r1", config.r1, real), ("r2", config.r2, fake)):
                if factor:
                    value = gradient_penalty(discriminate, images.float())
                    total = total + weight * factor * value
                    scalars[name] = value.detach()
        return total

    def _penalty_weight(self, progress: Progress) -> float:
        """The factor of r1 and r2: 0 in most steps, large in every `every`-th (lazy regularisation, Karras et al. 2020)."""
        config = self.config.penalty
        if not (config.r1 or config.r2) or progress.step % config.every:
            return 0.0
        return config.every * penalty_factor(config, progress.fraction)

    def _rates(self, progress: Progress) -> tuple[float, float]:
        """The learning rates of the generator and of the discriminators."""
        config = self.config.optimizer
        factor = rate_factor(config, progress.fraction) * self.lr_scale
        return config.learning_rate * factor, (config.d_learning_rate or config.learning_rate) * factor

    def _set_rates(self, progress: Progress) -> None:
        g_rate, d_rate = self._rates(progress)
        betas = (self.config.optimizer.beta1, beta2(self.config.optimizer, progress.fraction))
        _set_rate(self.g_optimizer, g_rate, betas)
        _set_rate(self.d_optimizer, d_rate, betas)
        if self.features is not None:
            _set_rate(self.features.optimizer, d_rate, betas)

    def _update(self, optimizer: torch.optim.Optimizer) -> None:
        """Step, with the gradients averaged over the processes."""
        if self.fabric.world_size > 1:
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            mean = mean_over_processes(self.fabric, torch.cat([gradient.flatten() for gradient in gradients]))
            for gradient, part in zip(gradients, mean.split([gradient.numel() for gradient in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))
        optimizer.step()


def mean_over_processes(fabric: Fabric, value: Tensor) -> Tensor:
    """The mean of a tensor over all processes of a run, the same in each."""
    mean = fabric.all_reduce(value, reduce_op="mean")
    assert isinstance(mean, Tensor)  # noqa: S101  Fabric's type also allows collections
    return mean


def _set_rate(optimizer: torch.optim.Optimizer, rate: float, betas: tuple[float, float]) -> None:
    for group in optimizer.param_groups:
        group["lr"], group["betas"] = rate, betas


def _summarise(d_loss: Tensor, g_loss: Tensor, real_logits: Tensor, fake_logits: Tensor) -> Scalars:
    real_logits, fake_logits = real_logits.detach(), fake_logits.detach()
    return {
        "d_loss": d_loss.detach(), "g_loss": g_loss.detach(), "d_accuracy": (real_logits > fake_logits).float().mean(),
        "real_logit": real_logits.mean(), "fake_logit": fake_logits.mean(),
    }  # fmt: skip
