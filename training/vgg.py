"""VGG-16 features, the measure of content and style: Simonyan and Zisserman 2015, trained on ImageNet.

The network is torchvision's. Its weights are `VGG16_Weights.IMAGENET1K_FEATURES`, from the original Caffe model, whose input is
0..255 minus the channel means. torchvision downloads them, or they are read from a local file.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Self

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.devices import Precision
from training.errors import WeightsError, first_line
from training.torchvision_models import VGG16_Weights, vgg16

LAYERS = {
    "relu1_1": 1, "relu1_2": 3,
    "relu2_1": 6, "relu2_2": 8,
    "relu3_1": 11, "relu3_2": 13, "relu3_3": 15,
    "relu4_1": 18, "relu4_2": 20, "relu4_3": 22,
    "relu5_1": 25, "relu5_2": 27, "relu5_3": 29,
}  # fmt: skip
"""Layer name -> index in torchvision's `features`."""

_CHANNEL_MEANS = (123.68, 116.779, 103.939)  # of ImageNet, RGB


class VggFeatures(nn.Module):
    """Frozen VGG-16 up to the deepest of the chosen layers.

    Args:
        layers: names from `LAYERS`.
        weights: a .safetensors or .pth file with `features.N.weight` and `features.N.bias`. None lets torchvision find the
            weights in its cache or download them.
        option: the command-line option that names this file, for messages.

    Raises:
        WeightsError: the weights are missing or do not fit.
    """

    means: Tensor

    def __init__(self, layers: tuple[str, ...], weights: Path | None = None, option: str = "--vgg") -> None:
        super().__init__()
        self._names = {LAYERS[name]: name for name in layers}
        with torch.device("meta"):  # no initial weights: they are replaced at once
            network = vgg16().features[: max(self._names) + 1]
        _load(network, weights, option)
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.register_buffer("means", torch.tensor(_CHANNEL_MEANS).reshape(1, 3, 1, 1))

    def in_precision(self, precision: Precision) -> Self:
        """Compute features in this precision from now on. The channel means stay float32."""
        self.network.to(getattr(torch, precision))
        return self

    def forward(
        self, images: Tensor, layers: Collection[str] | None = None, *, repeat_edges: bool = False
    ) -> dict[str, Tensor]:
        """Compute features of images.

        Args:
            images: float [n, 3, h, w] RGB in 0..255.
            layers: some of the chosen layers; None: all. The network runs only up to the deepest of them.
            repeat_edges: surround every layer's input with its own edge. VGG-16 was trained with a surround of 0, which is grey
                in the first layer. So an image whose features shall resemble those of other images gets grey margins.

        Returns:
            Layer name -> float [n, c, h', w'] in the network's precision, the shallowest first.
        """
        wanted = {index: name for index, name in self._names.items() if layers is None or name in layers}
        features: dict[str, Tensor] = {}
        x = (images - self.means).to(self.network[0].weight.dtype)
        for index, module in enumerate(self.network[: max(wanted) + 1]):
            if repeat_edges and isinstance(module, nn.Conv2d):
                x = F.conv2d(F.pad(x, [1] * 4, mode="replicate"), module.weight, module.bias)
            else:
                x = module(x)
            if index in wanted:
                features[wanted[index]] = x
        return features


def _load(network: nn.Module, path: Path | None, option: str) -> None:
    if path is None:
        try:
            state: dict[str, object] = VGG16_Weights.IMAGENET1K_FEATURES.get_state_dict(progress=True, check_hash=True)
        except (OSError, RuntimeError) as error:  # no network, or a broken download
            raise WeightsError(
                f"torchvision could not download the VGG-16 weights ({error}). Download "
                f"{VGG16_Weights.IMAGENET1K_FEATURES.url} on another machine and name the file with {option} FILE."
            ) from error
    else:
        state = _read(path, option)
    wanted = network.state_dict()
    named = {name: state.get(f"features.{name}") for name in wanted}
    found = {name: value.float() for name, value in named.items() if isinstance(value, Tensor)}
    if missing := [name for name in wanted if name not in found or found[name].shape != wanted[name].shape]:
        raise WeightsError(
            f"{path} is not VGG-16: features.{missing[0]} is missing or has another shape. The file needs the thirteen "
            "convolutions with torchvision's names, features.0.weight to features.28.bias."
        )
    network.load_state_dict(found, assign=True)


def _read(path: Path, option: str) -> dict[str, object]:
    if not path.is_file():
        raise WeightsError(f"{path} is not a file. {option} takes a .safetensors or .pth file of VGG-16 weights.")
    try:
        if path.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path} cannot be read as weights: {first_line(error)}.") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds no named weights. {option} takes a .safetensors or .pth file of VGG-16 weights.")
    return state
