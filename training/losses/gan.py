"""The classic objective: Goodfellow et al. 2014, "Generative Adversarial Nets", with the non-saturating generator."""

import torch
import torch.nn.functional as F
from torch import Tensor


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))], with D the sigmoid of the logits.

    Args:
        real_logits: float [n], of real pictures; above 0 says real.
        fake_logits: float [n], of the generator's pictures.

    Returns:
        A scalar; 2 log 2 = 1.386 where the discriminator cannot tell.
    """
    real = F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
    fake = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    return real + fake


def generator_loss(fake_logits: Tensor) -> Tensor:
    """-E[log D(G(z))], the non-saturating form: strong gradients while the discriminator still wins.

    Args:
        fake_logits: float [n].

    Returns:
        A scalar; log 2 = 0.693 where the discriminator cannot tell.
    """
    return F.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))
