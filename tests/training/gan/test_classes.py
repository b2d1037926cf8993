"""Classes of images: read from folders, chosen by latents, added to the logits."""

import io
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from ganvas.card import GeneratorCard
from tests.training.commands import done, refused
from tests.training.gan_configs import gan_config, sizes_of
from training.data.image_folder import open_image_folder
from training.data.labels import class_names, labels_of
from training.devices import launch
from training.errors import ConfigError, DataError
from training.gan.architectures.registry import GANS
from training.gan.classes import Labels, class_of, logits_of, with_class
from training.gan.plan import GanPlan
from training.gan.schedules import class_share
from training.gan.setup import build_discriminator, build_generator
from training.gan.trainer import GanTrainer
from training.onnx_file import read_card
from training.run import Run

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")
LATENTS = torch.randn(4000, 7, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(4000) % 3


def shades(path: Path, classes: dict[str, int], each: int = 12) -> Path:
    """A zip with one folder per class: images of about one grey level."""
    noise = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for name, level in classes.items():
            for number in range(each):
                image = io.BytesIO()
                pixels = (level + noise.integers(-9, 10, (16, 16))).astype(np.uint8)
                Image.fromarray(pixels).save(image, "PNG")
                archive.writestr(f"{name}/{number}.png", image.getvalue())
    return path


def test_latents_with_a_class_choose_it() -> None:
    moved = with_class(LATENTS, LABELS, 3)
    assert torch.equal(class_of(moved, 3), LABELS)
    assert torch.equal(moved.sort(dim=1).values, LATENTS.sort(dim=1).values)  # swapped, not changed
    assert torch.equal(moved[:, 3:], LATENTS[:, 3:])
    already = class_of(LATENTS, 3) == LABELS
    assert torch.equal(moved[already], LATENTS[already])


def test_classes_are_equally_frequent_and_survive_truncation() -> None:
    shares = torch.bincount(class_of(LATENTS, 3)) / len(LATENTS)
    assert ((shares - 1 / 3).abs() < 0.03).all()
    assert torch.equal(class_of(0.1 * LATENTS, 3), class_of(LATENTS, 3))


def test_logit_includes_the_class_of_the_image() -> None:
    logits, labels = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), Labels(torch.tensor([1, 0]), share=0.5)
    assert logits_of(logits, labels).tolist() == [1 + 0.5 * 3, 4 + 0.5 * 5]
    assert logits_of(logits[..., None], labels).tolist() == [[2.5], [6.5]]
    assert logits_of(logits[:1], labels.first(1)).tolist() == [2.5]
    assert logits_of(logits[:, 0], None).tolist() == [1.0, 4.0]


def test_class_share_rises_during_the_ramp() -> None:
    config = gan_config(classes={"count": 2, "start": 0.25, "ramp": 0.5})
    assert [class_share(config.classes, progress) for progress in (0, 0.2, 0.5, 0.75, 1)] == [0, 0, 0.5, 1, 1]
    assert [class_share(gan_config(classes={"start": 0.25, "ramp": 0}).classes, progress) for progress in (0.2, 0.25)] == [0, 1]


@pytest.mark.parametrize("architecture", GANS)
def test_networks_with_classes_have_the_promised_shapes(architecture: str) -> None:
    size = sizes_of(architecture)[0]
    config = gan_config(architecture=architecture, image_size=size, channels=1, width=4, latent_size=7, classes={"count": 3})
    images = build_generator(config)(LATENTS[:5])
    assert images.shape == (5, 1, size, size)
    assert build_discriminator(config)(images).shape == (5, 4)


def test_refuses_more_classes_than_latents() -> None:
    with pytest.raises(ConfigError, match="classes need pack = 1, and 9 classes need a latent_size of at least 9"):
        gan_config(classes={"count": 9}, latent_size=8)
    with pytest.raises(ConfigError, match="classes need pack = 1"):
        gan_config(classes={"count": 2}, pack=2)


