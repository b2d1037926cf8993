"""The losses of discriminator and generator: three objectives, and the gradient penalties R1 and R2.

All take the logits of real images and of the generator's (fake) images, float [n]. A logit above 0 means "real".
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """The two losses of a GAN, each called with real_logits and fake_logits and returning a scalar."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


def objective(name: str, label_smoothing: float = 0.0) -> Objective:
    """An objective by name.

    Args:
        name: bce, hinge or relativistic.
        label_smoothing: for bce: the label of real images is 1 minus this (one-sided, Salimans et al. 2016).
    """
    if name == "bce":
        return Objective(lambda real, fake: bce_discriminator_loss(real, fake, label_smoothing), bce_generator_loss)
    return {
        "hinge": Objective(hinge_discriminator_loss, hinge_generator_loss),
        "relativistic": Objective(relativistic_discriminator_loss, relativistic_generator_loss),
    }[name]


def bce_discriminator_loss(real_logits: Tensor, fake_logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))], D the sigmoid of the logits: Goodfellow et al. 2014.

    It is 2 log 2 = 1.386 if the discriminator cannot tell real from fake.
    """
    real = F.binary_cross_entropy_with_logits(real_logits, torch.full_like(real_logits, 1 - label_smoothing))
    fake = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    return real + fake


def bce_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log D(G(z))], the non-saturating form: its gradients are strong while the discriminator wins.

    It is log 2 = 0.693 if the discriminator cannot tell real from fake. The real logits are not used.
    """
    return F.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[max(0, 1 - real)] + E[max(0, 1 + fake)]: Lim and Ye 2017, "Geometric GAN". It is 2 if all logits are 0."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def hinge_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[fake]. The real logits are not used."""
    return -fake_logits.mean()


def relativistic_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[softplus(fake - real)], pair by pair: Jolicoeur-Martineau 2018; with R1 and R2, Huang et al. 2024 (R3GAN).

    It is log 2 = 0.693 if the discriminator cannot tell real from fake. A fake image is compared with a real image instead of a
    fixed threshold, so the generator cannot win with a single good image.
    """
    return F.softplus(fake_logits - real_logits).mean()


def relativistic_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[softplus(real - fake)]: the discriminator's loss with the roles swapped."""
    return F.softplus(real_logits - fake_logits).mean()


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Half the mean squared norm of the logits' gradient: R1 on real images, R2 on fake images (Mescheder et al. 2018).

    It keeps the discriminator smooth around the images. The two networks converge because of it.

    Args:
        discriminator: images -> logits [n]. If a logit depends on other images as well, the norm includes their influence.
        images: float [n, c, h, w].

    Returns:
        A scalar that can be differentiated with respect to the discriminator's weights.
    """
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean() / 2
