"""Training configs: frozen, resolved once, saved with the run and in the card.

A config is a TOML file: one of `training/configs/` by name, or a path. It lists only what differs from the defaults of its
class, `training.gan.config.GanConfig` or one of `training.style.config`; `--set key=value` changes single values.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.errors import ConfigError, first_line

CONFIGS = Path(__file__).parent / "configs"

Positive = Annotated[int, Field(ge=1, le=10**9)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0, le=1e12)]
Features = Literal["inception", "vgg", "pixels"]
Layer = Literal[
    "relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3",
    "relu4_1", "relu4_2", "relu4_3", "relu5_1", "relu5_2", "relu5_3",
]  # fmt: skip


class Config(BaseModel):
    """What every config has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, lt=2**32)


class RunConfig(Config):
    """What every config of a training run has."""

    sample_every: Positive = 500  # steps between sample images
    checkpoint_every: Positive = 500  # steps between checkpoints
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 if the hardware multiplies it


SomeConfig = TypeVar("SomeConfig", bound=Config)


def load_config(name: str, kind: type[SomeConfig], changes: Sequence[str] = ()) -> SomeConfig:
    """Read a config and apply changes to it.

    Args:
        name: a file of `training/configs/` without its ending, or a path to a TOML file.
        kind: the class of the config.
        changes: "key=value", the value as TOML writes it (a bare word is taken as a string).

    Raises:
        ConfigError: no such config, or a key or value that is not allowed; names them.
    """
    path = CONFIGS / f"{name}.toml" if "/" not in name and not name.endswith(".toml") else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(config.stem for config in CONFIGS.glob("*.toml")))
        raise ConfigError(f"There is no config {name}. Known: {known}; or name a TOML file.")
    try:
        values = tomllib.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {first_line(error)}.") from error
    return resolve(values | _parse(changes), kind, name)


def change(config: SomeConfig, changes: Sequence[str], name: str) -> SomeConfig:
    """A config with some values changed; arguments and errors as `load_config`."""
    return resolve(config.model_dump() | _parse(changes), type(config), name)


def resolve(values: dict[str, object], kind: type[SomeConfig], name: str) -> SomeConfig:
    """Check values against a kind of config.

    Raises:
        ConfigError: names each key that is unknown or whose value is not allowed.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        known = ", ".join(kind.model_fields)
        lines: list[str] = [
            f"  {'.'.join(map(str, e['loc'])) or 'together'}: "
            + (f"unknown; known are {known}" if e["type"] == "extra_forbidden" else f"{e['msg']} (is {e['input']!r})")
            for e in error.errors()
        ]
        raise ConfigError("\n".join([f"Config {name} is not allowed:", *lines])) from error


def _parse(changes: Sequence[str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {change}: write key=value, for instance --set batch_size=32.")
        try:
            parsed = tomllib.loads(f"value = {value}")
        except (ValueError, RecursionError):
            parsed = {"value": value.strip()}
        if len(parsed) > 1:
            raise ConfigError(f"--set {change!r}: one key=value at a time; repeat --set for more.")
        values[key.strip()] = parsed["value"]
    return values
