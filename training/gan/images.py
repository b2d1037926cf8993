"""Images of a generator, as people and metrics see them."""

import torch
from torch import Tensor, nn

from training.images import to_uint8

_BATCH, _BATCH_SIDE = 100, 128


def rows_of_pass(side: int) -> int:
    """How many images of a side in pixels go through a network at once when nothing learns: memory then stays bounded."""
    return max(1, min(_BATCH, _BATCH * _BATCH_SIDE**2 // side**2))


@torch.no_grad()
def images_of(generator: nn.Module, latents: Tensor, device: torch.device) -> Tensor:
    """Images of a generator in evaluation mode. Afterwards it is in its old mode again.

    Args:
        generator: float [n, latent_size] -> float [n, c, h, w] in -1..1; on `device`.
        latents: float [n, latent_size], on any device.
        device: where to compute.

    Returns:
        uint8 [n, h, w, c], on `device`.
    """
    training = generator.training
    generator.eval()
    rows = rows_of_pass(generator(latents[:1].to(device)).shape[-1])
    images = torch.cat([to_uint8(generator(batch.to(device))) for batch in latents.split(rows)])
    generator.train(training)
    return images
