"""The config of a GAN training: frozen, resolved once, saved with the run and in the card."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from training.config import Features, Layer, Positive, Rate, RunConfig, Table, Weight
from training.gan.architectures.base import DiscriminatorOptions, Options
from training.gan.architectures.registry import GANS
from training.progress import Progress

Augmentation = Literal["translation", "cutout", "colour"]
FEATURE_LAYERS: tuple[Layer, ...] = ("relu2_2", "relu3_3", "relu4_3")
"""The layers of VGG-16 that the second discriminator judges by default."""


class PenaltyConfig(Table):
    """The gradient penalties of the discriminators: R1 on real images, R2 on fake images."""

    r1: Weight = 0.2
    r2: Weight = 0.2
    every: Positive = 16  # steps between two penalties; each counts this many times
    initial_factor: float = Field(default=1.0, ge=1, le=1000)  # r1 and r2 start at this multiple of their weight ...
    ramp: float = Field(default=0.0, ge=0, le=1)  # ... and fall to their weight in this fraction of the run

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.initial_factor != 1 and not self.ramp:
            raise ValueError(f"initial_factor {self.initial_factor:g} never falls: set ramp to a fraction of the run")
        return self


class ClassesConfig(Table):
    """Classes: images of each class are compared with real images of that class; the latents choose the class."""

    count: int = Field(default=0, ge=0, le=1000)  # the number of folders of images; each class is made equally often; 0: none
    start: float = Field(default=0.2, ge=0, lt=1)  # fraction of the run after which classes are used ...
    ramp: float = Field(default=0.2, ge=0, le=1)  # ... and fraction in which their share in a logit rises to 1


class FeaturesConfig(Table):
    """The second discriminator, which sees images through a frozen VGG-16."""

    layers: tuple[Layer, ...] | None = None  # each has its own head; (): none; None: FEATURE_LAYERS if VGG-16 is found
    weight: Weight = 1.0  # of its part of the generator's loss
    fraction: float = Field(default=0.5, gt=0, le=1)  # of each batch that it sees; VGG-16 costs more than both networks
    start: float = Field(default=0.4, ge=0, lt=1)  # fraction of the run after which it joins


class AugmentationConfig(Table):
    """How often the discriminators see an augmented image instead of the image itself."""

    probability: float = Field(default=1.0, ge=0, le=1)  # of each augmentation, for each image
    ramp: float = Field(default=0.0, ge=0, le=1)  # fraction of the run in which the probability rises from 0
    target: float | None = Field(default=None, gt=0.5, lt=1)
    """Share of the pairs that the discriminator should get right: the probability starts at 0, rises while the share is higher,
    at most to `probability`, and falls while it is lower (Karras et al. 2020, ADA)."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.target is not None and self.ramp:
            raise ValueError("target and ramp both set the probability: leave one of them out")
        return self


class OptimizerConfig(Table):
    """Adam, and the schedule of both learning rates."""

    learning_rate: Rate = 4e-4  # of the generator
    d_learning_rate: Rate | None = None  # of the discriminators; None: the generator's
    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.99, ge=0, lt=1)
    final_beta2: float | None = Field(default=None, ge=0, lt=1)  # beta2 moves to this during the run; None: it stays
    schedule: Literal["constant", "step", "cosine"] = "constant"
    final_factor: float = Field(default=0.0, ge=0, le=1)  # `cosine` falls to this fraction of the rates
    warm_up: float = Field(default=0.0, ge=0, lt=1)  # fraction of the run in which the rates rise from 0
    step_every: float = Field(default=0.25, gt=0, le=1)  # fraction of the run after which `step` multiplies the rates ...
    step_factor: float = Field(default=0.5, gt=0, lt=1)  # ... by this


class EvaluationConfig(Table):
    """The evaluations while a run trains; the watch for collapse reads them."""

    every: int = Field(default=500, ge=0, le=10**9)  # steps between two evaluations; 0: never
    samples: int = Field(default=1000, ge=16, le=50_000)  # generated images, and the most real images
    network: Features | None = None  # what the metrics are measured in; None: inception, if its weights are found


