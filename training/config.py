"""Training configs: frozen, resolved once, saved with the run and in the card.

A config is a TOML file: one of `training/configs/` by name, or a path. It lists only what differs from the defaults below;
`--set key=value` changes single values.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.errors import ConfigError, first_line

CONFIGS = Path(__file__).parent / "configs"

Positive = Annotated[int, Field(ge=1, le=10**9)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0, le=1e12)]
Augmentation = Literal["translation", "cutout", "colour"]
Features = Literal["inception", "vgg", "pixels"]
Start = Literal["content", "noise"]  # of a painting: the photo, or noise
Layer = Literal[
    "relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3",
    "relu4_1", "relu4_2", "relu4_3", "relu5_1", "relu5_2", "relu5_3",
]  # fmt: skip
FEATURE_LAYERS: tuple[Layer, ...] = ("relu2_2", "relu3_3", "relu4_3")
"""What a GAN's second discriminator judges where a config does not say."""


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, lt=2**32)


class _RunConfig(_Config):
    sample_every: Positive = 500  # steps between sample pictures
    checkpoint_every: Positive = 500  # steps between checkpoints
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where the hardware multiplies it


class GanConfig(_RunConfig):
    """How to train a GAN. The defaults are the recipe that was measured to work best; see docs/gans.md."""

    architecture: str = "dcgan"
    image_size: int = Field(default=64, ge=16, le=256)  # pixels
    channels: Literal[1, 3] | None = None  # 1 grey, 3 RGB; None: as the pictures are
    latent_size: int = Field(default=100, ge=1, le=4096)
    width: int = Field(default=64, ge=4, le=512)  # channels of the layers beside the picture
    discriminator_width: int | None = Field(default=None, ge=4, le=512)  # None: as the generator's
    discriminator_norm: bool = False  # batch normalisation in the discriminator
    images: Positive = 400_000  # real pictures shown to the discriminator, repeats counted
    batch_size: int = Field(default=64, ge=2, le=4096)
    flip: bool = False  # mirror half of the pictures: right for faces, wrong for letters
    ema_decay: float = Field(default=0.999, ge=0, lt=1)  # a step, of the generator that is sampled and exported

    # Objective
    objective: Literal["bce", "hinge", "relativistic"] = "relativistic"
    r1: Weight = 0.2  # gradient penalty on real pictures
    r2: Weight = 0.2  # gradient penalty on fake pictures
    penalty_every: Positive = 16  # steps between two penalties, each weighed so many times more
    penalty_start: float = Field(default=1.0, ge=1, le=1000)  # r1 and r2 begin at so many times their weight ...
    penalty_fall: float = Field(default=0.0, ge=0, le=1)  # ... and fall to it in this part of the run
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)  # bce: real pictures are called 1 minus this
    instance_noise: float = Field(default=0.0, ge=0, le=2)  # of both kinds of pictures at first, falls to 0; they span -1..1
    augment: tuple[Augmentation, ...] | None = None  # of both kinds; None: all of them for few pictures, none for many
    pack: int = Field(default=1, ge=1, le=8)  # pictures that the discriminator judges together

    # Classes: each is compared with its own real pictures; the latents choose one
    classes: int = Field(default=0, ge=0, le=1000)  # as many as there are folders of pictures, each made as often; 0: none
    class_from: float = Field(default=0.2, ge=0, lt=1)  # part of the run after which they begin to be told apart ...
    class_rise: float = Field(default=0.2, ge=0, le=1)  # ... and the part in which that grows

    # Features: a second discriminator, which sees pictures through a frozen VGG-16
    feature_layers: tuple[Layer, ...] | None = None  # it judges each by itself; (): there is none; None: if it can be had
    feature_weight: Weight = 1.0  # of its part of the generator's loss
    feature_share: float = Field(default=0.5, gt=0, le=1)  # of each batch is judged: VGG-16 costs more than both networks
    feature_from: float = Field(default=0.4, ge=0, lt=1)  # part of the run after which it joins

    # Balance
    learning_rate: Rate = 4e-4  # the generator's
    d_learning_rate: Rate | None = None  # the discriminator's; None: as the generator's
    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.99, ge=0, lt=1)
    schedule: Literal["constant", "step", "cosine"] = "constant"  # of both learning rates
    warm_up: float = Field(default=0.0, ge=0, lt=1)  # part of the run in which they rise from 0
    step_every: float = Field(default=0.25, gt=0, le=1)  # part of the run after which `step` multiplies them ...
    step_factor: float = Field(default=0.5, gt=0, lt=1)  # ... by this
    d_steps: int = Field(default=1, ge=1, le=20)  # of the discriminator, each with pictures of its own, to ...
    g_steps: int = Field(default=1, ge=1, le=20)  # ... so many of the generator
    skip_below: float | None = None  # the discriminator's step is left out while its loss is below this
    shared_pass: bool = True  # one pass through both networks serves both phases, where each has one step

    # Watch
    evaluate_every: int = Field(default=500, ge=0, le=10**9)  # steps between two evaluations; 0: never
    evaluate_samples: int = Field(default=1000, ge=16, le=50_000)  # and at most as many real pictures
    features: Features | None = None  # what the metrics are measured in; None: inception, where its weights can be had

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.label_smoothing and self.objective != "bce":
            raise ValueError(f"label_smoothing is for objective bce; {self.objective} has no labels")
        if self.batch_size % self.pack:
            raise ValueError(f"batch_size {self.batch_size} must be a multiple of pack {self.pack}")
        if self.classes and (self.pack > 1 or self.classes > self.latent_size):
            raise ValueError(f"classes go without pack, and {self.classes} of them with a latent_size of as much at least")
        if self.penalty_start != 1 and not self.penalty_fall:
            raise ValueError(f"penalty_start {self.penalty_start:g} never falls: set penalty_fall to a part of the run")
        if self.feature_layers and not self.can_judge_features:
            raise ValueError("feature_layers go with shared_pass, one step of each network, and no pack")
        return self

    @property
    def can_judge_features(self) -> bool:
        """Whether a second discriminator can join this training."""
        return self.one_pass and self.pack == 1

    @property
    def one_pass(self) -> bool:
        """Whether one pass through both networks serves both phases."""
        return self.shared_pass and self.d_steps == self.g_steps == 1

    @property
    def images_a_step(self) -> int:
        """Real pictures shown in a step."""
        return self.batch_size * self.d_steps

    @property
    def steps(self) -> int:
        """Training steps: those that show `images`."""
        return -(-self.images // self.images_a_step)


class PaintingConfig(_Config):
    """What painting is asked to do: the objective that the slow optimisation and the fast network share."""

    style_size: int = Field(default=384, ge=64, le=2048)  # shorter side of a painting in pixels
    content_layers: tuple[Layer, ...] = Field(default=("relu3_3",), min_length=1)
    style_layers: tuple[Layer, ...] = Field(default=("relu1_2", "relu2_2", "relu3_3", "relu4_3"), min_length=1)
    content_weight: Weight = 1.0
    style_weight: Weight = 5.0
    variation_weight: Weight = 1.0


class StyleConfig(PaintingConfig, _RunConfig):
    """How to train a style network. After Johnson et al. 2016, at half their width."""

    width: int = Field(default=16, ge=4, le=128)
    residual_blocks: int = Field(default=5, ge=0, le=20)
    halvings: int = Field(default=2, ge=1, le=3)  # of the resolution, after the first layer and before the residual blocks
    kernel: Literal[3, 5, 7, 9] = 9  # side of the first convolution, and of the last where stride is 1
    stride: Literal[1, 2] = 1  # of the first convolution; 2: nothing is normalised at the full resolution
    separable: bool = False  # depthwise-separable convolutions in the residual blocks
    steps: Positive = 20_000
    batch_size: int = Field(default=4, ge=1, le=256)
    crop_size: int = Field(default=256, ge=64, le=1024, multiple_of=8)  # pixels
    optimizer: Literal["adam", "muon"] = "adam"  # muon: of the convolutions, all but the last
    learning_rate: Rate = 1e-3
    style_rate: float = Field(default=10.0, gt=0, le=100)  # of what belongs to a style, times learning_rate
    decay_from: float = Field(default=0.7, ge=0, le=1)  # fraction of the steps from which the rate falls to 0


ARCHITECTURE = ("width", "residual_blocks", "halvings", "kernel", "stride", "separable")
"""What of a `StyleConfig` makes the network: a trained one cannot have other values."""


class PaintConfig(PaintingConfig):
    """How to paint one picture by optimisation: Gatys, Ecker and Bethge 2016."""

    size: int = Field(default=512, ge=64, le=4096)  # longer side of the picture in pixels
    scales: int = Field(default=1, ge=1, le=5)  # sizes painted at, each twice the one before, the last one `size`
    start: Start = "content"
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    learning_rate: float = Field(default=5.0, gt=0, le=100)  # adam's, in grey levels
    iterations: int = Field(default=100, ge=1, le=100_000)  # at each scale
    sample_every: int = Field(default=0, ge=0)  # iterations between intermediate pictures; 0: none


SomeConfig = TypeVar("SomeConfig", bound=_Config)


def load_config(name: str, kind: type[SomeConfig], changes: Sequence[str] = ()) -> SomeConfig:
    """Read a config and apply changes to it.

    Args:
        name: a file of `training/configs/` without its ending, or a path to a TOML file.
        kind: `GanConfig`, `StyleConfig` or `PaintConfig`.
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
