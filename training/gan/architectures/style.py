"""StyleGAN2's generator: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN".

A mapping network turns latents z into latents w. Each convolution is modulated by w: its inputs are scaled, and its outputs are
divided by the size that they are expected to have. Each resolution adds its own image to the upsampled one of the resolution
before it. As in the paper, weights are N(0, 1) and are scaled when they are used ("equalised"), so one learning rate fits all.

Unlike the paper, the inputs and outputs of a convolution are scaled instead of its weights. That is equal, but the weights are
the same for all images of a batch, which ONNX and int8 need. There is no noise, because a seed must always give the same image.
The discriminator is that of dcgan-residual, with minibatch standard deviation (Karras et al. 2018) as an option.
"""

import itertools

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from training.gan.architectures import dcgan_residual
from training.gan.architectures.base import GanArchitecture, Options
from training.gan.architectures.dcgan import DiscriminatorOptions as DcganOptions
from training.gan.architectures.dcgan import halvings
from training.gan.architectures.layers import GAIN, SLOPE, EqualLinear, MinibatchDeviation, latent_norm, spread

_MAPPING_RATE = 0.01
_W_MEAN_DECAY = 0.995


class GeneratorOptions(Options):
    """The options of StyleGAN2's generator."""

    width: int = Field(default=24, ge=4, le=512)  # channels at the image's resolution; doubles with each halving ...
    max_width: int = Field(default=256, ge=4, le=1024)  # ... up to this
    mapping_layers: int = Field(default=2, ge=1, le=8)
    mixing: float = Field(default=0.0, ge=0, le=1)  # share of images whose later layers take the w of another image


class DiscriminatorOptions(DcganOptions):
    """The options of dcgan-residual's discriminator, and one more."""

    minibatch_stddev: bool = False  # adds a feature that says how much the images of a batch differ

    @property
    def per_sample(self) -> bool:
        """See the base class."""
        return super().per_sample and not self.minibatch_stddev