class GanConfig(RunConfig):
    """How to train a GAN. The defaults are the recipe that was measured to work best; see docs/gans.md."""

    architecture: str = "dcgan"
    generator: SerializeAsAny[Options] = Field(default={}, validate_default=True)  # options of its generator
    discriminator: SerializeAsAny[DiscriminatorOptions] = Field(default={}, validate_default=True)  # and of its discriminator
    image_size: int = Field(default=64, ge=16, le=512)  # pixels
    channels: Literal[1, 3, 4] | None = None  # 1 grey, 3 RGB, 4 RGB and transparency; None: those of most images
    latent_size: int = Field(default=100, ge=1, le=4096)
    images: Positive = 400_000  # real images shown to the discriminator, repeats counted
    batch_size: int = Field(default=64, ge=2, le=4096)
    flip: bool = False  # mirror half of the images: right for faces, wrong for letters
    ema_decay: float = Field(default=0.999, ge=0, lt=1)  # per step, of the generator that is sampled and exported
    objective: Literal["bce", "hinge", "relativistic"] = "relativistic"
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)  # bce: the label of real images is 1 minus this
    penalty: PenaltyConfig = PenaltyConfig()
    optimizer: OptimizerConfig = OptimizerConfig()

    # With --from
    freeze: int = Field(default=0, ge=0, le=100)  # first layers of the discriminator that keep the weights of the other run

    # What the discriminators see
    augment: tuple[Augmentation, ...] | None = None  # real and fake images; None: all if there are few images, else none
    augmentation: AugmentationConfig = AugmentationConfig()
    instance_noise: float = Field(default=0.0, ge=0, le=2)  # on real and fake images at first, falls to 0; images span -1..1
    pack: int = Field(default=1, ge=1, le=8)  # images that the discriminator judges together
    classes: ClassesConfig = ClassesConfig()
    features: FeaturesConfig = FeaturesConfig()

    # Steps of each network
    d_steps: int = Field(default=1, ge=1, le=20)  # steps of the discriminator, each with images of its own, to ...
    g_steps: int = Field(default=1, ge=1, le=20)  # ... this many steps of the generator
    skip_below: float | None = None  # the discriminator skips its step while its loss is below this
    shared_pass: bool = True  # one pass through both networks serves both losses, if each network makes one step

    evaluation: EvaluationConfig = EvaluationConfig()

    @field_validator("architecture")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in GANS:
            raise ValueError(f"There is no architecture {name}. Known: {', '.join(sorted(GANS))}")
        return name

    @field_validator("generator", "discriminator", mode="before")
    @classmethod
    def _options(cls, values: object, info: ValidationInfo) -> object:
        """Check the options of a network by the model that the architecture brings for it."""
        architecture = GANS.get(info.data.get("architecture", ""))
        if architecture is None:  # already refused
            return DiscriminatorOptions()
        if info.field_name == "generator":
            return architecture.generator_options.model_validate(values)
        shared = {name: getattr(info.data.get("generator"), name, None) for name in architecture.shared_options}
        if isinstance(values, Mapping) and "generator" in info.data:
            for name in values.keys() & shared.keys():
                if values[name] != shared[name]:
                    raise ValueError(f"{name} is that of the generator, {shared[name]}. Set only generator.{name}")
            values = {**values, **shared}
        return architecture.discriminator_options.model_validate(values)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.label_smoothing and self.objective != "bce":
            raise ValueError(f"label_smoothing is for objective bce; {self.objective} has no labels")
        if self.batch_size % self.pack:
            raise ValueError(f"batch_size {self.batch_size} must be a multiple of pack {self.pack}")
        if (count := self.classes.count) and (self.pack > 1 or count > self.latent_size):
            raise ValueError(f"classes need pack = 1, and {count} classes need a latent_size of at least {count}")
        if self.features.layers and not self.can_judge_features:
            raise ValueError("features.layers need shared_pass, one step of each network, and pack = 1")
        return self

    @property
    def can_judge_features(self) -> bool:
        """Whether the second discriminator can join this training."""
        return self.one_pass and self.pack == 1

    @property
    def one_pass(self) -> bool:
        """Whether one pass through both networks serves both losses."""
        return self.shared_pass and self.d_steps == self.g_steps == 1

    @property
    def images_per_step(self) -> int:
        """Real images shown in a step."""
        return self.batch_size * self.d_steps

    @property
    def steps(self) -> int:
        """Training steps: enough to show `images`."""
        return -(-self.images // self.images_per_step)

    def progress(self, step: int) -> Progress:
        """The progress of the run at a step; the first is 1."""
        return Progress(step, self.steps, self.images_per_step)
