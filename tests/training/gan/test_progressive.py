"""Progressive growing: the schedule, what fades, and what a run costs at first."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from tests.training.gan.test_trainer import make_trainer
from tests.training.gan_configs import gan_config
from training.card_details import CardDetails
from training.errors import ConfigError
from training.export import export_run
from training.gan.architectures.progan_blocks import enlarge, shrink
from training.gan.architectures.progressive import Discriminator, Generator, Growing, position
from training.gan.config import GanConfig
from training.gan.export import generator_graph
from training.gan.plan import GanPlan
from training.gan.setup import build_discriminator, build_generator
from training.gan.trainer import GanTrainer
from training.images import to_uint8
from training.run import Run

CONFIG = {"architecture": "progressive", "image_size": 32, "channels": 3, "latent_size": 8, "width": 4}
# The default schedule at 32 pixels: each of 4, 8 and 16 pixels takes a sixth of the run, and 32 has faded in at a half.
HELD_8, FADING_16, HELD_16, HELD_32 = 0.2, 7 / 24, 1 / 3, 0.5


def make_generator(fraction: float) -> Generator:
    torch.manual_seed(0)
    generator = build_generator(gan_config(CONFIG))
    assert isinstance(generator, Generator)
    generator.set_progress(fraction)
    return generator


def make_discriminator(fraction: float) -> Discriminator:
    torch.manual_seed(0)
    discriminator = build_discriminator(gan_config(CONFIG))
    assert isinstance(discriminator, Discriminator)
    discriminator.set_progress(fraction)
    return discriminator


@pytest.mark.parametrize(
    ("fraction", "place"),
    [(0, 0), (0.08, 0), (0.125, 0.5), (1 / 6, 1), (0.25, 1), (7 / 24, 1.5), (0.45833333, 2.5), (0.5, 3), (0.51, 3), (1, 3)],
)
def test_each_resolution_is_held_before_the_next_fades_in(fraction: float, place: float) -> None:
    assert position(fraction, levels=4, growth=0.5, fade=0.5) == pytest.approx(place, abs=1e-6)


def test_fade_of_1_never_holds_a_resolution() -> None:
    places = [position(fraction, levels=3, growth=0.8, fade=1.0) for fraction in (0, 0.1, 0.4, 0.7, 0.8, 0.9)]
    assert places == pytest.approx([0, 0.25, 1, 1.75, 2, 2])


@torch.no_grad()
def test_generator_blends_two_resolutions_while_one_fades_in() -> None:
    latents = torch.randn(5, 8)
    small, faded, large = (make_generator(fraction)(latents) for fraction in (HELD_8, FADING_16, HELD_16))
    torch.testing.assert_close(enlarge(shrink(small, 2), 2), small)  # of 8 pixels
    assert not torch.equal(small, large)
    torch.testing.assert_close(faded, (small + large) / 2)


@torch.no_grad()
def test_discriminator_changes_continuously() -> None:
    """At the start of a fade it judges the smaller image alone, and at its end no longer."""
    images = torch.randn(4, 3, 32, 32)
    for before, after in ((0.249999, 0.250001), (0.333332, 0.333334)):
        first, second = make_discriminator(before)(images), make_discriminator(after)(images)
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(make_discriminator(0.25)(images), make_discriminator(HELD_16)(images), rtol=1e-2)


def test_real_images_are_blended_as_fake_images() -> None:
    real = torch.randn(2, 3, 32, 32)
    views = {fraction: make_generator(fraction).real_inputs(real) for fraction in (HELD_8, FADING_16, HELD_16, HELD_32)}
    torch.testing.assert_close(views[HELD_8], enlarge(shrink(real, 2), 2))
    torch.testing.assert_close(views[FADING_16], (views[HELD_8] + views[HELD_16]) / 2)
    assert torch.equal(views[HELD_32], real)


@pytest.mark.parametrize(("fraction", "level"), [(0.01, 0), (HELD_8, 1), (FADING_16, 2), (0.6, 3)])
def test_layers_of_larger_resolutions_do_not_run(fraction: float, level: int) -> None:
    generator, discriminator = make_generator(fraction), make_discriminator(fraction)
    for network in (generator, discriminator):
        ran: dict[nn.Module, torch.Size] = {}
        for block in network.blocks:
            block.register_forward_hook(lambda block, inputs, output, ran=ran: ran.update({block: output.shape}))
        inputs = torch.randn(2, 8) if network is generator else torch.randn(2, 3, 32, 32)
        network(inputs)
        assert set(ran) == set(network.blocks[:level])
        assert max((shape[-1] for shape in ran.values()), default=0) <= 4 * 2**level


def test_optimizers_first_meet_a_layer_when_it_fades_in() -> None:
    trainer = make_trainer(architecture="progressive")  # 16 pixels, ten steps
    known = []
    for step in (1, 3, 6):  # 4 pixels; 8 and 16 fading in
        trainer.step(step)
        known.append(len(trainer.g_optimizer.state))
    assert known[0] < known[1] < known[2] == len(list(trainer.generator.parameters()))


def test_discriminator_has_the_schedule_of_the_generator() -> None:
    config = gan_config(CONFIG, {"generator.growth": 0.8, "generator.fade": 0.25})
    assert GanConfig.model_validate_json(config.model_dump_json()) == config
    generator, discriminator = build_generator(config), build_discriminator(config)
    assert isinstance(generator, Growing)
    assert isinstance(discriminator, Growing)
    for fraction, place in ((0.3, 1), (1.9 * 0.8 / 3, 1.6), (2.95 * 0.8 / 3, 2.8)):
        for network in (generator, discriminator):
            network.set_progress(fraction)
            assert network.level + network.share - 1 == pytest.approx(place, abs=1e-5)
    with pytest.raises(ConfigError, match=r"fade is that of the generator, 0\.25\. Set only generator\.fade"):
        gan_config(CONFIG, {"generator.fade": 0.25, "discriminator.fade": 0.5})


def trained_to_the_middle_of_a_fade(folder: Path, architecture: str) -> tuple[Run[GanPlan], GanTrainer]:
    config = gan_config(
        CONFIG, architecture=architecture, image_size=16, images=80, batch_size=8, augment=(), precision="float32"
    )
    images = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    trainer = make_trainer(**CONFIG | {"architecture": architecture, "image_size": 16})
    for step in range(1, 6):  # of ten
        trainer.step(step)
    run = Run.create(folder, GanPlan(config=config, data="noise", images=len(images)))
    run.save_checkpoint(5, trainer.parts)
    return run, trainer


@pytest.mark.parametrize("architecture", ["progressive", "msg"])
def test_exported_model_paints_what_the_average_painted(architecture: str, tmp_path: Path) -> None:
    """For progressive in the middle of a fade. A seed gives the same image alone and in a batch of 32."""
    run, trainer = trained_to_the_middle_of_a_fade(tmp_path / "run", architecture)
    average = trainer.generator_ema.module.eval()
    if isinstance(average, Generator):
        assert average.level == 2
        assert average.share == pytest.approx(0.6)
    latents = torch.randn(32, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        painted: Tensor = to_uint8(average(latents))
        assert torch.equal(generator_graph(run, run.checkpoint_to_export())(latents), painted)
    export_run(run.folder, tmp_path / "model.onnx", CardDetails())
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (together,) = session.run(None, {"latents": latents.numpy()})
    assert np.abs(together.astype(int) - painted.numpy()).max() <= 1
    for index in (0, 17, 31):
        (alone,) = session.run(None, {"latents": latents[index : index + 1].numpy()})
        assert np.abs(alone[0].astype(int) - together[index]).max() <= 1


def test_exported_model_has_no_branch_and_no_layer_that_is_not_in_use(tmp_path: Path) -> None:
    """Two convolutions a block and two pixel norms, the first convolution, and an image layer."""
    for fraction, convolutions in (
        (0.0, 1 + 2 + 1),
        (HELD_8, 1 + 2 + 4 + 1),
        (FADING_16, 1 + 2 + 8 + 2),
        (1.0, 1 + 2 + 12 + 1),
    ):
        run = Run.create(tmp_path / f"run-{fraction}", GanPlan(config=gan_config(CONFIG), data="noise", images=99))
        run.save_checkpoint(1, {"generator_ema": torch.optim.swa_utils.AveragedModel(make_generator(fraction))})
        file = tmp_path / f"model-{convolutions}.onnx"
        export_run(run.folder, file, CardDetails())
        graph = onnx.load(file).graph
        operators = [node.op_type for node in graph.node]
        assert not {"If", "Loop", "Scan"} & set(operators)
        assert sum(operator.startswith("Conv") for operator in operators) == convolutions
        used = {name for node in graph.node for name in node.input}
        assert {initializer.name for initializer in graph.initializer} <= used
