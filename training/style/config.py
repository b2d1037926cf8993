"""The configs of style transfer: the training of a network, and the painting of one image by optimisation."""

from typing import Annotated, Literal

from pydantic import Field

from training.config import Config, Layer, Positive, Rate, RunConfig, Weight
from training.progress import Progress

Start = Literal["content", "noise"]  # where painting by optimisation starts: at the photo or at noise

Upsampling = Literal["bilinear", "nearest"]


class PaintingConfig(Config):
    """The objective, which painting by optimisation and the network share."""

    objective: Literal["relative", "absolute"] = "relative"
    """`relative`: errors are divided by the mean square of what they are measured from, so that every layer counts the same.
    `absolute`: squared differences, as in the papers; deep layers, which see strokes, then count next to nothing."""
    style_size: int = Field(default=512, ge=64, le=2048)  # shorter side of a painting in pixels
    content_layers: tuple[Layer, ...] = Field(default=("relu4_2",), min_length=1)
    style_layers: tuple[Layer, ...] = Field(default=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), min_length=1)
    style_scales: tuple[Annotated[int, Field(ge=1, le=4)], ...] = Field(default=(1, 2), min_length=1)
    """How many times images and paintings are shrunk before their style is compared. With 2 beside 1, strokes are also
    compared that are twice as broad; they win in skies, where the photo asks for nothing."""
    content_weight: Weight = 1.0
    style_weight: Weight = 2.5
    variation_weight: Weight = 0.0


class StyleConfig(PaintingConfig, RunConfig):
    """How to train a style network. After Johnson et al. 2016, at half their width."""

    width: int = Field(default=16, ge=4, le=128)
    residual_blocks: int = Field(default=5, ge=0, le=20)
    halvings: int = Field(default=2, ge=1, le=3)  # of the resolution, between the first layer and the residual blocks
    kernel: Literal[3, 5, 7, 9] = 9  # side of the first convolution and, if stride is 1, of the last
    stride: Literal[1, 2] = 1  # of the first convolution; with 2, nothing is normalised at the full resolution
    separable: bool = False  # depthwise-separable convolutions in the residual blocks
    upsampling: Upsampling = "bilinear"  # before a convolution; nearest leaves a lattice in smooth areas
    lattice_weight: Weight = 1.0  # of patterns that repeat every 8 pixels
    consistency_weight: Weight = 1.0  # of the difference after a small shift, noise, JPEG and a change of brightness
    sky_share: float = Field(default=0.2, ge=0, le=1)  # of the crops that smooth skies replace
    steps: Positive = 20_000
    batch_size: int = Field(default=4, ge=1, le=256)
    crop_size: int = Field(default=256, ge=64, le=1024, multiple_of=8)  # pixels
    optimizer: Literal["adam", "muon"] = "adam"  # muon moves all convolutions but the last
    learning_rate: Rate = 1e-3
    style_rate: float = Field(
        default=10.0, gt=0, le=100
    )  # learning rate of the scales and biases of styles, as a multiple of learning_rate
    decay_from: float = Field(default=0.7, ge=0, le=1)  # fraction of the run after which the rate falls to 0

    def progress(self, step: int) -> Progress:
        """The progress of the run at a step; the first is 1."""
        return Progress(step, self.steps, self.batch_size)


ARCHITECTURE = ("width", "residual_blocks", "halvings", "kernel", "stride", "separable", "upsampling")
"""The values that define the network. They cannot change for a trained network."""


class PaintConfig(PaintingConfig):
    """How to paint one image by optimisation: Gatys, Ecker and Bethge 2016."""

    size: int = Field(default=512, ge=64, le=4096)  # longer side of the image in pixels
    scales: int = Field(
        default=1, ge=1, le=5
    )  # number of sizes that are painted; each is twice the previous one, and the last is `size`
    start: Start = "content"
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    learning_rate: float = Field(default=5.0, gt=0, le=100)  # of adam, in grey levels
    iterations: int = Field(default=100, ge=1, le=100_000)  # at each scale
    sample_every: int = Field(default=0, ge=0)  # iterations between intermediate images; 0: none
