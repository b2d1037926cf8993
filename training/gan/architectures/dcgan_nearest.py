"""DCGAN whose generator upsamples by nearest neighbour: Odena et al. 2016, "Deconvolution and Checkerboard Artifacts".

A transposed convolution lays its 4x4 weights so that neighbouring pixels are made by different ones: a flat area comes out
flat only where they happen to agree, which drawings show. Here every pixel is made by the same 3x3 weights. One more layer at
the picture's own resolution draws its lines, and a small network before the first one lets all places of a picture agree. The
discriminator is DCGAN's.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from training.gan.architectures.dcgan import halvings, initialise

_MAPPING_WIDTH = 256
_SLOWLY = 0.01


class Generator(nn.Module):
    """Latents -> pictures.

    Args:
        image_size: height and width in pixels: 4 to 7 times a power of two, at least 16.
        channels: 1 for grey, 3 for RGB.
        latent_size: length d of a row of latents.
        width: channels at half the picture's resolution; doubled at each halving of it, half at its own.
    """

    def __init__(self, image_size: int, channels: int, latent_size: int, width: int) -> None:
        super().__init__()
        start, doublings = halvings(image_size)
        features = width * 2 ** (doublings - 1)
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_size, features, start, bias=False)]
        for _ in range(doublings):
            layers += [nn.BatchNorm2d(features), nn.ReLU(inplace=True), UpsampledConv(features, features // 2)]
            features //= 2
        layers += [nn.BatchNorm2d(features), nn.ReLU(inplace=True), nn.Conv2d(features, channels, 3, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.mapping = Mapping(latent_size)
        self.apply(initialise)

    def forward(self, latents: Tensor) -> Tensor:
        """Float [n, latent_size] -> float [n, channels, image_size, image_size] in -1..1."""
        pictures: Tensor = self.layers(self.mapping(latents)[:, :, None, None])
        return pictures


class Mapping(nn.Module):
    """Latents -> latents that have decided: Karras et al. 2019, "A Style-Based Generator", as a change of the latents.

    The first convolution is linear, so without this each place of a picture decides by itself what all have to agree on, such
    as the colour of a background. It learns a hundred times as slowly as the rest, as in the paper: at the same rate it makes
    all latents alike.
    """

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        sizes = ((latent_size, _MAPPING_WIDTH), (_MAPPING_WIDTH, _MAPPING_WIDTH), (_MAPPING_WIDTH, latent_size))
        self.layers = nn.ModuleList(SlowLinear(*size) for size in sizes)
        for parameter in self.layers[-1].parameters():
            parameter.data.mul_(0.1)  # so that it begins as little change

    def forward(self, latents: Tensor) -> Tensor:
        """Float [n, latent_size] -> float [n, latent_size]."""
        change = latents
        for index, layer in enumerate(self.layers):
            change = layer(F.leaky_relu(change, 0.2) if index else change)
        return latents + change


class SlowLinear(nn.Linear):
    """A layer with weights a hundred times as large as what they do, so that Adam's steps change it a hundredth as much."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        nn.init.normal_(self.weight, 0.0, 1 / (_SLOWLY * inputs**0.5))
        nn.init.zeros_(self.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Float [n, inputs] -> float [n, outputs]."""
        return F.linear(features, self.weight * _SLOWLY, self.bias * _SLOWLY)


class UpsampledConv(nn.ConvTranspose2d):
    """Nearest-neighbour upsampling by 2, then a 3x3 convolution, computed without the upsampled picture.

    That is a transposed convolution whose 4x4 weights are the 3x3 ones, spread over two pixels each way: as fast as one
    with weights of its own.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2, padding=1, bias=False)

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Float [n, inputs, h, w] -> float [n, outputs, 2h, 2w]."""
        spread = 4 * F.avg_pool2d(F.pad(self.weight, (1, 1, 1, 1)), 2, stride=1)
        return F.conv_transpose2d(features, spread, stride=2, padding=1)
