"""The objective of style transfer: content + style + variation, in VGG-16 features.

Painting by optimisation (`training.style.paint`), training of the network (`training.style.loop`) and evaluation all use it.
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
    """The weighted losses of a batch: each is float [n], one value per image."""

    content: Tensor
    style: Tensor
    variation: Tensor

    @property
    def total(self) -> Tensor:
        """The objective: float [n]."""
        return self.content + self.style + self.variation


class Objective:
    """Content + style + variation of painted images.

    Args:
        config: layers, weights, and whether errors are relative.
        paintings: style name -> float [1, 3, h, w] RGB in 0..255, each of any size; k of them.
        vgg: has the layers of `features_for(config)`; on the device of the images. Losses are float32 for any precision of
            the features.
    """

    def __init__(self, config: PaintingConfig, paintings: Mapping[str, Tensor], vgg: VggFeatures) -> None:
        self.config, self.vgg = config, vgg
        device = vgg.means.device
        self.balances = torch.ones(len(paintings), device=device)
        with torch.no_grad():
            grams = [self._grams(vgg(painting.to(device))) for painting in paintings.values()]
            self.grams = {layer: torch.cat([each[layer] for each in grams]) for layer in config.style_layers}
        # What errors are measured in, by layer: float [k].
        self._units = {layer: self._unit(gram, (1, 2), len(config.style_layers)) for layer, gram in self.grams.items()}

    @torch.no_grad()
    def balance(self, photos: Tensor, baseline: float | None = None) -> float:
        """Weight the styles so that unpainted photos are equally far from all of them. Then no painting dominates.

        Relative errors are as large for one painting as for another already, so this changes only absolute ones.

        Args:
            photos: uint8 [n, 3, h, w].
            baseline: style loss on the photos that each style is scaled to. None takes the mean over the styles.

        Returns:
            The baseline, a style loss before `style_weight`.

        Raises:
            WeightsError: the features are NaN or infinite.
        """
        grams = self._grams(self.vgg(photos.to(self.balances.device, torch.float32)))
        self.balances.fill_(1)
        styles = torch.eye(len(self.balances), device=self.balances.device)
        baselines = torch.stack([self._style(grams, style.expand(len(photos), -1)).mean() for style in styles])
        baseline = baselines.mean().item() if baseline is None else baseline
        if not baselines.isfinite().all() or not baselines.all():
            raise WeightsError("The VGG-16 features are zero, NaN or infinite: the weights of --vgg are broken.")
        if self.config.objective == "absolute":
            self.balances = baseline / baselines
        return baseline

    @torch.no_grad()
    def content(self, photos: Tensor) -> dict[str, Tensor]:
        """Features to keep, by layer, of photos float [n, 3, h, w] RGB in 0..255."""
        return self.vgg(photos, self.config.content_layers)

    def __call__(self, painted: Tensor, content: Mapping[str, Tensor], styles: Tensor) -> Terms:
        """The losses of painted images.

        Args:
            painted: float [n, 3, h, w] RGB in 0..255.
            content: of the photos that were painted, from `content`.
            styles: float [n, k]; each row weights the styles.
        """
        features, config = self.vgg(painted), self.config
        return Terms(
            content=config.content_weight * self._content(features, content),
            style=config.style_weight * self._style(self._grams(features), styles),
            variation=config.variation_weight * total_variation(painted),
        )

    def _content(self, features: Mapping[str, Tensor], content: Mapping[str, Tensor]) -> Tensor:
        """Content loss of each image: float [n]."""
        losses = []
        for layer in self.config.content_layers:
            kept = content[layer].float()
            unit = self._unit(kept, (1, 2, 3), len(self.config.content_layers))
            losses.append(content_loss(features[layer].float(), kept) / unit)
        return torch.stack(losses).sum(dim=0)

    def _unit(self, target: Tensor, dimensions: tuple[int, ...], layers: int) -> Tensor:
        """What the errors from a target are measured in: float [n]. Relative errors are also averaged over the layers."""
        squares = target.square().mean(dim=dimensions)
        return squares * layers if self.config.objective == "relative" else torch.ones_like(squares)

    def _grams(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {layer: gram_matrix(features[layer]) for layer in self.config.style_layers}

    def _style(self, grams: Mapping[str, Tensor], styles: Tensor) -> Tensor:
        """Weighted style loss of each image: float [n].

        The weighted mean of squared differences from several targets equals the squared difference from their weighted mean
        plus the targets' own spread around it. So each image is compared once, for any number of styles.
        """
        weights = styles * self.balances
        sums = weights.sum(dim=1)
        shares = weights / sums[:, None]
        losses = torch.zeros_like(sums)
        for layer, targets in self.grams.items():
            mean = torch.einsum("nk,kij->nij", shares, targets)
            spread = shares @ targets.square().mean(dim=(1, 2)) - mean.square().mean(dim=(1, 2))
            losses = losses + (style_loss(grams[layer], mean) + spread) / (shares @ self._units[layer])
        return sums * losses


def features_for(config: PaintingConfig) -> tuple[str, ...]:
    """The layers of VGG-16 that an objective needs."""
    return (*config.content_layers, *config.style_layers)
