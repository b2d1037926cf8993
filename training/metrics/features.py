"""The features that images are compared in. A distance between features says more than a distance between pixels.

inception   Szegedy et al. 2016; papers report the Frechet inception distance of Heusel et al. 2017 in these features
vgg         Simonyan and Zisserman 2015, which also measures style
pixels      the shrunk images themselves: coarse, but needs no weights

features = extract(build_features("inception", weights=None), images, device=device)

Inception and VGG-16 know no transparency. They see images with four channels on mid-grey, which hides neither white nor black
outlines. Pixels compare colours multiplied by alpha, and alpha.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.config import Features
from training.errors import ConfigError, WeightsError, first_line
from training.images import ALPHA, from_uint8
from training.vgg import VggFeatures

_BACKGROUND = 128  # grey level behind transparency


class FeatureNetwork(nn.Module):
    """Base class: images, uint8 [n, c, h, w] with c 1 (grey), 3 (RGB) or 4 (RGB and alpha) -> features, float32 [n, d].

    Attributes:
        name: as the card states it.
    """

    name: str


class InceptionFeatures(FeatureNetwork):
    """The last pooling of Inception v3, d = 2048, with the weights of the original TensorFlow graph.

    Args:
        weights: torch-fidelity's .pth file. None lets torch-fidelity find it in torch's cache or download it.

    Raises:
        WeightsError: the weights are missing or do not fit.
    """

    name = "Inception v3 pool, 2048"

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        # Only here: the import takes a second. It needs torchvision, which training.vgg has made importable everywhere.
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
        from torchmetrics.image.fid import NoTrainInceptionV3

        try:
            if weights is not None:  # torch-fidelity would run code in the file; torch refuses such a file first
                torch.load(weights, map_location="cpu", weights_only=True)
            self.network = NoTrainInceptionV3("inception-v3-compat", ["2048"], None if weights is None else str(weights))
        except Exception as error:
            trouble = (
                f"torch-fidelity could not load the Inception v3 weights ({first_line(error)})."
                if weights is None
                else f"{weights} cannot be read as Inception v3 weights: {first_line(error)}."
            )
            raise WeightsError(
                f"{trouble} Download {URL_INCEPTION_V3} on another machine and name the file with --weights FILE."
            ) from error

    def forward(self, images: Tensor) -> Tensor:
        """Uint8 [n, c, h, w] -> float32 [n, 2048]."""
        return self.network(_rgb(images))


class VggMeans(FeatureNetwork):
    """The means over all positions of a deep layer of VGG-16, d = 512. Arguments and errors are those of `VggFeatures`."""

    name = "VGG-16 relu4_3, mean over positions"

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        self.network = VggFeatures(("relu4_3",), weights, option="--weights")

    def forward(self, images: Tensor) -> Tensor:
        """Uint8 [n, c, h, w], h and w at least 8 -> float32 [n, 512]."""
        return self.network(_rgb(images).float())["relu4_3"].mean(dim=(2, 3))


class Pixels(FeatureNetwork):
    """The pixels of the image, averaged to 16 x 16: d = 256 c.

    Raises:
        ConfigError: a file of weights is named.
    """

    name = "pixels at 16 x 16"

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        if weights is not None:
            raise ConfigError(f"Pixels have no weights. Leave --weights {weights} out, or choose --features inception or vgg.")

    def forward(self, images: Tensor) -> Tensor:
        """Uint8 [n, c, h, w] -> float32 [n, 256 c] in 0..255."""
        levels = from_uint8(images) * 127.5 + 127.5 if images.shape[1] == ALPHA + 1 else images.float()
        return F.interpolate(levels, size=(16, 16), mode="area").flatten(1)


FEATURES: dict[Features, Callable[[Path | None], FeatureNetwork]] = {
    "inception": InceptionFeatures,
    "vgg": VggMeans,
    "pixels": Pixels,
}
"""Name in configs and on the command line -> the network."""


def build_features(name: Features, weights: Path | None = None) -> FeatureNetwork:
    """Build a network, frozen.

    Args:
        name: a key of `FEATURES`.
        weights: a local file. None lets the network's library find the weights in its cache or download them.

    Raises:
        WeightsError: the weights are missing or do not fit.
        ConfigError: weights are named for pixels.
    """
    try:
        return FEATURES[name](weights).eval().requires_grad_(False)
    except WeightsError as error:
        raise WeightsError(f"{error} Or choose --features pixels, which needs no weights.") from error


@torch.no_grad()
def extract(
    network: FeatureNetwork, images: Tensor | Iterable[Tensor], batch_size: int = 100, device: torch.device | str = "cpu"
) -> Tensor:
    """Compute the features of many images.

    Args:
        network: from `build_features`; moved to the device.
        images: uint8 [N, c, h, w] on any device, or batches of them.
        batch_size: of the batches that one tensor is split into.
        device: where to compute.

    Returns:
        float32 [N, d], on the CPU.
    """
    network.to(device)
    batches = images.split(batch_size) if isinstance(images, Tensor) else images
    return torch.cat([network(batch.to(device)).cpu() for batch in batches])


def _rgb(images: Tensor) -> Tensor:
    """Repeat grey to three channels, and lay transparency on grey; RGB does not change."""
    if images.shape[1] == ALPHA + 1:
        alpha = images[:, ALPHA:].float() / 255
        return (images[:, :ALPHA] * alpha + _BACKGROUND * (1 - alpha)).round().to(torch.uint8)
    return images.expand(-1, 3, -1, -1)
