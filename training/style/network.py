"""The style network: one feed-forward pass paints an image in any of several styles, or in a blend of them.

A style is a vector: the scales and biases of all norms. The network has one for each painting that it was trained on. A blend
is a weighted sum of them.

Johnson, Alahi and Fei-Fei 2016 (down, residual blocks, up), Dumoulin, Shlens and Kudlur 2017, "A Learned Representation for
Artistic Style" (conditional instance normalisation; mirror padding and nearest-neighbour upsampling before a convolution,
against border and checkerboard patterns). With instance normalisation, half of Johnson's width keeps the quality.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.style.config import ARCHITECTURE, StyleConfig, Upsampling

# [place, pixel before, pixel after]: how much of the 3 pixels before upsampling is in those that a convolution sees after it,
# for the left and for the right one of the two pixels that a pixel becomes
_FOLDS: dict[Upsampling, list[list[list[float]]]] = {
    "nearest": [
        [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]],
        [[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 1]],
    ],
    "bilinear": [
        [[0.75, 0.25, 0], [0.25, 0.75, 0.75], [0, 0, 0.25]],
        [[0.25, 0, 0], [0.75, 0.75, 0.25], [0, 0.25, 0.75]],
    ],
}


class ConditionalInstanceNorm(nn.Module):
    """Instance normalisation. Its scale and bias are those of a style: it has one row of each for every style."""

    def __init__(self, features: int, styles: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(styles, features))
        self.bias = nn.Parameter(torch.zeros(styles, features))

    def vectors(self) -> Tensor:
        """Scale and bias of each style, float [k, 2 c]."""
        return torch.cat([self.scale, self.bias], dim=1)

    def forward(self, x: Tensor, vectors: Tensor) -> Tensor:
        """Float [n, c, h, w], and scale and bias of each image, float [n, 2 c] -> float [n, c, h, w]."""
        # With the batch among the channels, each row has its own scale and bias, and ONNX needs one operator.
        rows = x.float().reshape(1, -1, *x.shape[2:])  # float32, because a sum over all positions overflows half precision
        scale, bias = (half.flatten() for half in vectors.float().chunk(2, dim=1))
        return F.instance_norm(rows, weight=scale, bias=bias).reshape(x.shape)


class MirrorConv(nn.Module):
    """A convolution after mirror padding, which leaves no border in the image."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.padding = [kernel // 2] * 4
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Float [n, inputs, h, w] -> float [n, outputs, h / stride, w / stride]."""
        y: Tensor = self.conv(F.pad(x, self.padding, mode="reflect"))
        return y


class UpsampledConv(nn.Module):
    """Upsampling by 2, then a convolution, computed before the upsampling.

    A convolution after upsampling sees pixels that are weighted sums of few pixels before it. So 3x3 weights suffice for each
    of the four pixels that a pixel becomes, and the upsampled image is never made.

    Args:
        inputs: channels.
        outputs: channels.
        upsampling: `bilinear`, then a 3x3 convolution: the four pixels have nearly the same distribution, so that neither
            norm nor ReLU tells them apart. `nearest`, then a 5x5 convolution (Odena et al. 2016): their distributions differ,
            and a norm and ReLU behind it leave a lattice in smooth areas.
    """

    folds: Tensor

    def __init__(self, inputs: int, outputs: int, upsampling: Upsampling) -> None:
        super().__init__()
        folds = torch.tensor(_FOLDS[upsampling], dtype=torch.float32)
        self.conv = nn.Conv2d(inputs, outputs, folds.shape[2])  # the convolution after the upsampling
        self.register_buffer("folds", folds, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Float [n, inputs, h, w] -> float [n, outputs, 2 h, 2 w]."""
        weight = torch.einsum("pas,qbt,oist->opqiab", self.folds, self.folds, self.conv.weight).flatten(0, 2)
        assert self.conv.bias is not None  # noqa: S101  for mypy; Conv2d has a bias by default
        y = F.conv2d(F.pad(x, [1] * 4, mode="reflect"), weight, self.conv.bias.repeat_interleave(4))
        return F.pixel_shuffle(y, 2)


class SeparableConv(nn.Module):
    """A convolution within each channel, then one across channels: Howard et al. 2017, "MobileNets"."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.padding = [kernel // 2] * 4
        self.depthwise = nn.Conv2d(inputs, inputs, kernel, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Float [n, inputs, h, w] -> float [n, outputs, h, w]."""
        y: Tensor = self.pointwise(self.depthwise(F.pad(x, self.padding, mode="reflect")))
        return y


class ConvNorm(nn.Module):
    """Convolution, conditional instance normalisation and, by default, ReLU."""

    def __init__(self, conv: nn.Module, outputs: int, styles: int, *, relu: bool = True) -> None:
        super().__init__()
        self.conv = conv
        self.norm = ConditionalInstanceNorm(outputs, styles)
        self.relu = relu

    def forward(self, x: Tensor, vectors: Tensor) -> Tensor:
        """Float [n, inputs, h, w] and the norm's part of the style vectors -> float [n, outputs, h / stride, w / stride]."""
        y: Tensor = self.norm(self.conv(x), vectors)
        return F.relu(y) if self.relu else y


