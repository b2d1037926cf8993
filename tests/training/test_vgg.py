from pathlib import Path

import pytest
import torch

from training.errors import WeightsError
from training.vgg import VggFeatures


def test_layers_have_the_expected_sizes(vgg_weights: Path) -> None:
    features = VggFeatures(("relu3_3", "relu1_2"), vgg_weights)(torch.rand(2, 3, 32, 48) * 255)
    assert {name: tuple(f.shape) for name, f in features.items()} == {"relu1_2": (2, 64, 32, 48), "relu3_3": (2, 256, 8, 12)}
    assert all((f >= 0).all() for f in features.values())


def test_only_the_image_gets_a_gradient(vgg_weights: Path) -> None:
    vgg = VggFeatures(("relu1_2",), vgg_weights)
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    vgg(image)["relu1_2"].sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in vgg.parameters())


def test_refuses_missing_and_broken_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"is not a file\. --vgg takes"):
        VggFeatures(("relu1_2",), tmp_path / "none.pth")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        VggFeatures(("relu1_2",), broken)
    empty = tmp_path / "empty.pth"
    empty.touch()
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        VggFeatures(("relu1_2",), empty)
    for content in (torch.zeros(3), 7, {"features.0.weight": "x"}):
        torch.save(content, tmp_path / "odd.pth")
        with pytest.raises(WeightsError, match=r"holds no named weights|is not VGG-16"):
            VggFeatures(("relu1_2",), tmp_path / "odd.pth")
    other = tmp_path / "other.pth"
    torch.save({"layer1.weight": torch.zeros(3)}, other)
    with pytest.raises(WeightsError, match=r"is not VGG-16: features.0.weight is missing"):
        VggFeatures(("relu1_2",), other)


@pytest.mark.usefixtures("offline")
def test_failed_download_says_what_to_do() -> None:
    with pytest.raises(WeightsError, match=r"could not download the VGG-16 weights .* --vgg FILE"):
        VggFeatures(("relu1_2",), None)


def test_repeated_edges_leave_no_margin_in_the_features_of_a_flat_image(vgg_weights: Path) -> None:
    vgg = VggFeatures(("relu1_1", "relu2_2"), vgg_weights)
    flat = torch.full((1, 3, 24, 32), 200.0)
    for features in vgg(flat, repeat_edges=True).values():
        torch.testing.assert_close(features, features[:, :, 4:5, 4:5].expand_as(features), rtol=1e-4, atol=1e-3)
    margins = vgg(flat)["relu1_1"]
    assert not torch.allclose(margins[:, :, 0], margins[:, :, 4], rtol=1e-2)
