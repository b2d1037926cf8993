"""The features that pictures are compared in: a distance between features says more than one between pictures.

inception   Szegedy et al. 2016, as Heusel et al. 2017 took it for the Frechet inception distance that papers report
vgg         Simonyan and Zisserman 2015, the network that style training measures with
pixels      the pictures themselves, shrunk: coarse, but needs no weights

features = extract(build_features("inception", weights=None), pictures, device=device)
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.config import Features
from training.errors import ConfigError, WeightsError, first_line
from training.vgg import VggFeatures

# isort: split
# After training.torchvision_models, through which torchvision can be imported everywhere: torchmetrics imports it as well.
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torchmetrics.image.fid import NoTrainInceptionV3


class FeatureNetwork(nn.Module):
    """What all of them are: pictures, uint8 [n, c, h, w] with c 1 (grey) or 3 (RGB) -> features, float32 [n, d].

    Attributes:
        name: what it is, in the card's words.
    """

    name: str


class InceptionFeatures(FeatureNetwork):
    """The last pooling of Inception v3, d = 2048, with the weights of the original TensorFlow graph.

    Args:
        weights: torch-fidelity's .pth file of them; None lets it find them in torch's cache or download them.

    Raises:
        WeightsError: the weights cannot be had or do not fit.
    """

    name = "Inception v3 pool, 2048"

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        try:
            if weights is not None:  # torch-fidelity would run whatever code a file holds: let torch refuse it first
                torch.load(weights, map_location="cpu", weights_only=True)
            self.network = NoTrainInceptionV3("inception-v3-compat", ["2048"], None if weights is None else str(weights))
        except Exception as error:
            trouble = (
                f"torch-fidelity could not load the Inception v3 weights ({first_line(error)})."
                if weights is None
                else f"{weights} cannot be read as Inception v3 weights: {first_line(error)}."
            )
            raise WeightsError(
                f"{trouble} Download {URL_INCEPTION_V3} on a machine that can and name the file with --weights FILE."
            ) from error

    def forward(self, pictures: Tensor) -> Tensor:
        """Uint8 [n, c, h, w] -> float32 [n, 2048]."""
        return self.network(_rgb(pictures))


class VggMeans(FeatureNetwork):
    """The means over all positions of a deep layer of VGG-16, d = 512. Arguments and errors as `VggFeatures`."""

    name = "VGG-16 relu4_3, mean over positions"

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        self.network = VggFeatures(("relu4_3",), weights, option="--weights")

    def forward(self, pictures: Tensor) -> Tensor:
        """Uint8 [n, c, h, w], h and w at least 8 -> float32 [n, 512]."""
        return self.network(_rgb(pictures).float())["relu4_3"].mean(dim=(2, 3))


class Pixels(FeatureNetwork):
    """The grey levels of the picture, shrunk to 16 x 16 by averaging: d = 256 c.

    Raises:
        ConfigError: weights are named, and there is nothing to load them into.
    """

    name = "pixels at 16 x 16"

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        if weights is not None:
            raise ConfigError(f"Pixels have no weights: leave --weights {weights} out, or take --features inception or vgg.")

    def forward(self, pictures: Tensor) -> Tensor:
        """Uint8 [n, c, h, w] -> float32 [n, 256 c] in 0..255."""
        return F.interpolate(pictures.float(), size=(16, 16), mode="area").flatten(1)


FEATURES: dict[Features, Callable[[Path | None], FeatureNetwork]] = {
    "inception": InceptionFeatures,
    "vgg": VggMeans,
    "pixels": Pixels,
}
"""Name, as the config and the command line say it -> the network."""


def build_features(name: Features, weights: Path | None = None) -> FeatureNetwork:
    """The network of a name, frozen.

    Args:
        name: a key of `FEATURES`.
        weights: a local file of its weights; None lets its library find them in its cache or download them.

    Raises:
        WeightsError: the weights cannot be had or do not fit; says the ways out.
        ConfigError: weights are named for pixels, which have none.
    """
    try:
        return FEATURES[name](weights).eval().requires_grad_(False)
    except WeightsError as error:
        raise WeightsError(f"{error} Or take --features pixels, which needs no weights.") from error


@torch.no_grad()
def extract(
    network: FeatureNetwork, pictures: Tensor | Iterable[Tensor], batch_size: int = 100, device: torch.device | str = "cpu"
) -> Tensor:
    """The features of many pictures.

    Args:
        network: from `build_features`; moved to the device.
        pictures: uint8 [N, c, h, w], on any device; or batches of such, to be taken as they come.
        batch_size: into how large batches one tensor is split.
        device: where to compute.

    Returns:
        float32 [N, d], on the CPU.
    """
    network.to(device)
    batches = pictures.split(batch_size) if isinstance(pictures, Tensor) else pictures
    return torch.cat([network(batch.to(device)).cpu() for batch in batches])


def _rgb(pictures: Tensor) -> Tensor:
    """Grey repeated to three channels; RGB as it is."""
    return pictures.expand(-1, 3, -1, -1)