class Residual(nn.Module):
    """Two 3x3 convolutions with a skip connection."""

    def __init__(self, features: int, styles: int, *, separable: bool) -> None:
        super().__init__()
        conv = SeparableConv if separable else MirrorConv
        self.first = ConvNorm(conv(features, features, 3), features, styles)
        self.second = ConvNorm(conv(features, features, 3), features, styles, relu=False)

    def forward(self, x: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Float [n, c, h, w] and both norms' parts of the style vectors -> float [n, c, h, w]."""
        y: Tensor = x + self.second(self.first(x, first), second)
        return y


class Stylizer(nn.Module):
    """Down, residual blocks, up, and a last convolution.

    Args:
        styles: number of styles, k.
        width: channels of the first layer (Johnson: 32), doubled at each halving of the resolution.
        residual_blocks: number of blocks at the lowest resolution (Johnson: 5).
        halvings: of the resolution after the first layer, before the residual blocks (Johnson: 2).
        kernel: side of the first convolution and, if `stride` is 1, of the last (Johnson: 9).
        stride: of the first convolution (Johnson: 1). With 2, nothing is normalised at the full resolution, where layers are
            the most expensive.
        separable: depthwise-separable convolutions in the residual blocks.
        upsampling: of all layers but the last; see `UpsampledConv`.

    Attributes:
        style_size: length of a style vector, m.
        size_multiple: height and width must be multiples of this number.
        min_side: the smallest height and width in pixels; mirror padding needs more pixels than it mirrors.
    """

    def __init__(
        self,
        styles: int,
        width: int = 16,
        residual_blocks: int = 5,
        halvings: int = 2,
        kernel: int = 9,
        stride: int = 1,
        *,
        separable: bool = False,
        upsampling: Upsampling = "bilinear",
    ) -> None:
        super().__init__()
        self.styles = styles
        self.size_multiple = stride * 2**halvings
        self.min_side = max(16, 2 * self.size_multiple)
        widths = [width * 2**level for level in range(halvings + 1)]
        self.down = nn.ModuleList([ConvNorm(MirrorConv(3, width, kernel, stride), width, styles)])
        self.down.extend(ConvNorm(MirrorConv(wide, 2 * wide, 3, 2), 2 * wide, styles) for wide in widths[:-1])
        self.residuals = nn.ModuleList(Residual(widths[-1], styles, separable=separable) for _ in range(residual_blocks))
        self.up = nn.ModuleList(
            ConvNorm(UpsampledConv(2 * wide, wide, upsampling), wide, styles) for wide in reversed(widths[:-1])
        )
        # Nothing tells the four pixels of the last upsampling apart, so it may have the wider kernel, which draws finer lines.
        self.last = MirrorConv(width, 3, kernel) if stride == 1 else UpsampledConv(width, 3, "nearest")
        self._norms = [module for module in self.modules() if isinstance(module, ConditionalInstanceNorm)]
        self._parts = [2 * norm.scale.shape[1] for norm in self._norms]
        self.style_size = sum(self._parts)

    def vectors(self) -> Tensor:
        """The vectors of the network's own styles, float [k, m]."""
        return torch.cat([norm.vectors() for norm in self._norms], dim=1)

    def forward(self, images: Tensor, styles: Tensor) -> Tensor:
        """Paint in the network's own styles.

        Args:
            images: float [n, 3, h, w] RGB in 0..255; h and w multiples of `size_multiple`, at least `min_side`.
            styles: float [n, k]; each row weighs the k styles and sums to 1.

        Returns:
            float [n, 3, h, w] RGB in about 0..255; not clamped, so that values outside keep their gradient.
        """
        # A matrix product would be in bfloat16 under autocast.
        return self.paint(images, (styles[:, :, None] * self.vectors()).sum(dim=1))

    def paint(self, images: Tensor, vectors: Tensor) -> Tensor:
        """Paint in any styles: as `forward`, with the style vector of each image, float [n, m]."""
        x, parts = images / 127.5 - 1, iter(vectors.split(self._parts, dim=1))
        for layer in self.down:
            x = layer(x, next(parts))
        for block in self.residuals:
            x = block(x, next(parts), next(parts))
        for layer in self.up:
            x = layer(x, next(parts))
        # Linear instead of Johnson's scaled tanh: a saturated pixel would have no gradient and stay black.
        return 127.5 + 127.5 * self.last(x).float()


def build_stylizer(config: StyleConfig, styles: int) -> Stylizer:
    """An untrained network."""
    return Stylizer(styles, **{name: getattr(config, name) for name in ARCHITECTURE})


def stylizer_from(config: StyleConfig, styles: Sequence[str], state: Mapping[str, Tensor], known: Sequence[str]) -> Stylizer:
    """A network that begins with the weights of a trained one. A new style begins as the mean of the trained styles.

    Dumoulin et al. 2017.

    Args:
        config: has the same `ARCHITECTURE` values as the trained network's.
        styles: names of the new network's rows.
        state: weights of the trained network.
        known: names of the trained network's rows.
    """
    network = build_stylizer(config, len(styles))
    with torch.no_grad():
        for name, value in network.state_dict().items():
            old = state[name]
            if is_style_parameter(name):
                old = torch.stack([old[known.index(style)] if style in known else old.mean(dim=0) for style in styles])
            value.copy_(old)
    return network


def is_style_parameter(name: str) -> bool:
    """Whether a parameter has a row for each style."""
    return ".norm." in name
