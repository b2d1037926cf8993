"""Multi-scale gradients: images of all resolutions in one tensor."""

import itertools

import pytest
import torch
from torch import Tensor

from tests.training.gan.test_trainer import make_trainer
from tests.training.gan_configs import gan_config
from training.gan.architectures.base import MakesInputs
from training.gan.architectures.msg import Discriminator, Generator
from training.gan.architectures.progan_blocks import enlarge, shrink
from training.gan.augment import AUGMENTATIONS, augment
from training.gan.setup import build_discriminator, build_generator

CONFIG = {"architecture": "msg", "image_size": 32, "channels": 3, "latent_size": 8, "width": 4}
LEVELS = 4  # 32, 16, 8 and 4 pixels


def make_networks(**changes: object) -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    config = gan_config(CONFIG, changes)
    generator, discriminator = build_generator(config), build_discriminator(config)
    assert isinstance(generator, Generator)
    assert isinstance(discriminator, Discriminator)
    return generator, discriminator


@torch.no_grad()
def test_generator_shows_the_image_of_each_resolution() -> None:
    generator, _ = make_networks()
    latents = torch.randn(2, 8)
    levels = generator.fake_inputs(latents).split(3, dim=1)
    assert len(levels) == LEVELS
    assert torch.equal(levels[0], generator(latents))
    for times, level in enumerate(levels):
        torch.testing.assert_close(enlarge(shrink(level, times), times), level)
    for larger, smaller in itertools.pairwise(levels):
        assert not torch.allclose(enlarge(shrink(larger)), smaller)  # each resolution has a layer of its own


@pytest.mark.parametrize("level", range(LEVELS))
def test_discriminator_sees_each_resolution_of_both_kinds_of_images(level: int) -> None:
    generator, discriminator = make_networks(discriminator={"minibatch_stddev": False})
    real = torch.randn(2, 3, 32, 32)
    for images in (generator.fake_inputs(torch.randn(2, 8)), generator.real_inputs(real)):
        images = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(images).sum(), images)
        assert (gradient.split(3, dim=1)[level].flatten(1).norm(dim=1) > 0).all()
        changed = images.detach().clone()
        changed[0, 3 * level : 3 * level + 3] *= -1
        moved = (discriminator(changed) - discriminator(images)).abs()
        assert moved[0] > 1e-4
        assert moved[1] == 0


@torch.no_grad()
def test_image_alone_is_judged_as_with_shrunk_copies() -> None:
    generator, discriminator = make_networks()
    real = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(discriminator(generator.real_inputs(real)), discriminator(real))


def test_every_layer_of_the_generator_has_a_short_way_to_the_discriminator() -> None:
    """The gradient of the smallest image reaches the first block although all others are cut off."""
    generator, discriminator = make_networks()
    images = generator.fake_inputs(torch.randn(4, 8))
    discriminator(torch.cat([images[:, :-3].detach(), images[:, -3:]], dim=1)).sum().backward()
    gradients = [parameter.grad for parameter in (generator.first.conv.weight, *generator.blocks.parameters())]
    assert [gradient is not None and bool(gradient.any()) for gradient in gradients] == [True] + [False] * (len(gradients) - 1)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_resolutions_are_augmented_alike(name: str) -> None:
    """If they are all the same image, they stay the same."""
    images = torch.randn(5, 3, 32, 32)
    augmented = augment(images.repeat(1, LEVELS, 1, 1), [name], torch.Generator().manual_seed(0), 0.7, 3)
    assert torch.equal(augmented, augment(images, [name], torch.Generator().manual_seed(0), 0.7).repeat(1, LEVELS, 1, 1))
    assert not torch.equal(augmented[:, :3], images)


@torch.no_grad()
def test_packed_images_keep_their_resolutions_apart() -> None:
    trainer = make_trainer(architecture="msg", pack=2, batch_size=8)
    progress = trainer.config.progress(1)

    def judge(images: Tensor) -> Tensor:
        return trainer.discriminate(trainer.preprocess(images, progress, torch.Generator()), None)

    real = trainer.batches.draw(progress).real
    assert isinstance(trainer.generator, MakesInputs)
    torch.testing.assert_close(judge(trainer.generator.real_inputs(real)), judge(real))
    assert judge(real).shape == (4,)
