"""The networks as they are exported: with pre- and post-processing inside, so that only bytes cross the wire."""

import torch
from torch import Tensor, nn

from training.images import to_uint8
from training.style.network import Stylizer


class GeneratorGraph(nn.Module):
    """`latents` float32 [n, d] -> `pictures` uint8 [n, h, w, c]."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latents: Tensor) -> Tensor:
        """See the class."""
        return to_uint8(self.generator(latents))


class StylizerGraph(nn.Module):
    """Photos in, painted photos out.

    `images` uint8 [n, h, w, 3], `styles` float32 [n, k], `strength` float32 [n], `keep_color` float32 [n] -> `pictures`
    uint8 [n, h, w, 3].

    `strength` 0 gives the input back, 1 the painting. `keep_color` 1 takes the brightness of the painting and the colour of
    the input (Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer"): in YIQ, and so in RGB, that is the
    input plus the change of brightness, the same in all three channels.
    """

    luma: Tensor

    def __init__(self, stylizer: Stylizer) -> None:
        super().__init__()
        self.stylizer = stylizer
        self.register_buffer("luma", torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1))  # ITU-R BT.601

    def forward(self, images: Tensor, styles: Tensor, strength: Tensor, keep_color: Tensor) -> Tensor:
        """See the class."""
        photos = images.permute(0, 3, 1, 2).float()
        change = self.stylizer(photos, styles).clamp(0, 255) - photos
        brightness = (change * self.luma).sum(dim=1, keepdim=True)
        strength, keep_color = strength[:, None, None, None], keep_color[:, None, None, None]
        mixed = photos + change * (strength * (1 - keep_color)) + brightness * (strength * keep_color)
        return mixed.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
