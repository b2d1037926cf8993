"""The second discriminator of a GAN, which judges VGG-16 features: see `training.gan.feature_discriminator`."""

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
from training.vgg import VggFeatures

_SHRUNK = 16  # pixels a side

Update = Callable[[torch.optim.Optimizer], None]


class FeatureAdversary:
    """Learns to tell real pictures from fake ones by their features, and tells the generator where to go.

    Args:
        config: resolved; names the layers.
        fabric: launched; carries device and precision.
        vgg: has those layers. It is moved to the device, and to the precision.
        real: float [n, c, h, w] in -1..1, some real pictures: they tell how large features are.
    """

    def __init__(self, config: GanConfig, fabric: Fabric, vgg: VggFeatures, real: Tensor) -> None:
        self.config, self.fabric = config, fabric
        # Autocast alone would convert its weights anew in every pass.
        self.vgg = vgg.to(fabric.device).in_precision(precision_of(config))
        with torch.no_grad(), fabric.autocast():
            self.discriminator = place(FeatureDiscriminator(self._features(real), 1 + config.classes.count), fabric.device)
        self.optimizer = adam(config, self.discriminator)
        self._objective = objective(config.objective, config.label_smoothing)

    def step(
        self, real: Tensor, seen: Tensor, shown: Tensor, labels: Labels | None, penalty: float, update: Update
    ) -> tuple[Tensor, Tensor]:
        """Learn from one batch, and judge its fake pictures as before that.

        One pass through VGG-16 serves both phases: the discriminator's gradients end at the features.

        Args:
            real: float [n, c, h, w] in -1..1, real pictures as the discriminators see them.
            seen: as many fake ones.
            shown: what those were made from; its graph is kept.
            labels: of each real picture and of the fake one beside it, where there are classes.
            penalty: what r1 and r2 are multiplied by in this step; 0: it has none.
            update: steps an optimizer.

        Returns:
            The gradient of the generator's loss at `shown`, and the share of places where the real logit is the higher one.
        """
        with self.fabric.autocast():
            with torch.no_grad():
                real_features = self._features(real)
            fake_features = self._features(seen)
            logits = zip(self.discriminator(real_features), self.discriminator(fake_features), strict=True)
        pairs = [tuple(logits_of(each.float(), labels) for each in both) for both in logits]
        d_loss = _mean([self._objective.discriminator(real_logits, fake_logits) for real_logits, fake_logits in pairs])
        g_loss = _mean([self._objective.generator(real_logits.detach(), fake_logits) for real_logits, fake_logits in pairs])
        (direction,) = torch.autograd.grad(g_loss, shown, retain_graph=True)
        if penalty:
            d_loss = d_loss + penalty * self._penalties(real_features, fake_features, labels)
        self.optimizer.zero_grad()
        d_loss.backward(inputs=list(self.discriminator.parameters()))
        update(self.optimizer)
        right = _mean([(real_logits > fake_logits).float().mean() for real_logits, fake_logits in pairs])
        return direction, right

    def _penalties(self, real: Mapping[str, Tensor], fake: Mapping[str, Tensor], labels: Labels | None) -> Tensor:
        """R1 and R2 of each head's mean logit by its normalised features, the mean over the heads."""
        terms = [
            weight * gradient_penalty(partial(_mean_logit, head, labels), head.normalised(features[layer].float()))
            for layer, head in self.discriminator.by_layer.items()
            for weight, features in ((self.config.penalty.r1, real), (self.config.penalty.r2, fake))
            if weight
        ]
        return torch.stack(terms).sum() / len(self.discriminator.heads)

    def _features(self, pictures: Tensor) -> dict[str, Tensor]:
        """Float [n, c, h, w] in -1..1 -> their features, those of grey pictures as of RGB.

        One more layer is the picture itself, shrunk: flat areas and their colours, which VGG-16 hardly looks at.
        """
        features = self.vgg(127.5 * (pictures.expand(-1, 3, -1, -1) + 1))
        return features | {"shrunk": F.adaptive_avg_pool2d(pictures, _SHRUNK)}


def _mean_logit(head: Head, labels: Labels | None, normalised: Tensor) -> Tensor:
    return logits_of(head.judge(normalised), labels).mean(dim=1)


def _mean(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).mean()
