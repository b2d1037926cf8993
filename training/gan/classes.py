"""Classes of images in a GAN: Mirza and Osindero 2014, "Conditional Generative Adversarial Nets".

The latents choose the class of a generated image, so an exported model needs no further input: the largest of the first k
latents decides. Each class is equally frequent, and truncation, which scales all latents, does not change the class. The
discriminator has one logit for all images and one for each class, and adds the logit of the image's own class (as in Miyato and
Koyama 2018). So an image between two classes is detected as fake.

If classes are used from the first step, each class collapses to a single image: Shahbazi et al. 2022, "Collapse by
Conditioning". As in that paper, classes are used only after the images have become varied.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.gan.architectures.base import fake_inputs, real_inputs


class ClassGenerator(nn.Module):
    """A generator whose latents are shifted by a learned vector of their class, which starts at 0.

    Args:
        generator: float [n, latent_size] -> images.
        latent_size: length d of a row of latents, at least `classes`.
        classes: number of classes, k.
    """

    def __init__(self, generator: nn.Module, latent_size: int, classes: int) -> None:
        super().__init__()
        self.generator = generator
        self.places = nn.Embedding(classes, latent_size)
        nn.init.zeros_(self.places.weight)

    def forward(self, latents: Tensor, *others: Tensor) -> Tensor:
        """Float [n, latent_size], and other inputs of the generator -> images."""
        images: Tensor = self.generator(self._place(latents), *others)
        return images

    def fake_inputs(self, latents: Tensor) -> Tensor:
        """See `training.gan.architectures.base.MakesInputs`."""
        return fake_inputs(self.generator, self._place(latents))

    def real_inputs(self, images: Tensor) -> Tensor:
        """See `training.gan.architectures.base.MakesInputs`."""
        return real_inputs(self.generator, images)

    def _place(self, latents: Tensor) -> Tensor:
        return latents + self.places(class_of(latents, self.places.num_embeddings))


def class_of(latents: Tensor, classes: int) -> Tensor:
    """The class that each row of latents float [n, d] chooses: int64 [n] in 0..classes-1."""
    return latents[:, :classes].argmax(dim=1)


def with_class(latents: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Make latents choose given classes: the largest of the first k latents and that of the label are swapped.

    The result is distributed like latents that choose the class by chance.

    Args:
        latents: float [n, d] from N(0, 1).
        labels: int64 [n] in 0..classes-1.
        classes: k.
    """
    rows, largest = torch.arange(len(latents), device=latents.device), class_of(latents, classes)
    moved = latents.clone()
    moved[rows, labels], moved[rows, largest] = latents[rows, largest], latents[rows, labels]
    return moved


@dataclass(frozen=True)
class Labels:
    """The classes of some images.

    Attributes:
        classes: int64 [n] in 0..k-1.
        share: share of the class in a logit: 0 (classes are not used) to 1.
    """

    classes: Tensor
    share: float

    def first(self, count: int) -> "Labels":
        """The labels of the first `count` images."""
        return Labels(self.classes[:count], self.share)


def logits_of(logits: Tensor, labels: Labels | None) -> Tensor:
    """One logit for each image: the logit for all images plus the share of the logit of its class.

    Args:
        logits: float [n, 1 + k] or [n, 1 + k, places]; without labels [n] or [n, places].
        labels: of the n images; None if there are no classes.

    Returns:
        float [n] or [n, places].
    """
    if labels is None:
        return logits
    rows = torch.arange(len(logits), device=logits.device)
    return logits[:, 0] + labels.share * logits[rows, 1 + labels.classes]
