"""Classes of pictures in a GAN: Mirza and Osindero 2014, "Conditional Generative Adversarial Nets".

The generator's class is chosen by its latents, so that what is exported takes nothing else: of the first k latents the largest
one names it, each class as often as any other, and truncation, which scales all of them, leaves it alone. The discriminator has
a logit for all pictures and one for each class, of which the picture's own is added (as in Miyato and Koyama 2018). Nothing
passes that lies between two classes.

Told apart from the start, each class becomes a single picture: Shahbazi et al. 2022, "Collapse by Conditioning". As there,
classes come in once the pictures as a whole are of many kinds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


class ClassGenerator(nn.Module):
    """A generator whose latents are moved to a place of their class, which is learnt from 0 on.

    Args:
        generator: float [n, latent_size] -> pictures.
        latent_size: length d of a row of latents, at least `classes`.
        classes: how many, k.
    """

    def __init__(self, generator: nn.Module, latent_size: int, classes: int) -> None:
        super().__init__()
        self.generator = generator
        self.places = nn.Embedding(classes, latent_size)
        nn.init.zeros_(self.places.weight)

    def forward(self, latents: Tensor) -> Tensor:
        """Float [n, latent_size] -> what the generator makes of them."""
        pictures: Tensor = self.generator(latents + self.places(class_of(latents, self.places.num_embeddings)))
        return pictures


def class_of(latents: Tensor, classes: int) -> Tensor:
    """Latents float [n, d] -> the class that each row chooses: int64 [n] in 0..classes-1."""
    return latents[:, :classes].argmax(dim=1)


def with_class(latents: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Latents as they are distributed where they choose a given class: the largest of the first k and the label's swapped.

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
    """The classes of some pictures.

    Attributes:
        classes: int64 [n] in 0..k-1.
        share: of the class in a logit: 0 (not told apart) to 1.
    """

    classes: Tensor
    share: float

    def first(self, count: int) -> "Labels":
        """Those of the first so many pictures."""
        return Labels(self.classes[:count], self.share)


def logits_of(logits: Tensor, labels: Labels | None) -> Tensor:
    """One logit for each picture: the one for all, and that of its own class.

    Args:
        logits: float [n, 1 + k] or [n, 1 + k, places]; without labels [n] or [n, places].
        labels: of the n pictures, or None where there are no classes.

    Returns:
        float [n] or [n, places].
    """
    if labels is None:
        return logits
    rows = torch.arange(len(logits), device=logits.device)
    return logits[:, 0] + labels.share * logits[rows, 1 + labels.classes]
