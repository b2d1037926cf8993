from pathlib import Path

import pytest

from training.config import CONFIGS, load_config
from training.errors import ConfigError
from training.gan.config import GanConfig
from training.style.config import PaintConfig, StyleConfig


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_config_resolves(path: Path) -> None:
    if path.stem == "paint":
        assert load_config(path.stem, PaintConfig).iterations > 0
    elif path.stem.startswith(("style", "painters", "johnson")):
        assert load_config(path.stem, StyleConfig).steps > 0
    else:
        assert load_config(path.stem, GanConfig).steps > 0


def test_reads_a_path_and_applies_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("image_size = 32\n")
    config = load_config(
        str(path), GanConfig, ["batch_size=8", "optimizer.learning_rate=1e-3", "flip=true", "architecture=dcgan"]
    )
    assert (config.image_size, config.batch_size, config.optimizer.learning_rate, config.flip) == (32, 8, 1e-3, True)


def test_steps_cover_the_images() -> None:
    assert GanConfig(images=129, batch_size=64).steps == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batch_sise=8", r"batch_sise: unknown; known are seed, .*batch_size"),
        ("batch_size=0", r"batch_size: .*greater than or equal to 2 \(is 0\)"),
        ("batch_size=many", r"batch_size: .*integer.* \(is 'many'\)"),
        ("optimizer.learning_rate=nan", r"optimizer\.learning_rate: "),
        ("optimizer.learning_rate=-1", r"optimizer\.learning_rate: .*greater than 0"),
        ("optimizer=3", r"optimizer: .*dictionary"),
        ("penalty.r1.x=3", r"penalty\.r1: .*number"),
        ("penalty.r3=1", r"penalty\.r3: unknown; known are r1, r2, every, "),
        ("generator.norm=true", r"generator\.norm: unknown; known are width$"),
        ("discriminator.width=1", r"discriminator\.width: .*greater than or equal to 4 \(is 1\)"),
        ("architecture=stylegan9", r"architecture: There is no architecture stylegan9\. Known: dcgan, "),
        ("channels=2", r"channels: .*1, 3 or 4"),
        ("images=99999999999999", r"images: .*less than or equal"),
        ("images=" + "9" * 5000, r"images: "),
        ("generator.width=" + "[" * 3000, r"generator\.width: "),
        ("generator.width=4\nbatch_size=9", r"sets several keys\. Repeat --set for each key"),
        ("latent_size=1e9", r"latent_size: "),
        ("batch_size", r"--set batch_size is not key=value"),
        ("=3", r"--set =3 is not key=value"),
        (".width=3", r"--set \.width=3 is not key=value"),
    ],
)
def test_refuses_and_names_invalid_values(change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("dcgan", GanConfig, [change])


def test_refuses_unknown_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config nothing. Known: classic, dcgan, "):
        load_config("nothing", GanConfig)
    path = tmp_path / "broken.toml"
    path.write_text("width = = 3")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(str(path), GanConfig)
