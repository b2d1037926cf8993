from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.training.gan_configs import gan_config
from training.errors import ConfigError
from training.gan.architectures.dcgan import halvings
from training.gan.architectures.dcgan_nearest import Mapping, SlowLinear, UpsampledConv
from training.gan.architectures.dcgan_residual import blocks_across
from training.gan.architectures.registry import GANS
from training.gan.setup import build_discriminator, build_generator
from training.style.network import ConditionalInstanceNorm, NearestConv, Stylizer


@pytest.mark.parametrize("architecture", GANS)
@pytest.mark.parametrize(("image_size", "channels"), [(16, 3), (28, 1), (32, 3), (64, 3)])
def test_shapes_and_ranges(architecture: str, image_size: int, channels: int) -> None:
    config = gan_config(
        architecture=architecture, image_size=image_size, channels=1 if channels == 1 else 3, latent_size=7, width=8
    )
    pictures = build_generator(config)(torch.randn(2, 7))
    assert pictures.shape == (2, channels, image_size, image_size)
    assert pictures.abs().max() <= 1
    assert build_discriminator(config)(pictures).shape == (2,)


@pytest.mark.parametrize("architecture", GANS)
def test_every_weight_gets_a_gradient(architecture: str) -> None:
    config = gan_config(architecture=architecture, image_size=32, channels=3, width=8)
    generator, discriminator = build_generator(config), build_discriminator(config)
    discriminator(generator(torch.randn(4, config.latent_size))).sum().backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize(("size", "start"), [(28, (7, 2)), (32, (4, 3)), (64, (4, 4)), (96, (6, 4)), (128, (4, 5))])
def test_sizes_by_doubling(size: int, start: tuple[int, int]) -> None:
    assert halvings(size) == start


@pytest.mark.parametrize("size", [17, 30, 100, 4])
def test_sizes_that_cannot_be_reached(size: int) -> None:
    with pytest.raises(ConfigError, match=f"image_size {size} cannot be reached"):
        halvings(size)


def test_the_convolution_before_upsampling_is_the_one_after_it() -> None:
    torch.manual_seed(0)
    convolution, features = UpsampledConv(5, 3), torch.randn(2, 5, 6, 7)
    upsampled = F.interpolate(features, scale_factor=2, mode="nearest")
    expected = F.conv2d(upsampled, convolution.weight.flip(2, 3).transpose(0, 1), padding=1)
    torch.testing.assert_close(convolution(features), expected)


def test_the_mapping_begins_as_hardly_any_change() -> None:
    torch.manual_seed(0)
    mapping, latents = Mapping(20), torch.randn(50, 20)
    change = mapping(latents) - latents
    assert 0 < change.norm() < 0.1 * latents.norm()


def test_the_mapping_learns_slowly() -> None:
    """A step of Adam changes what it does a hundredth as much as what a common layer does."""
    torch.manual_seed(0)
    changes = []
    for layer in (nn.Linear(20, 20), SlowLinear(20, 20)):
        latents, before = torch.ones(1, 20), layer(torch.ones(1, 20)).detach()
        optimizer = torch.optim.Adam(layer.parameters(), 1e-3)
        layer(latents).sum().backward()
        optimizer.step()
        changes.append((layer(latents) - before).norm().item())
    assert changes[1] == pytest.approx(0.01 * changes[0], rel=0.01)


@torch.no_grad()
def test_residual_blocks_judge_far_places_together() -> None:
    """What two corners say adds up in DCGAN; with blocks, what one says depends on the other."""
    together = []
    for architecture in ("dcgan", "dcgan-residual"):
        torch.manual_seed(0)
        config = gan_config(architecture=architecture, image_size=28, channels=1, width=8)
        discriminator, pictures = build_discriminator(config), torch.zeros(4, 1, 28, 28)
        for parameter in discriminator.parameters():
            parameter.mul_(5)
        pictures[[1, 3], :, :6, :6] = 1
        pictures[[2, 3], :, -6:, -6:] = 1
        neither, first, second, both = discriminator(pictures).tolist()
        together.append(abs(both - first - second + neither) / (abs(first - neither) + abs(second - neither)))
    assert together[0] < 1e-5
    assert together[1] > 1e-3


