"""The config of a GAN training: frozen, resolved once, saved with the run and in the card."""

from typing import Literal, Self

from pydantic import Field, model_validator

from training.config import Features, Layer, Positive, Rate, RunConfig, Weight

Augmentation = Literal["translation", "cutout", "colour"]
FEATURE_LAYERS: tuple[Layer, ...] = ("relu2_2", "relu3_3", "relu4_3")
"""The layers that a GAN's second discriminator judges by default."""


class GanConfig(RunConfig):
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
