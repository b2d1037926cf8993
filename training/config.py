"""Training configs: frozen, resolved once, saved with the run and in the card.

A config is a TOML file: one of `training/configs/` by name, or a path. It lists only what differs from the defaults of its
class, `training.gan.config.GanConfig` or one of `training.style.config`. `--set key=value` changes single values; a dotted key,
such as `penalty.r1`, changes a value of a table.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from training.errors import ConfigError, first_line

CONFIGS = Path(__file__).parent / "configs"
_MOST = 10**9  # steps


def _steps(value: object) -> object:
    """Refuse other values with one message; pydantic has one for each type of a union."""
    if value == "auto" or (type(value) is int and 1 <= value <= _MOST):
        return value
    raise ValueError(f'must be "auto" or a number of steps from 1 to {_MOST:,}')


Positive = Annotated[int, Field(ge=1, le=_MOST)]
Steps = Annotated[int | Literal["auto"], BeforeValidator(_steps)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0, le=1e12)]
Features = Literal["inception", "vgg", "pixels"]
OnCollapse = Literal["warn", "stop", "rollback"]  # what a GAN does after a collapse
Layer = Literal[
    "relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3",
    "relu4_1", "relu4_2", "relu4_3", "relu5_1", "relu5_2", "relu5_3",
]  # fmt: skip

AUTO = "auto"
"""`--config auto` of a GAN. It names no file of a config: see `training.gan.auto`."""

_UNKNOWN = "unknown_key"


class Table(BaseModel):
    """A config, or a table in one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: object) -> object:
        """Name the known keys if a key is unknown; pydantic's own message does not."""
        if isinstance(values, Mapping) and (unknown := [key for key in values if key not in cls.model_fields]):
            known = ", ".join(cls.model_fields) or "none"
            error = PydanticCustomError(_UNKNOWN, "unknown; known are {known}", {"known": known})
            details = [InitErrorDetails(type=error, loc=(key,), input=values[key]) for key in unknown]
            raise ValidationError.from_exception_data(cls.__name__, details)
        return values


class Config(Table):
    """What every config has."""

    seed: int = Field(default=0, ge=0, lt=2**32)


class RunConfig(Config):
    """What every config of a training run has."""

    sample_every: Steps = "auto"  # steps between sample images; auto: by the clock
    checkpoint_every: Steps = "auto"  # steps between checkpoints; auto: by the clock, at most 2 minutes
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 if the hardware multiplies it


SomeConfig = TypeVar("SomeConfig", bound=Config)


def load_config(name: str, kind: type[SomeConfig], changes: Sequence[str] = ()) -> SomeConfig:
    """Read a config and apply changes to it.

    Args:
        name: a file of `training/configs/` without its ending, or a path to a TOML file.
        kind: the class of the config.
        changes: "key=value", the value as TOML writes it (a bare word is taken as a string); the key may be dotted.

    Raises:
        ConfigError: the config does not exist, or a key or value is not allowed; names them.
    """
    path = CONFIGS / f"{name}.toml" if "/" not in name and not name.endswith(".toml") else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(config.stem for config in CONFIGS.glob("*.toml")))
        raise ConfigError(f"There is no config {name}. Known: {known}; or name a TOML file.")
    try:
        values = tomllib.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {first_line(error)}.") from error
    return resolve(merge(values, parse_changes(changes)), kind, name)


def change(config: SomeConfig, changes: Sequence[str], name: str) -> SomeConfig:
    """A config with some values changed; arguments and errors as in `load_config`."""
    return resolve(merge(config.model_dump(), parse_changes(changes)), type(config), name)


def with_values(config: SomeConfig, values: Mapping[str, object]) -> SomeConfig:
    """A config with some values changed: key, which may be dotted -> value. Raises as `resolve`."""
    return resolve(merge(config.model_dump(), values), type(config), "with changes")


def resolve(values: Mapping[str, object], kind: type[SomeConfig], name: str) -> SomeConfig:
    """Check values against a kind of config.

    Args:
        values: the values by key. A key may be dotted.
        kind: the class of the config.
        name: name of the config in messages.

    Raises:
        ConfigError: names each key that is unknown or whose value is not allowed.
    """
    try:
        return kind.model_validate(merge({}, values))
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, e['loc'])) or 'together'}: {e['msg'].removeprefix('Value error, ')}"
            + ("" if e["type"] == _UNKNOWN else f" (is {e['input']!r})")
            for e in error.errors()
        ]
        raise ConfigError("\n".join([f"Config {name} is not allowed:", *lines])) from error


def flatten(table: Table, *, only_set: bool = False) -> dict[str, object]:
    """The values of a config by dotted key, without those that follow from others.

    Args:
        table: the config, or a table of one.
        only_set: leave out the values that nobody set, which are the defaults.
    """
    found: dict[str, object] = {}
    for key, field in type(table).model_fields.items():
        value = getattr(table, key)
        if field.exclude or (only_set and key not in table.model_fields_set):
            continue
        if isinstance(value, Table):
            found |= {f"{key}.{inner}": each for inner, each in flatten(value, only_set=only_set).items()}
        else:
            found[key] = value
    return found


def merge(values: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Put changes, whose keys may be dotted, into nested tables."""
    merged = dict(values)
    for dotted, value in changes.items():
        key, _, inner = dotted.partition(".")
        old = merged.get(key)
        if inner:
            merged[key] = merge(old if isinstance(old, Mapping) else {}, {inner: value})
        elif isinstance(value, Mapping) and isinstance(old, Mapping):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def parse_changes(changes: Sequence[str]) -> dict[str, object]:
    """The values of `--set` by key, which may be dotted; arguments and errors as in `load_config`."""
    values: dict[str, object] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not all(part.strip() for part in key.split(".")):
            raise ConfigError(
                f"--set {change} is not key=value. Write for instance --set batch_size=32 or --set penalty.r1=0.1."
            )
        try:
            parsed = tomllib.loads(f"value = {value}")
        except (ValueError, RecursionError):
            parsed = {"value": value.strip()}
        if len(parsed) > 1:
            raise ConfigError(f"--set {change!r} sets several keys. Repeat --set for each key.")
        values[key.strip()] = parsed["value"]
    return values
