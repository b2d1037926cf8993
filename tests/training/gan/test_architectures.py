"""The architectures of GANs, and the layers that they are made of."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.training.gan_configs import gan_config
from training.errors import ConfigError
from training.gan.architectures.base import modules_with_progress
from training.gan.architectures.dcgan import halvings
from training.gan.architectures.dcgan_nearest import Mapping, SlowLinear, UpsampledConv
from training.gan.architectures.dcgan_residual import blocks_across
from training.gan.architectures.registry import GANS
from training.gan.setup import build_discriminator, build_generator


@pytest.mark.parametrize("architecture", GANS)
@pytest.mark.parametrize(("image_size", "channels"), [(16, 3), (28, 1), (32, 3), (64, 3)])
def test_networks_have_the_promised_shapes_and_ranges(architecture: str, image_size: int, channels: int) -> None:
    config = gan_config(
        architecture=architecture, image_size=image_size, channels=1 if channels == 1 else 3, latent_size=7, width=8
    )
    images = build_generator(config)(torch.randn(2, 7))
    assert images.shape == (2, channels, image_size, image_size)
    assert images.abs().max() <= 1
    assert build_discriminator(config)(images).shape == (2,)


@pytest.mark.parametrize("architecture", GANS)
def test_every_weight_gets_a_gradient(architecture: str) -> None:
    config = gan_config(architecture=architecture, image_size=32, channels=3, width=8)
    generator, discriminator = build_generator(config), build_discriminator(config)
    for module in modules_with_progress(generator) + modules_with_progress(discriminator):
        module.set_progress(0.5)
    discriminator(generator(torch.randn(4, config.latent_size))).sum().backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("architecture", GANS)
def test_per_sample_says_whether_a_logit_depends_on_the_batch(architecture: str) -> None:
    has_norm = "norm" in GANS[architecture].discriminator_options.model_fields
    for options in ({}, {"norm": True}) if has_norm else ({},):
        torch.manual_seed(0)
        config = gan_config(architecture=architecture, image_size=32, channels=3, width=8, discriminator=options)
        discriminator, images = build_discriminator(config), torch.randn(6, 3, 32, 32)
        half, whole = discriminator(images[:3]), discriminator(images)[:3]
        assert config.discriminator.per_sample == torch.allclose(half, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "start"), [(28, (7, 2)), (32, (4, 3)), (64, (4, 4)), (96, (6, 4)), (128, (4, 5))])
def test_halvings_splits_a_size_into_start_and_doublings(size: int, start: tuple[int, int]) -> None:
    assert halvings(size) == start


@pytest.mark.parametrize("size", [17, 30, 100, 4])
def test_rejects_sizes_that_doubling_cannot_reach(size: int) -> None:
    with pytest.raises(ConfigError, match=f"image_size {size} cannot be reached"):
        halvings(size)


def test_upsampled_conv_equals_upsampling_then_convolution() -> None:
    torch.manual_seed(0)
    convolution, features = UpsampledConv(5, 3), torch.randn(2, 5, 6, 7)
    upsampled = F.interpolate(features, scale_factor=2, mode="nearest")
    expected = F.conv2d(upsampled, convolution.weight.flip(2, 3).transpose(0, 1), padding=1)
    torch.testing.assert_close(convolution(features), expected)


def test_mapping_changes_latents_little_at_first() -> None:
    torch.manual_seed(0)
    mapping, latents = Mapping(20), torch.randn(50, 20)
    change = mapping(latents) - latents
    assert 0 < change.norm() < 0.1 * latents.norm()


def test_mapping_learns_at_a_hundredth_of_the_rate() -> None:
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
def test_residual_blocks_see_distant_places_together() -> None:
    """What two corners say adds up in DCGAN; with blocks, what one says depends on the other."""
    together = []
    for architecture in ("dcgan", "dcgan-residual"):
        torch.manual_seed(0)
        config = gan_config(architecture=architecture, image_size=28, channels=1, width=8)
        discriminator, images = build_discriminator(config), torch.zeros(4, 1, 28, 28)
        for parameter in discriminator.parameters():
            parameter.mul_(5)
        images[[1, 3], :, :6, :6] = 1
        images[[2, 3], :, -6:, -6:] = 1
        neither, first, second, both = discriminator(images).tolist()
        together.append(abs(both - first - second + neither) / (abs(first - neither) + abs(second - neither)))
    assert together[0] < 1e-5
    assert together[1] > 1e-3


@pytest.mark.parametrize(("side", "blocks"), [(4, 1), (5, 1), (6, 2), (7, 2)])
def test_enough_residual_blocks_to_see_the_whole_side(side: int, blocks: int) -> None:
    assert blocks_across(side) == blocks


def test_rejects_an_unknown_architecture_and_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"no architecture stylegan9. Known: dcgan"):
        gan_config(architecture="stylegan9", channels=3)
