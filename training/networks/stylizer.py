"""The style network: one feed-forward pass paints a picture in any of several styles, or a blend of them.

Johnson, Alahi and Fei-Fei 2016 (down, residual blocks, up), Dumoulin, Shlens and Kudlur 2017, "A Learned Representation for
Artistic Style" (conditional instance normalisation; mirror padding and nearest-neighbour upsampling before a convolution,
against border and checkerboard patterns). Half of Johnson's width keeps the quality once instances are normalised.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE_MULTIPLE = 4
"""Height and width must be multiples of this: two halvings."""

MIN_SIDE = 16
"""The smallest side in pixels; mirror padding needs more than it mirrors."""


class ConditionalInstanceNorm(nn.Module):
    """Instance normalisation whose scale and bias are blended from one row a style."""

    def __init__(self, features: int, styles: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(styles, features))
        self.bias = nn.Parameter(torch.zeros(styles, features))

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """Float [n, c, h, w] and style weights float [n, k] -> float [n, c, h, w]."""
        normal = F.instance_norm(x.float())  # float32: a sum over all positions overflows half precision
        return normal * (styles @ self.scale)[:, :, None, None] + (styles @ self.bias)[:, :, None, None]


class MirrorConv(nn.Module):
    """A convolution behind mirror padding, which leaves no border in the picture."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.padding = [kernel // 2] * 4
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Float [n, inputs, h, w] -> float [n, outputs, h / stride, w / stride]."""
        y: Tensor = self.conv(F.pad(x, self.padding, mode="reflect"))
        return y


class ConvNorm(nn.Module):
    """Convolution, conditional instance normalisation and, unless told not to, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, styles: int, stride: int = 1, *, relu: bool = True) -> None:
        super().__init__()
        self.conv = MirrorConv(inputs, outputs, kernel, stride)
        self.norm = ConditionalInstanceNorm(outputs, styles)
        self.relu = relu

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """Float [n, inputs, h, w] and style weights [n, k] -> float [n, outputs, h / stride, w / stride]."""
        y: Tensor = self.norm(self.conv(x), styles)
        return F.relu(y) if self.relu else y


class Residual(nn.Module):
    """Two 3x3 convolutions beside a straight way through."""

    def __init__(self, features: int, styles: int) -> None:
        super().__init__()
        self.first = ConvNorm(features, features, 3, styles)
        self.second = ConvNorm(features, features, 3, styles, relu=False)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """Float [n, c, h, w] and style weights [n, k] -> float [n, c, h, w]."""
        y: Tensor = x + self.second(self.first(x, styles), styles)
        return y


class Stylizer(nn.Module):
    """The whole network.

    Args:
        styles: how many styles, k.
        width: channels of the first layer (Johnson: 32).
        residual_blocks: how many at a quarter of the resolution (Johnson: 5).
    """

    def __init__(self, styles: int, width: int = 16, residual_blocks: int = 5) -> None:
        super().__init__()
        self.styles = styles
        self.down = nn.ModuleList(
            [
                ConvNorm(3, width, 9, styles),
                ConvNorm(width, width * 2, 3, styles, stride=2),
                ConvNorm(width * 2, width * 4, 3, styles, stride=2),
            ]
        )
        self.residuals = nn.ModuleList(Residual(width * 4, styles) for _ in range(residual_blocks))
        self.up = nn.ModuleList(
            [ConvNorm(width * 4, width * 2, 3, styles), ConvNorm(width * 2, width, 3, styles)],
        )
        self.last = MirrorConv(width, 3, 9)

    def forward(self, images: Tensor, styles: Tensor) -> Tensor:
        """Paint.

        Args:
            images: float [n, 3, h, w] RGB in 0..255; h and w multiples of `SIZE_MULTIPLE`.
            styles: float [n, k]; each row weighs the k styles and sums to 1.

        Returns:
            float [n, 3, h, w] RGB in about 0..255; not clamped, so that the gradient of what lies beyond is not lost.
        """
        x = images / 127.5 - 1
        for layer in self.down:
            x = layer(x, styles)
        for block in self.residuals:
            x = block(x, styles)
        for layer in self.up:
            x = layer(F.interpolate(x, scale_factor=2, mode="nearest"), styles)
        # Linear, where Johnson has a scaled tanh: what once saturates stays black, for want of a gradient.
        return 127.5 + 127.5 * self.last(x).float()
