"""DCGAN whose generator upsamples by nearest neighbour: Odena et al. 2016, "Deconvolution and Checkerboard Artifacts".

A transposed convolution makes neighbouring pixels with different parts of its 4x4 weights. If these parts differ,
flat areas of drawings show a pattern. Here the same 3x3 weights make every pixel. One more layer at the image's own resolution
draws its lines. A small network before the first layer lets all places of an image agree. The discriminator is DCGAN's.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from training.gan.architectures import dcgan
from training.gan.architectures.base import GanArchitecture
from training.gan.architectures.dcgan import GeneratorOptions, halvings, initialise
from training.gan.architectures.layers import spread

_MAPPING_WIDTH = 256
_SLOWLY = 0.01


class Generator(nn.Module):
    """Latents -> images; arguments as in `dcgan.Generator`.

    The width counts the channels at half the image's resolution. They double with each halving; at the image's own resolution
    there are half as many.
    """

    def __init__(self, image_size: int, channels: int, latent_size: int, options: GeneratorOptions) -> None:
        super().__init__()
        start, doublings = halvings(image_size)
        features = options.width * 2 ** (doublings - 1)
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
        images: Tensor = self.layers(self.mapping(latents)[:, :, None, None])
        return images


class Mapping(nn.Module):
    """The mapping network of Karras et al. 2019, "A Style-Based Generator", as a change that is added to the latents.

    The first convolution is linear. Without this network, each place of an image would choose for itself what all places share,
    such as the colour of a background. As in the paper, the network learns at a hundredth of the rate of the others. At the
    full rate it makes all latents alike.
    """

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        sizes = ((latent_size, _MAPPING_WIDTH), (_MAPPING_WIDTH, _MAPPING_WIDTH), (_MAPPING_WIDTH, latent_size))
        self.layers = nn.ModuleList(SlowLinear(*size) for size in sizes)
        for parameter in self.layers[-1].parameters():
            parameter.data.mul_(0.1)  # so that the change is small at first

    def forward(self, latents: Tensor) -> Tensor:
        """Float [n, latent_size] -> float [n, latent_size]."""
        change = latents
        for index, layer in enumerate(self.layers):
            change = layer(F.leaky_relu(change, 0.2) if index else change)
        return latents + change


class SlowLinear(nn.Linear):
    """A linear layer that uses a hundredth of its weights, so that a step of Adam changes its output a hundredth as much."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        nn.init.normal_(self.weight, 0.0, 1 / (_SLOWLY * inputs**0.5))
        nn.init.zeros_(self.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Float [n, inputs] -> float [n, outputs]."""
        return F.linear(features, self.weight * _SLOWLY, self.bias * _SLOWLY)


class UpsampledConv(nn.ConvTranspose2d):
    """Nearest-neighbour upsampling by 2 and a 3x3 convolution, computed without the upsampled image.

    The two equal a transposed convolution whose 4x4 weights are the 3x3 weights, spread over two pixels each way. It is as fast
    as a transposed convolution with weights of its own.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2, padding=1, bias=False)

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Float [n, inputs, h, w] -> float [n, outputs, 2h, 2w]."""
        weight = 4 * spread(self.weight)
        return F.conv_transpose2d(features, weight, stride=2, padding=1)


DCGAN_NEAREST = GanArchitecture(Generator, GeneratorOptions, dcgan.Discriminator, dcgan.DiscriminatorOptions)