def test_each_folder_is_a_class(tmp_path: Path) -> None:
    images = open_image_folder(shades(tmp_path / "shades.zip", {"white": 240, "black": 15}, each=2))
    assert labels_of(images, 2).tolist() == [0, 0, 1, 1]
    with pytest.raises(DataError, match=r"images in 2 folders \(black, white\), but classes\.count is 3"):
        labels_of(images, 3)


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (("1", "0", "10"), ("0", "1", "10")),
        (("letters/A", "letters/a"), ("A", "a")),
        (("letters/A", "digits/0"), ("digits/0", "letters/A")),
        (("cats", "cats/sleeping"), ("cats", "cats/sleeping")),
        (("Köpfe, alt", "猫"), ("Köpfe, alt", "猫")),
    ],
)
def test_classes_are_named_after_their_folders(tmp_path: Path, folders: tuple[str, ...], names: tuple[str, ...]) -> None:
    images = open_image_folder(shades(tmp_path / "shades.zip", dict.fromkeys(folders, 100), each=1))
    assert class_names(images) == names
    in_order = [labels_of(images, len(names))[images.names.index(f"{folder}/0.png")].item() for folder in sorted(folders)]
    assert in_order == [*range(len(names))]


def test_refuses_a_folder_that_cannot_name_a_class(tmp_path: Path) -> None:
    images = open_image_folder(shades(tmp_path / "shades.zip", {"black": 15, "w" * 65: 240}, each=1))
    with pytest.raises(DataError, match=r"cannot name a class: String should have at most 64 characters\. Rename the folder"):
        class_names(images)


@pytest.mark.parametrize("shared", [True, False])
def test_each_class_learns_its_own_images(shared: bool) -> None:
    labels = torch.arange(64) % 2
    dataset = (30 + 190 * labels)[:, None, None, None].expand(64, 1, 16, 16).to(torch.uint8)
    config = gan_config(
        architecture="mlp", image_size=16, channels=1, width=8, latent_size=7, classes={"count": 2}, batch_size=32,
        images=32 * 150, augment=(), features={"layers": ()}, precision="float32", shared_pass=shared,
        optimizer={"learning_rate": 1e-3}, ema_decay=0.9,
    )  # fmt: skip
    trainer = GanTrainer(config, launch(CPU, "float32"), dataset, classes=labels)
    for step in range(1, config.steps + 1):
        trainer.step(step)
    latents = LATENTS[:200]
    levels = 127.5 * (trainer.generator_ema.module.eval()(latents).detach().mean(dim=(1, 2, 3)) + 1)
    bright = class_of(latents, 2).bool()
    assert abs(levels[bright].mean() - 220) < 45
    assert abs(levels[~bright].mean() - 30) < 45


def test_command_line_trains_and_exports_classes(tmp_path: Path) -> None:
    data, out, model = shades(tmp_path / "shades.zip", {"white": 240, "black": 15}), tmp_path / "run", tmp_path / "shades.onnx"
    options = (
        "image_size=16", "generator.width=4", "discriminator.width=4", "images=64", "batch_size=16", "classes.count=2",
        "features.layers=[]",
    )  # fmt: skip
    settings = [word for setting in options for word in ("--set", setting)]
    done("gan", "--data", data, "--out", out, *settings, "--features", "pixels", "--device", "cpu")
    done("export", out, model, "--card", ROOT / "training/model_cards/digits.toml")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (images,) = session.run(None, {"latents": np.zeros((3, 100), np.float32)})
    assert images.shape == (3, 16, 16, 1)
    assert Run.open(out, GanPlan).plan.classes == generator_classes(model) == ("black", "white")
    details = tmp_path / "card.toml"
    details.write_text('classes = ["schwarz", "weiß"]')
    done("export", out, model, "--card", details)
    assert generator_classes(model) == ("schwarz", "weiß")
    details.write_text('classes = ["schwarz"]')
    assert "--card has 1 class name, but the run has classes.count = 2." in refused("export", out, model, "--card", details)


def generator_classes(model: Path) -> tuple[str, ...]:
    card = read_card(model)
    assert isinstance(card, GeneratorCard)
    return card.classes


def test_refuses_a_wrong_number_of_folders(tmp_path: Path) -> None:
    data, out = shades(tmp_path / "shades.zip", {"white": 240, "black": 15}), tmp_path / "run"
    options = ("--set", "image_size=16", "--set", "classes.count=5", "--set", "features.layers=[]", "--features", "pixels")
    said = refused("gan", "--data", data, "--out", out, *options)
    assert (
        "in 2 folders (black, white), but classes.count is 5. Put the images of each class into one folder and set "
        "classes.count=2, or 0" in said
    )
    assert not out.exists()


def test_refuses_classes_without_labels() -> None:
    config = gan_config(
        image_size=16, channels=1, width=4, classes={"count": 2}, augment=(), features={"layers": ()}, precision="float32"
    )
    with pytest.raises(ConfigError, match=r"classes.count is 2, but the images have no labels. Leave it at 0"):
        GanTrainer(config, launch(CPU, "float32"), torch.zeros(4, 1, 16, 16, dtype=torch.uint8))
