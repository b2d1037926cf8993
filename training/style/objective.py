"""The objective of style transfer: content + style + variation, in VGG-16 features.

Painting by optimisation (`training.style.paint`), training of the network (`training.style.loop`) and evaluation all use it.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from training.errors import WeightsError
from training.style.config import PaintingConfig
from training.style.losses import content_loss, gram_matrix, style_loss, total_variation
from training.vgg import VggFeatures

_Place = tuple[int, str]  # a scale of the image, and a layer
_Grams = Mapping[_Place, Tensor]


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
            grams = [self._grams(painting.to(device)) for painting in paintings.values()]
            self.grams = {place: torch.cat([each[place] for each in grams]) for place in grams[0]}
        # What errors are measured in. By place: float [k]; by layer: float [], or unset: those of each photo itself.
        self._units = {place: self._unit(gram, (1, 2), len(self.grams)) for place, gram in self.grams.items()}
        self._squares = {place: gram.square().mean(dim=(1, 2)) for place, gram in self.grams.items()}
        self._content_units: dict[str, Tensor] = {}

    @torch.no_grad()
    def balance(self, photos: Tensor, baseline: float | None = None) -> float:
        """Make the losses of styles, and of photos, equally large.

        Absolute errors of the style are weighted so that unpainted photos are equally far from all paintings; relative ones
        are so already. Relative errors of the content are measured in the mean over these photos from now on: in its own
        features, which are small, a smooth photo would allow no strokes.

        Args:
            photos: uint8 [n, 3, h, w].
            baseline: style loss on the photos that each style is scaled to. None takes the mean over the styles.

        Returns:
            The baseline, a style loss before `style_weight`.

        Raises:
            WeightsError: the features are NaN or infinite.
        """
        images = photos.to(self.balances.device, torch.float32)
        content = self.content(images)
        self._content_units = {layer: self._content_unit(features).mean() for layer, features in content.items()}
        grams = self._grams(images)
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
        return self._features(photos, self.config.content_layers)

    def __call__(self, painted: Tensor, content: Mapping[str, Tensor], styles: Tensor) -> Terms:
        """The losses of painted images.

        Args:
            painted: float [n, 3, h, w] RGB in 0..255.
            content: of the photos that were painted, from `content`.
            styles: float [n, k]; each row weights the styles.
        """
        features, config = self._features(painted), self.config
        return Terms(
            content=config.content_weight * self._content(features, content),
            style=config.style_weight * self._style(self._grams(painted, features), styles),
            variation=config.variation_weight * total_variation(painted),
        )

    def _features(self, images: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        return self.vgg(images, layers, repeat_edges=self.config.objective == "relative")

    def _content(self, features: Mapping[str, Tensor], content: Mapping[str, Tensor]) -> Tensor:
        """Content loss of each image: float [n]."""
        losses = []
        for layer in self.config.content_layers:
            kept = content[layer].float()
            unit = self._content_units[layer] if self._content_units else self._content_unit(kept)
            losses.append(content_loss(features[layer].float(), kept) / unit)
        return torch.stack(losses).sum(dim=0)

    def _content_unit(self, kept: Tensor) -> Tensor:
        return self._unit(kept.float(), (1, 2, 3), len(self.config.content_layers))

    def _unit(self, target: Tensor, dimensions: tuple[int, ...], terms: int) -> Tensor:
        """What the errors from a target are measured in: float [n]. Relative errors are also averaged over the terms."""
        squares = target.square().mean(dim=dimensions)
        return squares * terms if self.config.objective == "relative" else torch.ones_like(squares)

    def _grams(self, images: Tensor, features: Mapping[str, Tensor] | None = None) -> dict[_Place, Tensor]:
        """Gram matrices of images float [n, 3, h, w] at each scale. The features at scale 1 may be known."""
        grams: dict[_Place, Tensor] = {}
        for scale in self.config.style_scales:
            known = features if scale == 1 else None
            found = known or self._features(F.avg_pool2d(images, scale), self.config.style_layers)
            grams |= {(scale, layer): gram_matrix(found[layer]) for layer in self.config.style_layers}
        return grams

    def _style(self, grams: _Grams, styles: Tensor) -> Tensor:
        """Weighted style loss of each image: float [n].

        The weighted mean of squared differences from several targets equals the squared difference from their weighted mean
        plus the targets' own spread around it. So each image is compared once, for any number of styles.
        """
        weights = styles * self.balances
        sums = weights.sum(dim=1)
        shares = weights / sums[:, None]
        losses = torch.zeros_like(sums)
        for place, targets in self.grams.items():
            mean = torch.einsum("nk,kij->nij", shares, targets)
            spread = shares @ self._squares[place] - mean.square().mean(dim=(1, 2))
            losses = losses + (style_loss(grams[place], mean) + spread) / (shares @ self._units[place])
        return sums * losses


def features_for(config: PaintingConfig) -> tuple[str, ...]:
    """The layers of VGG-16 that an objective needs."""
    return (*config.content_layers, *config.style_layers)
