"""The configs of style transfer: the training of a network, and the painting of one image by optimisation."""

from typing import Literal

from pydantic import Field

from training.config import Config, Layer, Positive, Rate, RunConfig, Weight

Start = Literal["content", "noise"]  # of a painting: the photo, or noise


class PaintingConfig(Config):
    """What painting is asked to do: the objective that the slow optimisation and the fast network share."""

    style_size: int = Field(default=384, ge=64, le=2048)  # shorter side of a painting in pixels
    content_layers: tuple[Layer, ...] = Field(default=("relu3_3",), min_length=1)
    style_layers: tuple[Layer, ...] = Field(default=("relu1_2", "relu2_2", "relu3_3", "relu4_3"), min_length=1)
    content_weight: Weight = 1.0
    style_weight: Weight = 5.0
    variation_weight: Weight = 1.0


class StyleConfig(PaintingConfig, RunConfig):
    """How to train a style network. After Johnson et al. 2016, at half their width."""

    width: int = Field(default=16, ge=4, le=128)
    residual_blocks: int = Field(default=5, ge=0, le=20)
    halvings: int = Field(default=2, ge=1, le=3)  # of the resolution, after the first layer and before the residual blocks
    kernel: Literal[3, 5, 7, 9] = 9  # side of the first convolution, and of the last where stride is 1
    stride: Literal[1, 2] = 1  # of the first convolution; 2: nothing is normalised at the full resolution
    separable: bool = False  # depthwise-separable convolutions in the residual blocks
    steps: Positive = 20_000
    batch_size: int = Field(default=4, ge=1, le=256)
    crop_size: int = Field(default=256, ge=64, le=1024, multiple_of=8)  # pixels
    optimizer: Literal["adam", "muon"] = "adam"  # muon: of the convolutions, all but the last
    learning_rate: Rate = 1e-3
    style_rate: float = Field(default=10.0, gt=0, le=100)  # of what belongs to a style, times learning_rate
    decay_from: float = Field(default=0.7, ge=0, le=1)  # fraction of the steps from which the rate falls to 0


ARCHITECTURE = ("width", "residual_blocks", "halvings", "kernel", "stride", "separable")
"""What of a `StyleConfig` makes the network: a trained one cannot have other values."""


class PaintConfig(PaintingConfig):
    """How to paint one picture by optimisation: Gatys, Ecker and Bethge 2016."""

    size: int = Field(default=512, ge=64, le=4096)  # longer side of the picture in pixels
    scales: int = Field(default=1, ge=1, le=5)  # sizes painted at, each twice the one before, the last one `size`
    start: Start = "content"
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    learning_rate: float = Field(default=5.0, gt=0, le=100)  # adam's, in grey levels
    iterations: int = Field(default=100, ge=1, le=100_000)  # at each scale
    sample_every: int = Field(default=0, ge=0)  # iterations between intermediate pictures; 0: none
