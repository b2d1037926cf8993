"""StyleGAN2's generator: modulation, mixing, and the average of w."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from tests.training.gan.test_trainer import make_trainer, weights
from tests.training.gan_configs import gan_config
from training.card_details import CardDetails
from training.export import export_run
from training.gan.architectures.style import Generator, ModulatedConv
from training.gan.plan import GanPlan
from training.gan.setup import build_generator
from training.run import Run

STYLE = {"architecture": "style", "image_size": 16, "channels": 3, "latent_size": 8, "generator.width": 4}


def make_generator(**options: object) -> Generator:
    torch.manual_seed(0)
    generator = build_generator(gan_config(STYLE, {f"generator.{name}": value for name, value in options.items()}))
    assert isinstance(generator, Generator)
    return generator


@pytest.mark.parametrize("upsample", [False, True])
def test_scaled_inputs_and_outputs_equal_scaled_weights(upsample: bool) -> None:
    """The paper's form: each image has weights of its own."""
    torch.manual_seed(0)
    conv = ModulatedConv(5, 7, 4, upsample=upsample)
    features, w = torch.randn(3, 5, 6, 6), torch.randn(3, 4)
    found = conv(features, w)
    for index in range(3):
        own = conv.weight * conv.scale * conv.modulation(w)[index][None, :, None, None]
        own = own * torch.rsqrt(own.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
        image = features[index : index + 1]
        if upsample:
            image = F.interpolate(image, scale_factor=2.0)
        wanted = 2**0.5 * F.leaky_relu(F.conv2d(image, own, conv.bias, padding=1), 0.2)
        torch.testing.assert_close(found[index : index + 1], wanted, rtol=1e-4, atol=1e-4)


def test_exported_image_of_a_seed_is_the_same_alone_and_in_a_batch(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", GanPlan(config=gan_config(STYLE), data="photos", images=99))
    run.save_checkpoint(1, {"generator_ema": AveragedModel(make_generator())})
    export_run(run.folder, tmp_path / "model.onnx", CardDetails())
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    latents = np.random.default_rng(0).standard_normal((32, 8), np.float32)
    truncation = np.linspace(0.1, 1, 32, dtype=np.float32)
    (together,) = session.run(None, {"latents": latents, "truncation": truncation})
    for index in (0, 17, 31):
        rows = slice(index, index + 1)
        (alone,) = session.run(None, {"latents": latents[rows], "truncation": truncation[rows]})
        assert np.abs(alone[0].astype(int) - together[index]).max() <= 1
    assert np.ptp(together, axis=0).mean() > 1  # they differ from each other


def test_mixing_takes_later_layers_from_another_image_in_training_alone() -> None:
    generator = make_generator(mixing=1.0)
    latents = torch.randn(6, 8)
    torch.manual_seed(1)
    w = generator.map(latents)
    first, *rest = generator._by_level(w)
    assert torch.equal(first, w)  # the smallest resolution is never mixed
    assert torch.equal(rest[-1], w.roll(1, 0))  # the largest always is
    generator.eval()
    assert all(torch.equal(level, w) for level in generator._by_level(w))


def test_mixing_depends_on_seed_and_step_alone() -> None:
    trainers = [make_trainer(**STYLE, **{"generator.mixing": 0.5}) for _ in range(2)]
    for number, trainer in enumerate(trainers):
        torch.manual_seed(number)  # what ran before makes no difference
        trainer.step(1)
    assert torch.equal(*(weights(trainer.generator) for trainer in trainers))


def test_average_of_w_follows_training() -> None:
    generator = make_generator()
    generator(torch.randn(4, 8))
    after = generator.w_mean.clone()
    assert after.abs().sum() > 0
    generator.eval()(torch.randn(4, 8))
    assert torch.equal(generator.w_mean, after)


def test_truncation_moves_w_towards_its_mean() -> None:
    generator = make_generator().eval()
    generator.w_mean.copy_(torch.randn(8))
    latents = torch.randn(3, 8)

    def images(truncation: float) -> Tensor:
        return generator(latents, torch.full((3,), truncation))

    whole, half, none = images(1), images(0.5), images(0)
    torch.testing.assert_close(whole, generator(latents))
    assert torch.equal(none[0], none[1])
    assert 0 < (half[0] - half[1]).abs().mean() < (whole[0] - whole[1]).abs().mean()
