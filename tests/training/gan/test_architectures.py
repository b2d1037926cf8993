"""The architectures of GANs, and the layers that they are made of."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel

from ganvas.card import GeneratorCard
from tests.training.gan import toys
from tests.training.gan.test_trainer import NO_PENALTY, make_trainer, weights
from tests.training.gan_configs import gan_config, sizes_of
from training.card_details import CardDetails
from training.errors import ConfigError
from training.export import export_run
from training.gan.architectures.base import fake_inputs, modules_with_progress
from training.gan.architectures.dcgan import halvings
from training.gan.architectures.dcgan_nearest import Mapping, SlowLinear, UpsampledConv
from training.gan.architectures.dcgan_residual import blocks_across
from training.gan.architectures.registry import GANS
from training.gan.config import GanConfig
from training.gan.plan import GanPlan
from training.gan.setup import build_discriminator, build_generator
from training.run import Run


@pytest.fixture(autouse=True)
def toy_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GANS, "stddev", toys.STDDEV)
    monkeypatch.setitem(GANS, "wrong-stddev", toys.WRONG_STDDEV)


def small_config(architecture: str, **changes: Any) -> GanConfig:
    """The smallest images that the architecture accepts, in colour."""
    return gan_config(changes, architecture=architecture, image_size=sizes_of(architecture)[0], channels=3, width=8)


@pytest.mark.parametrize("architecture", GANS)
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_have_the_promised_shapes_and_ranges(architecture: str, channels: int) -> None:
    for size in sizes_of(architecture)[:4]:
        config = gan_config(architecture=architecture, image_size=size, channels=channels, latent_size=7, width=8)
        images = build_generator(config)(torch.randn(2, 7))
        assert images.shape == (2, channels, size, size)
        assert images.abs().max() <= 1
        assert build_discriminator(config)(images).shape == (2,)


@torch.no_grad()
@pytest.mark.parametrize("architecture", ["dcgan-residual", "msg", "progressive", "style"])
def test_networks_reach_512_pixels(architecture: str) -> None:
    config = gan_config(architecture=architecture, image_size=512, channels=1, latent_size=7, width=4)
    networks = build_generator(config), build_discriminator(config)
    for module in (module for network in networks for module in modules_with_progress(network)):
        module.set_progress(1.0)
    images = networks[0](torch.randn(2, 7))
    assert images.shape == (2, 1, 512, 512)
    assert networks[1](images).shape == (2,)


@pytest.mark.parametrize("architecture", GANS)
def test_every_weight_gets_a_gradient_during_a_run(architecture: str) -> None:
    config = small_config(architecture)
    generator, discriminator = build_generator(config), build_discriminator(config)
    for fraction in (0.01, 0.2, 0.4, 0.6):
        for module in modules_with_progress(generator) + modules_with_progress(discriminator):
            module.set_progress(fraction)
        discriminator(fake_inputs(generator, torch.randn(4, config.latent_size))).sum().backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("architecture", [*GANS, "stddev"])
def test_per_sample_is_true_if_a_logit_never_depends_on_other_images(architecture: str) -> None:
    """With the default options of the discriminator, and with each of its switches turned."""
    fields = GANS[architecture].discriminator_options.model_fields
    switches = [{name: not field.default} for name, field in fields.items() if field.annotation is bool]
    for options in ({}, *switches):
        config = small_config(architecture, discriminator=options)
        assert config.discriminator.per_sample == (not depends_on_other_images(config)), options


def test_a_wrong_per_sample_is_detected() -> None:
    config = small_config("wrong-stddev")
    assert config.discriminator.per_sample
    assert depends_on_other_images(config)


@torch.no_grad()
def depends_on_other_images(config: GanConfig) -> bool:
    """Whether the logits of some images change if another image of the batch changes."""
    torch.manual_seed(0)
    discriminator, images = build_discriminator(config), torch.randn(8, 3, config.image_size, config.image_size)
    logits = discriminator(images)
    for index in range(len(images)):
        changed = images.clone()
        changed[index] *= -2
        others = torch.arange(len(images)) != index
        if not torch.allclose(discriminator(changed)[others], logits[others], rtol=1e-5, atol=1e-6):
            return True
    return False


@pytest.mark.parametrize("architecture", GANS)
@pytest.mark.parametrize("shared", [True, False])
def test_penalties_reach_the_weights_of_the_discriminator(architecture: str, shared: bool) -> None:
    """They need second derivatives, which not every layer has."""
    penalty = {"r1": 1.0, "r2": 1.0, "every": 1}
    trainers = [make_trainer(architecture=architecture, shared_pass=shared, penalty=each) for each in (penalty, NO_PENALTY)]
    scalars, _ = [trainer.step(1) for trainer in trainers]
    assert all(scalar.isfinite() for scalar in scalars.values())
    assert scalars["r1"] > 0
    assert scalars["r2"] > 0
    learned, without = [weights(trainer.discriminator) for trainer in trainers]
    assert learned.isfinite().all()
    assert not torch.equal(learned, without)


@pytest.mark.parametrize("architecture", GANS)
def test_generator_is_exported_as_it_was_trained(architecture: str, tmp_path: Path) -> None:
    """The export itself compares the file with the network."""
    config = small_config(architecture)
    run = Run.create(tmp_path / "run", GanPlan(config=config, data="photos", images=99))
    run.save_checkpoint(1, {"generator_ema": AveragedModel(build_generator(config))})
    card = export_run(run.folder, tmp_path / "model.onnx", CardDetails()).card
    assert isinstance(card, GeneratorCard)
    assert (card.architecture, card.height, card.channels) == (architecture, config.image_size, 3)


@pytest.mark.parametrize(("size", "start"), [(28, (7, 2)), (32, (4, 3)), (64, (4, 4)), (96, (6, 4)), (128, (4, 5))])
def test_halvings_splits_a_size_into_start_and_doublings(size: int, start: tuple[int, int]) -> None:
    assert halvings(size) == start


@pytest.mark.parametrize("size", [17, 30, 100, 4])
def test_refuses_sizes_that_doubling_cannot_reach(size: int) -> None:
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
    """A step of Adam changes its output a hundredth as much as that of a common layer."""
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
    """In DCGAN the contributions of two corners add up. With blocks, each depends on the other."""
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


def test_refuses_an_unknown_architecture_and_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"no architecture stylegan9. Known: dcgan"):
        gan_config(architecture="stylegan9", channels=3)
