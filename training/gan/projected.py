"""The second discriminator of a GAN in training, which judges VGG-16 features: see `training.gan.feature_discriminator`."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from training.gan.classes import Labels, logits_of
from training.gan.config import GanConfig
from training.gan.feature_discriminator import FeatureDiscriminator, Head
from training.gan.losses import gradient_penalty, objective
from training.gan.setup import adam, place, precision_of
from training.images import ALPHA
from training.vgg import VggFeatures

_SHRUNK = 16  # pixels a side

Update = Callable[[torch.optim.Optimizer], None]


class ProjectedDiscriminator:
    """Learns to tell real images from fake images by their features, and gives the generator a gradient.

    Args:
        config: resolved; names the layers.
        fabric: launched; carries device and precision.
        vgg: has these layers. It is moved to the device and converted to the precision.
        real: float [n, c, h, w] in -1..1, real images that set the scale of the features.
    """

    def __init__(self, config: GanConfig, fabric: Fabric, vgg: VggFeatures, real: Tensor) -> None:
        self.config, self.fabric = config, fabric
        # Autocast alone would convert the weights again in every pass.
        self.vgg = vgg.to(fabric.device).in_precision(precision_of(config))
        with torch.no_grad(), fabric.autocast():
            self.discriminator = place(FeatureDiscriminator(self.extract(real), 1 + config.classes.count), fabric.device)
        self.optimizer = adam(config, self.discriminator)
        self._objective = objective(config.objective, config.label_smoothing)

    def step(
        self,
        real: Tensor,
        fake_augmented: Tensor,
        fake_leaf: Tensor,
        labels: Labels | None,
        penalty: float,
        update: Update,
        rng: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Learn from one batch. The generator's gradient comes from the discriminator as it was before.

        One pass through VGG-16 serves both losses: the gradients of the discriminator's loss end at the features.

        Args:
            real: float [n, c, h, w] in -1..1, preprocessed real images.
            fake_augmented: the same number of preprocessed fake images.
            fake_leaf: the fake images before preprocessing; the graph between the two is kept.
            labels: of each real image and of the fake image that it is paired with, if there are classes.
            penalty: factor of r1 and r2 in this step; 0: no penalties.
            update: steps an optimizer.
            rng: of the backgrounds of images with transparency; on the CPU.

        Returns:
            The gradient of the generator's loss at `fake_leaf`, and both losses and the accuracy over all places by name.
        """
        background = _backgrounds(real, rng)
        with self.fabric.autocast():
            with torch.no_grad():
                real_features = self.extract(real, background)
            fake_features = self.extract(fake_augmented, background)
            logits = zip(self.discriminator(real_features), self.discriminator(fake_features), strict=True)
        pairs = [tuple(logits_of(each.float(), labels) for each in both) for both in logits]
        d_loss = _mean([self._objective.discriminator(real_logits, fake_logits) for real_logits, fake_logits in pairs])
        g_loss = _mean([self._objective.generator(real_logits.detach(), fake_logits) for real_logits, fake_logits in pairs])
        (grad_fake,) = torch.autograd.grad(g_loss, fake_leaf, retain_graph=True)
        penalised = d_loss + penalty * self._penalties(real_features, fake_features, labels) if penalty else d_loss
        self.optimizer.zero_grad()
        penalised.backward(inputs=list(self.discriminator.parameters()))
        update(self.optimizer)
        accuracy = _mean([(real_logits > fake_logits).float().mean() for real_logits, fake_logits in pairs])
        return grad_fake, {
            "feature_d_loss": d_loss.detach(), "feature_g_loss": g_loss.detach(), "feature_accuracy": accuracy
        }  # fmt: skip

    def extract(self, images: Tensor, background: Tensor | float = 0.5) -> dict[str, Tensor]:
        """Layer name -> features of images float [n, c, h, w] in -1..1; grey images count as RGB.

        VGG-16 knows no transparency, so it sees images with four channels on a grey background. On one grey, something grey
        would look like a hole. So each image gets a grey of its own in training, and a fake image that of its real partner.

        One more layer is the image itself, shrunk. It shows flat areas and their colours, which VGG-16 hardly sees, and alpha.

        Args:
            images: as the discriminators see them.
            background: 0 (black) to 1 (white), or float [n, 1, 1, 1].
        """
        visible = images
        if images.shape[1] == ALPHA + 1:
            visible = images[:, :ALPHA] + (1 - images[:, ALPHA:]) * background
        features = self.vgg(127.5 * (visible.expand(-1, 3, -1, -1) + 1))
        return features | {"shrunk": F.adaptive_avg_pool2d(images, _SHRUNK)}

    def _penalties(self, real: Mapping[str, Tensor], fake: Mapping[str, Tensor], labels: Labels | None) -> Tensor:
        """R1 and R2 of each head's mean logit with respect to its normalised features; the mean over the heads."""
        config = self.config.penalty
        terms = [
            weight * gradient_penalty(partial(_mean_logit, head, labels), head.normalised(features[layer].float()))
            for layer, head in self.discriminator.by_layer.items()
            for weight, features in ((config.r1, real), (config.r2, fake))
            if weight
        ]
        return torch.stack(terms).sum() / len(self.discriminator.heads)


def _backgrounds(images: Tensor, rng: torch.Generator) -> Tensor | float:
    """A grey for each image float [n, c, h, w], 0 to 1, if it has transparency."""
    if images.shape[1] != ALPHA + 1:
        return 0.5
    return torch.rand(len(images), 1, 1, 1, generator=rng).to(images)


def _mean_logit(head: Head, labels: Labels | None, normalised: Tensor) -> Tensor:
    return logits_of(head.judge(normalised), labels).mean(dim=1)


def _mean(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).mean()
