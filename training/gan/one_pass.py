"""The gradients of both networks from one pass: Shen et al. 2021, "Training GANs in One Stage"."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_MIN_GRADIENT = 1e-20  # of a logit


def one_pass_gradients(
    d_loss: Tensor,
    g_loss: Tensor,
    penalty: Tensor | float,
    fake_logits: Tensor,
    fake_leaf: Tensor,
    parameters: Iterable[nn.Parameter],
    *,
    shared_backward: bool,
) -> Tensor:
    """Put the discriminator's gradients into its parameters, and return the generator's gradient at the fake images.

    The generator learns from the discriminator as it was before its step, so one forward pass gives the logits of both losses.
    What is left to find is the gradient of g_loss at the fake images x:

        dg/dx = (dg/dlogits) (dlogits/dx)

    In general that is a backward pass of its own. But if the logit of an image depends on that image alone, dlogits/dx has one
    row per image, and the gradients of the two losses at an image differ only by a factor:

        dg/dx[i] = (dg/dlogits[i]) / (dd/dlogits[i]) * dd/dx[i]

    Then the backward pass of d_loss serves both losses. This is wrong if logits depend on the rest of the batch, and the
    factor does not exist if dd/dlogits is 0 where dg/dlogits is not, as with the hinge objective.

    Args:
        d_loss: the discriminator's loss, a scalar.
        g_loss: the generator's loss, a scalar.
        penalty: gradient penalties, which only the discriminator learns from.
        fake_logits: float [n / pack], not a leaf; both losses were computed from it.
        fake_leaf: float [n, c, h, w], the fake images as a leaf that requires gradients.
        parameters: of the discriminator; their gradients are added to.
        shared_backward: one backward pass serves both losses. dd/dlogits must be positive and the logits per sample.

    Returns:
        float [n, c, h, w].
    """
    if not shared_backward:
        (grad_fake,) = torch.autograd.grad(g_loss, fake_leaf, retain_graph=True)
        (d_loss + penalty).backward(inputs=list(parameters))
        return grad_fake
    (dd_dlogits,) = torch.autograd.grad(d_loss, fake_logits, retain_graph=True)
    (dg_dlogits,) = torch.autograd.grad(g_loss, fake_logits, retain_graph=True)
    # dd_dlogits rounds to 0 if the discriminator is sure. The same floor in the backward pass makes the product exact again.
    fake_logits.register_hook(lambda gradient: gradient.clamp_min(_MIN_GRADIENT))
    factor = dg_dlogits / dd_dlogits.clamp_min(_MIN_GRADIENT)
    (d_loss + penalty).backward(inputs=[*parameters, fake_leaf])
    assert fake_leaf.grad is not None  # noqa: S101  backward has just filled it
    return fake_leaf.grad * factor.repeat_interleave(len(fake_leaf) // len(factor))[:, None, None, None]
