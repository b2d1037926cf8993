"""The networks that metrics are measured in, with random weights."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.errors import ConfigError, WeightsError
from training.metrics.features import FEATURES, build_features, extract

# isort: split
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


class _Untrained(FeatureExtractorInceptionV3):
    """Inception v3 before its weights are loaded."""

    def load_state_dict(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local file of Inception v3 with random weights."""
    folder = tmp_path_factory.mktemp("inception")
    torch.save({}, folder / "none.pth")
    torch.manual_seed(0)
    state = _Untrained("inception-v3-compat", ["2048"], str(folder / "none.pth")).state_dict()
    torch.save({name: value.half() for name, value in state.items()}, folder / "inception.pth")
    return folder / "inception.pth"


def images(count: int, channels: int = 3, size: int = 32) -> Tensor:
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_inception_features_of_grey_equal_those_of_rgb(inception_weights: Path) -> None:
    network = build_features("inception", inception_weights)
    assert network.name == "Inception v3 pool, 2048"
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    grey = images(2, channels=1)
    features = extract(network, grey)
    assert (features.shape, features.dtype) == ((2, 2048), torch.float32)
    assert not torch.equal(features[0], features[1])
    assert torch.equal(extract(network, grey[:1].repeat(1, 3, 1, 1)), extract(network, grey[:1]))


def test_vgg_features_of_grey_equal_those_of_rgb(vgg_weights: Path) -> None:
    network = build_features("vgg", vgg_weights)
    assert network.name == "VGG-16 relu4_3, mean over positions"
    assert not any(parameter.requires_grad for parameter in network.parameters())
    grey = images(2, channels=1)
    features = extract(network, grey)
    assert (features.shape, features.dtype) == ((2, 512), torch.float32)
    assert (features >= 0).all()
    assert torch.equal(extract(network, grey.repeat(1, 3, 1, 1)), features)


def test_pixels_are_averaged_over_areas() -> None:
    network = build_features("pixels")
    assert network.name == "pixels at 16 x 16"
    image = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    image[0, 0, :2, :2] = torch.tensor([[10, 20], [30, 40]])  # becomes the first of 16 x 16
    image[0, 0, 31, 31] = 200  # a quarter of the last
    features = extract(network, image)[0]
    assert features.shape == (256,)
    assert (features[0].item(), features[-1].item(), features.sum().item()) == (25, 50, 75)
    assert extract(network, images(2)).shape == (2, 3 * 256)


def test_extract_takes_one_tensor_or_batches() -> None:
    network, many = build_features("pixels"), images(7)

    def batches() -> Iterator[Tensor]:
        yield many[:4]
        yield many[4:]

    whole = network(many)
    assert torch.equal(extract(network, many, batch_size=3), whole)
    assert torch.equal(extract(network, batches()), whole)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["inception", "vgg"])
def test_failed_download_says_what_to_do(name: str) -> None:
    with pytest.raises(WeightsError, match=r"Download https://.* --weights FILE\. Or choose --features pixels"):
        build_features("inception" if name == "inception" else "vgg")


@pytest.mark.parametrize("name", ["inception", "vgg"])
def test_refuses_files_without_weights(name: str, tmp_path: Path) -> None:
    torch.save({"layer1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    for file in ("none.pth", "broken.pth", "other.pth"):
        with pytest.raises(WeightsError, match=rf"{file} (cannot be read|is not).* Or choose --features pixels"):
            build_features("inception" if name == "inception" else "vgg", tmp_path / file)


class _Bomb:
    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._target,)


def test_code_in_a_weights_file_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "bomb.pth").write_bytes(pickle.dumps(_Bomb(tmp_path / "ran")))
    with pytest.raises(WeightsError, match=r"bomb.pth cannot be read"):
        build_features("inception", tmp_path / "bomb.pth")
    assert not (tmp_path / "ran").exists()


def test_pixels_refuse_weights(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Pixels have no weights"):
        build_features("pixels", tmp_path / "vgg.pth")
    assert list(FEATURES) == ["inception", "vgg", "pixels"]


def test_transparency_is_seen_on_grey_and_hidden_colours_are_not_seen(vgg_weights: Path) -> None:
    network = build_features("vgg", vgg_weights)
    clear = images(2, channels=4)
    clear[:, 3] = 0
    assert torch.equal(extract(network, clear), extract(network, torch.full((2, 1, 32, 32), 128, dtype=torch.uint8)))
    opaque = images(2, channels=4)
    opaque[:, 3] = 255
    assert torch.equal(extract(network, opaque), extract(network, opaque[:, :3]))


def test_pixels_compare_alpha_and_no_hidden_colours() -> None:
    network = build_features("pixels")
    clear = images(2, channels=4)
    clear[:, 3] = 0
    assert (extract(network, clear) == 0).all()
    opaque = torch.zeros(1, 4, 32, 32, dtype=torch.uint8)
    opaque[:, 3] = 255
    assert extract(network, opaque).reshape(4, 256).mean(dim=1).tolist() == [0, 0, 0, 255]