class Generator(nn.Module):
    """Latents -> images; arguments as in `dcgan.Generator`.

    Attributes:
        w_mean: float [latent_size], the moving average of w in training.
    """

    w_mean: Tensor

    def __init__(self, image_size: int, channels: int, latent_size: int, options: GeneratorOptions) -> None:
        super().__init__()
        start, doublings = halvings(image_size)
        widths = [min(options.max_width, options.width * 2**level) for level in reversed(range(doublings + 1))]
        self.mixing = options.mixing
        sizes = [latent_size] * (options.mapping_layers + 1)
        self.mapping = nn.ModuleList(EqualLinear(*pair, rate=_MAPPING_RATE) for pair in itertools.pairwise(sizes))
        self.register_buffer("w_mean", torch.zeros(latent_size))
        self.constant = nn.Parameter(torch.randn(widths[0], start, start))
        self.first = ModulatedConv(widths[0], widths[0], latent_size)
        self.first_image = ImageLayer(widths[0], channels, latent_size)
        self.up = nn.ModuleList(
            ModulatedConv(wide, narrow, latent_size, upsample=True) for wide, narrow in itertools.pairwise(widths)
        )
        self.same = nn.ModuleList(ModulatedConv(narrow, narrow, latent_size) for narrow in widths[1:])
        self.images = nn.ModuleList(ImageLayer(narrow, channels, latent_size) for narrow in widths[1:])

    def forward(self, latents: Tensor, truncation: Tensor | None = None) -> Tensor:
        """Float [n, latent_size] -> float [n, channels, image_size, image_size] in -1..1.

        Args:
            latents: z.
            truncation: float [n]: 1 leaves w, 0 makes it the mean.
        """
        w = self.map(latents)
        if self.training:
            self.w_mean.lerp_(w.detach().float().mean(dim=0), 1 - _W_MEAN_DECAY)
        if truncation is not None:
            w = self.w_mean + truncation[:, None] * (w - self.w_mean)
        by_level = self._by_level(w)
        x = self.constant.expand(w.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = self.first(x, by_level[0])
        images = self.first_image(x, by_level[0])
        for level, (up, same, image) in enumerate(zip(self.up, self.same, self.images, strict=True), 1):
            x = same(up(x, by_level[level]), by_level[level])
            upsampled = F.interpolate(images, scale_factor=2.0, mode="bilinear", align_corners=False)
            images = upsampled + image(x, by_level[level])
        return torch.tanh(images)

    def map(self, latents: Tensor) -> Tensor:
        """Latents z -> latents w, float [n, latent_size] both."""
        w = latent_norm(latents)
        for layer in self.mapping:
            w = GAIN * F.leaky_relu(layer(w), SLOPE)
        return w

    def _by_level(self, w: Tensor) -> list[Tensor]:
        """The w of each resolution. In training, some images take that of the next image from some resolution on."""
        levels = len(self.up) + 1
        if not (self.training and self.mixing):
            return [w] * levels
        # Draws of the CPU, which the trainer seeds in each step.
        mixes = torch.rand(len(w)) < self.mixing
        first = torch.where(mixes, torch.randint(1, levels, (len(w),)), levels).to(w.device)[:, None]
        return [torch.where(first <= level, w.roll(1, 0), w) for level in range(levels)]


class ModulatedConv(nn.Module):
    """A 3x3 convolution with demodulation, a bias and leaky ReLU.

    Args:
        inputs: channels.
        outputs: channels.
        latent_size: of w.
        upsample: by 2, nearest neighbour, before the convolution; see `dcgan_nearest.UpsampledConv`.
    """

    def __init__(self, inputs: int, outputs: int, latent_size: int, *, upsample: bool = False) -> None:
        super().__init__()
        self.upsample, self.scale = upsample, 1 / (9 * inputs) ** 0.5
        self.modulation = EqualLinear(latent_size, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        """Float [n, inputs, h, w] and w float [n, latent_size] -> float [n, outputs, h, w], or twice the sides."""
        weight, scales = self.weight * self.scale, self.modulation(w)
        sizes = torch.rsqrt(F.linear(scales.float().square(), weight.float().square().sum(dim=(2, 3))) + 1e-8)
        x = features * scales[:, :, None, None]
        if self.upsample:
            x = F.conv_transpose2d(x, 4 * spread(weight.flip(2, 3).transpose(0, 1)), stride=2, padding=1)
        else:
            x = F.conv2d(x, weight, padding=1)
        x = x * sizes.to(x)[:, :, None, None] + self.bias[:, None, None]
        return GAIN * F.leaky_relu(x, SLOPE)


class ImageLayer(nn.Module):
    """Features -> image of the same resolution: a modulated 1x1 convolution without demodulation."""

    def __init__(self, inputs: int, channels: int, latent_size: int) -> None:
        super().__init__()
        self.scale = 1 / inputs**0.5
        self.modulation = EqualLinear(latent_size, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        """Float [n, inputs, h, w] and w float [n, latent_size] -> float [n, channels, h, w]."""
        scaled = features * (self.scale * self.modulation(w))[:, :, None, None]
        return F.conv2d(scaled, self.weight, self.bias)


class Discriminator(dcgan_residual.Discriminator):
    """Images -> logits; arguments as in `dcgan.Discriminator`."""

    def __init__(self, image_size: int, channels: int, outputs: int, options: DiscriminatorOptions) -> None:
        super().__init__(image_size, channels, outputs, options)
        if options.minibatch_stddev:
            *rest, last = self.layers
            assert isinstance(last, nn.Conv2d)  # noqa: S101  it judges the smallest features
            wider = nn.Conv2d(last.in_channels + 1, outputs, last.kernel_size[0])
            nn.init.normal_(wider.weight, 0.0, 0.02)
            self.layers = nn.Sequential(*rest, MinibatchDeviation(), wider)


STYLE = GanArchitecture(Generator, GeneratorOptions, Discriminator, DiscriminatorOptions, truncates=True)
