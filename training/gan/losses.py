"""What the discriminator and the generator each lower: three objectives, and the gradient penalties R1 and R2.

All take logits, float [n], above 0 for "real": those of real pictures and those of the generator's (fake) ones.
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
        label_smoothing: for bce: real pictures are called 1 minus this (Salimans et al. 2016, one-sided).
    """
    if name == "bce":
        return Objective(lambda real, fake: bce_discriminator_loss(real, fake, label_smoothing), bce_generator_loss)
    return {
        "hinge": Objective(hinge_discriminator_loss, hinge_generator_loss),
        "relativistic": Objective(relativistic_discriminator_loss, relativistic_generator_loss),
    }[name]


def bce_discriminator_loss(real_logits: Tensor, fake_logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))], D the sigmoid of the logits: Goodfellow et al. 2014.

    2 log 2 = 1.386 where the discriminator cannot tell.
    """
    real = F.binary_cross_entropy_with_logits(real_logits, torch.full_like(real_logits, 1 - label_smoothing))
    fake = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    return real + fake


def bce_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log D(G(z))], the non-saturating form: strong gradients while the discriminator still wins.

    log 2 = 0.693 where the discriminator cannot tell. The real logits are not used.
    """
    return F.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[max(0, 1 - real)] + E[max(0, 1 + fake)]: Lim and Ye 2017, "Geometric GAN". 2 where all logits are 0."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def hinge_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[fake]. The real logits are not used."""
    return -fake_logits.mean()


def relativistic_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[softplus(fake - real)], pair by pair: Jolicoeur-Martineau 2018; with R1 and R2, Huang et al. 2024 (R3GAN).

    log 2 = 0.693 where the discriminator cannot tell. Each fake picture has to look less real than a real one, rather than
    than a fixed border, so that the generator cannot satisfy it by a single good picture.
    """
    return F.softplus(fake_logits - real_logits).mean()


def relativistic_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[softplus(real - fake)]: the same with the roles swapped."""
    return F.softplus(real_logits - fake_logits).mean()


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
    """Half the mean squared length of the logits' gradient: R1 on real pictures, R2 on fake ones (Mescheder et al. 2018).

    It keeps the discriminator smooth where the pictures are, which is what lets the two networks settle.

    Args:
        discriminator: pictures -> logits [n], each of its own picture alone.
        pictures: float [n, c, h, w].

    Returns:
        A scalar that can be differentiated by the discriminator's weights.
    """
    pictures = pictures.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(pictures).sum(), pictures, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean() / 2
