"""Images of a generator, as people and metrics see them."""

import torch
from torch import Tensor, nn

from training.images import to_uint8

_BATCH = 100


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
    images = torch.cat([to_uint8(generator(batch.to(device))) for batch in latents.split(_BATCH)])
    generator.train(training)
    return images
