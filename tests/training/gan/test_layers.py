"""The layers that several architectures share."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from training.gan.architectures.layers import EqualConv, MinibatchDeviation, latent_norm, pixel_norm


def test_convolutions_that_resample_equal_two_steps() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 5, 6, 8)
    up, down = EqualConv(5, 3, resample="up"), EqualConv(5, 3, resample="down")
    for layer in (up, down):
        torch.nn.init.normal_(layer.bias)
    upsampled = F.interpolate(features, scale_factor=2.0, mode="nearest")
    torch.testing.assert_close(up(features), F.conv2d(upsampled, up.weight * up.scale, up.bias, padding=1))
    full = F.conv2d(features, down.weight * down.scale, down.bias, padding=1)
    torch.testing.assert_close(down(features), F.avg_pool2d(full, 2))


def test_equalised_convolution_keeps_the_variance_through_leaky_relu() -> None:
    torch.manual_seed(0)
    features = torch.randn(8, 64, 32, 32)
    for _ in range(3):
        features = F.leaky_relu(EqualConv(64, 64, padding=0)(features), 0.2)
    assert features.square().mean().item() == pytest.approx(1, abs=0.2)


def test_norms_divide_by_the_root_mean_square() -> None:
    torch.manual_seed(0)
    features, latents = 7 * torch.randn(2, 5, 3, 4), 7 * torch.randn(3, 9)
    wanted = features / features.square().mean(dim=1, keepdim=True).sqrt()
    torch.testing.assert_close(pixel_norm(features), wanted)
    assert latent_norm(latents).square().mean(dim=1).tolist() == pytest.approx([1, 1, 1])


def test_equal_images_have_no_deviation() -> None:
    def deviation(features: Tensor) -> Tensor:
        return MinibatchDeviation()(features)[:, -1]

    one = torch.randn(1, 3, 4, 4)
    assert deviation(one.repeat(8, 1, 1, 1)).max() < 1e-3
    assert deviation(torch.randn(8, 3, 4, 4)).min() > 0.3
    assert MinibatchDeviation()(torch.randn(6, 3, 4, 4)).shape == (6, 4, 4, 4)  # not a multiple of the group
