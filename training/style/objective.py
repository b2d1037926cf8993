"""What a painted picture is measured by: content + style + variation, in VGG-16 features.

The same for the slow optimisation (`training.style.paint`), for training the fast network (`training.style.loop`) and for
comparing the two.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from training.errors import WeightsError
from training.style.config import PaintingConfig
from training.style.losses import content_loss, gram_matrix, style_loss, total_variation
from training.vgg import VggFeatures


class Terms(NamedTuple):
    """The weighted losses of each picture of a batch, float [n] each."""

    content: Tensor
    style: Tensor
    variation: Tensor

    @property
    def total(self) -> Tensor:
        """What is lowered: float [n]."""
        return self.content + self.style + self.variation


class Objective:
    """Content + style + variation of painted pictures.

    Args:
        config: layers and weights.
        paintings: style name -> float [1, 3, h, w] RGB in 0..255, any size each; k of them.
        vgg: has the layers of `features_for(config)`; on the device where pictures will be. Losses are float32 whatever its
            precision.
    """

    def __init__(self, config: PaintingConfig, paintings: Mapping[str, Tensor], vgg: VggFeatures) -> None:
        self.config, self.vgg = config, vgg
        device = vgg.means.device
        self.balances = torch.ones(len(paintings), device=device)
        with torch.no_grad():
            grams = [self._grams(vgg(painting.to(device))) for painting in paintings.values()]
            self.grams = {layer: torch.cat([each[layer] for each in grams]) for layer in config.style_layers}

    @torch.no_grad()
    def balance(self, photos: Tensor, baseline: float | None = None) -> float:
        """Weigh each style so that unpainted photos are equally far from all: no painting drowns another.

        Args:
            photos: uint8 [n, 3, h, w].
            baseline: how far; None: as far as they are from the styles in the mean.

        Returns:
            The baseline: a style loss, before `style_weight`.

        Raises:
            WeightsError: the features are no numbers.
        """
        grams = self._grams(self.vgg(photos.to(self.balances.device, torch.float32)))
        self.balances.fill_(1)
        styles = torch.eye(len(self.balances), device=self.balances.device)
        baselines = torch.stack([self._style(grams, style.expand(len(photos), -1)).mean() for style in styles])
        baseline = baselines.mean().item() if baseline is None else baseline
        self.balances = baseline / baselines
        if not self.balances.isfinite().all():
            raise WeightsError("The VGG-16 features of the paintings are not finite numbers: the weights of --vgg are broken.")
        return baseline

    @torch.no_grad()
    def content(self, photos: Tensor) -> dict[str, Tensor]:
        """What is to be kept of photos, float [n, 3, h, w] RGB in 0..255: features by layer."""
        return self.vgg(photos, self.config.content_layers)

    def __call__(self, painted: Tensor, content: Mapping[str, Tensor], styles: Tensor) -> Terms:
        """The losses of painted pictures.

        Args:
            painted: float [n, 3, h, w] RGB in 0..255.
            content: of the photos that were painted, as `content` gives it.
            styles: float [n, k]; each row weighs the styles.
        """
        features, config = self.vgg(painted), self.config
        kept = [content_loss(features[layer].float(), content[layer].float()) for layer in config.content_layers]
        return Terms(
            content=config.content_weight * torch.stack(kept).sum(dim=0),
            style=config.style_weight * self._style(self._grams(features), styles),
            variation=config.variation_weight * total_variation(painted),
        )

    def _grams(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {layer: gram_matrix(features[layer]) for layer in self.config.style_layers}

    def _style(self, grams: Mapping[str, Tensor], styles: Tensor) -> Tensor:
        """Style loss of each picture, its styles weighed: float [n].

        The weighted mean of squared differences from several targets is the squared difference from their weighted mean, plus
        how far the targets are from it themselves: one comparison a picture, however many styles there are.
        """
        weights = styles * self.balances
        sums = weights.sum(dim=1)
        shares = weights / sums[:, None]
        losses = torch.zeros_like(sums)
        for layer, targets in self.grams.items():
            mean = torch.einsum("nk,kij->nij", shares, targets)
            spread = shares @ targets.square().mean(dim=(1, 2)) - mean.square().mean(dim=(1, 2))
            losses = losses + style_loss(grams[layer], mean) + spread
        return sums * losses


def features_for(config: PaintingConfig) -> tuple[str, ...]:
    """The layers that an objective looks at."""
    return (*config.content_layers, *config.style_layers)
