"""Small architectures that only the tests register."""

from pydantic import Field
from torch import Tensor, nn, zeros
from torch import cat as concatenate

from training.gan.architectures import base, dcgan, mlp
from training.gan.architectures.base import GanArchitecture, Options


class StddevOptions(base.DiscriminatorOptions):
    """`per_sample` is not declared, so it is False."""

    width: int = 4


class StddevDiscriminator(nn.Module):
    """Minibatch standard deviation (Karras et al. 2018): each logit depends on the whole batch."""

    def __init__(self, image_size: int, channels: int, outputs: int, options: StddevOptions) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(channels, options.width, 4, stride=4), nn.LeakyReLU(0.2), nn.Flatten())
        self.last = nn.Linear(options.width * (image_size // 4) ** 2 + 1, outputs)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        deviation = features.std(dim=0).mean().expand(len(features), 1)
        logits: Tensor = self.last(concatenate([features, 20 * deviation], dim=1))
        return logits.squeeze(1)


class WrongStddevOptions(StddevOptions):
    """Declares `per_sample` although its logits depend on the batch."""

    @property
    def per_sample(self) -> bool:
        return True


class FadingOptions(Options):
    """An option that no other generator has."""

    width: int = Field(default=4, ge=4)
    brightness: float = 1.0


class FadingGenerator(mlp.Generator):
    """Fades its images in over the run."""

    fraction: Tensor

    def __init__(self, image_size: int, channels: int, latent_size: int, options: FadingOptions) -> None:
        super().__init__(image_size, channels, latent_size, dcgan.GeneratorOptions(width=options.width))
        self.brightness = options.brightness
        self.register_buffer("fraction", zeros(()))

    def set_progress(self, fraction: float) -> None:
        self.fraction.fill_(fraction)

    def forward(self, latents: Tensor) -> Tensor:
        return super().forward(latents) * self.fraction * self.brightness


STDDEV = GanArchitecture(dcgan.Generator, dcgan.GeneratorOptions, StddevDiscriminator, StddevOptions)
WRONG_STDDEV = GanArchitecture(dcgan.Generator, dcgan.GeneratorOptions, StddevDiscriminator, WrongStddevOptions)
FADING = GanArchitecture(FadingGenerator, FadingOptions, mlp.Discriminator, dcgan.DiscriminatorOptions)
