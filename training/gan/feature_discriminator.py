"""A discriminator that sees images through a frozen, pretrained network.

Sauer et al. 2021, "Projected GANs Converge Faster", and Kumari et al. 2022, "Ensembling Off-the-shelf Models for GAN
Training". A pretrained network already knows strokes, eyes and hair, so the discriminator need not learn them from the images.
Each layer has a head of its own, behind a random mixture of the layer's channels that is never trained. So no head can rely on
a single channel.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.gan.architectures.dcgan import initialise

_SMALLEST = 4  # side of the last features; each place has a logit
_WIDTH = 64  # channels


class FeatureDiscriminator(nn.Module):
    """Features -> logits; a logit above 0 means "real".

    Args:
        features: layer name -> float [n, c, h, w], the features of some real images. They set channels, sizes and scales.
        outputs: logits per place: 1 plus the number of classes.
    """

    def __init__(self, features: Mapping[str, Tensor], outputs: int = 1) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({layer: Head(example, outputs) for layer, example in features.items()})

    def forward(self, features: Mapping[str, Tensor]) -> list[Tensor]:
        """Layer name -> float [n, c, h, w] as in the constructor; returns the logits of each layer's head."""
        return [head(features[layer]) for layer, head in self.by_layer.items()]

    @property
    def by_layer(self) -> dict[str, "Head"]:
        """Layer name -> its head."""
        return {layer: head for layer, head in self.heads.items() if isinstance(head, Head)}


class Head(nn.Module):
    """The features of one layer -> a logit for each place, after strided convolutions down to about 4 x 4.

    Args:
        example: float [n, c, h, w], features of some real images.
        outputs: logits per place.
    """

    scale: Tensor
    mixture: Tensor

    def __init__(self, example: Tensor, outputs: int = 1) -> None:
        super().__init__()
        channels, side = example.shape[1], min(example.shape[2:])
        self.register_buffer("scale", example.float().square().mean().sqrt().clamp_min(1e-6))
        self.register_buffer("mixture", torch.randn(_WIDTH, channels, 1, 1) / channels**0.5)
        layers: list[nn.Module] = []
        while side >= 2 * _SMALLEST:
            layers += [nn.Conv2d(_WIDTH, _WIDTH, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
            side //= 2
        layers += [nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(_WIDTH, outputs, 1)]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, features: Tensor) -> Tensor:
        """Float [n, c, h, w] -> logits float [n, places], or [n, outputs, places]."""
        return self.judge(self.normalised(features))

    def normalised(self, features: Tensor) -> Tensor:
        """Scale features so that those of real images have a mean square of 1."""
        return features / self.scale

    def judge(self, normalised: Tensor) -> Tensor:
        """Normalised features, float [n, c, h, w] -> logits float [n, places], or [n, outputs, places]."""
        logits: Tensor = self.layers(F.conv2d(normalised, self.mixture))
        return logits.flatten(2).squeeze(1)