@pytest.mark.parametrize(("side", "blocks"), [(4, 1), (5, 1), (6, 2), (7, 2)])
def test_blocks_reach_across(side: int, blocks: int) -> None:
    assert blocks_across(side) == blocks


def test_an_unknown_architecture_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"no architecture stylegan9. Known: dcgan"):
        gan_config(architecture="stylegan9", channels=3)


VARIANTS: list[dict[str, Any]] = [
    {}, {"stride": 2, "kernel": 5}, {"halvings": 3, "kernel": 3}, {"separable": True}, {"stride": 2, "halvings": 3}
]  # fmt: skip


@pytest.fixture(params=VARIANTS, ids=str)
def stylizer(request: pytest.FixtureRequest) -> Stylizer:
    torch.manual_seed(0)
    network = Stylizer(styles=3, width=4, residual_blocks=1, **request.param)
    for name, parameter in network.named_parameters():
        if name.endswith(("norm.scale", "norm.bias")):  # untrained styles are all alike
            nn.init.normal_(parameter, 1.0 if name.endswith("scale") else 0.0, 0.5)
    return network


def test_the_stylizer_keeps_any_size(stylizer: Stylizer) -> None:
    multiple = stylizer.size_multiple
    for height, width in ((4, 2), (5, 9), (16, 8)):
        painted = stylizer(torch.rand(1, 3, multiple * height, multiple * width) * 255, torch.eye(3)[:1])
        assert painted.shape == (1, 3, multiple * height, multiple * width)
        assert painted.isfinite().all()


def test_the_convolution_before_the_upsampling_is_the_one_after() -> None:
    layer, x = NearestConv(3, 4), torch.rand(2, 3, 6, 9)
    after = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), layer.conv.weight, layer.conv.bias, padding=2)
    assert torch.allclose(layer(x)[:, :, 2:-2, 2:-2], after[:, :, 2:-2, 2:-2], atol=1e-6)  # but for the padding


@torch.no_grad()
def test_conditional_instance_norm_by_hand() -> None:
    norm, x = ConditionalInstanceNorm(2, styles=3), torch.rand(2, 2, 5, 4) * 9
    nn.init.normal_(norm.scale)
    nn.init.normal_(norm.bias)
    styles = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    normal = (x - x.mean(dim=(2, 3), keepdim=True)) / (x.var(dim=(2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    scale = torch.stack([norm.scale[1], (norm.scale[0] + norm.scale[2]) / 2])[:, :, None, None]
    bias = torch.stack([norm.bias[1], (norm.bias[0] + norm.bias[2]) / 2])[:, :, None, None]
    assert torch.allclose(norm(x, styles), normal * scale + bias, atol=1e-5)


@torch.no_grad()
def test_a_picture_does_not_depend_on_its_neighbours(stylizer: Stylizer) -> None:
    photos = torch.rand(3, 3, 32, 32) * 255
    together = stylizer(photos, torch.eye(3))
    for i in range(3):
        assert torch.allclose(stylizer(photos[i : i + 1], torch.eye(3)[i : i + 1])[0], together[i], atol=0.05)
    assert not torch.allclose(together[0], stylizer(photos[:1], torch.eye(3)[1:2])[0], atol=1)


@torch.no_grad()
def test_a_blend_of_two_equal_styles_is_that_style(stylizer: Stylizer) -> None:
    for name, parameter in stylizer.named_parameters():
        if name.endswith(("norm.scale", "norm.bias")):
            parameter[1] = parameter[0]
    photo = torch.rand(1, 3, 32, 32) * 255
    one, blend = stylizer(photo, torch.tensor([[1.0, 0, 0]])), stylizer(photo, torch.tensor([[0.4, 0.6, 0]]))
    assert torch.allclose(one, blend, atol=0.01)
