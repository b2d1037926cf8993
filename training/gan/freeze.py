"""FreezeD: Mo et al. 2020, "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs".

The first layers of a trained discriminator know edges and textures, which other images have as well. Few images can only make
them worse, so they do not learn.
"""

import torch
from torch import Tensor, nn

from training.errors import ConfigError
from training.gan.architectures.base import modules_with_progress


@torch.no_grad()
def freeze_first(discriminator: nn.Module, count: int, example: Tensor) -> None:
    """Keep the first layers with weights, and what follows each before the next one, such as a normalisation, from learning.

    Args:
        discriminator: the layers count in the order in which an image passes them.
        count: number of layers.
        example: float [n, c, h, w], any input of the discriminator.

    Raises:
        ConfigError: nothing would be left to learn.
    """
    passed: list[nn.Module] = []
    owners = [module for module in discriminator.modules() if any(True for _ in module.parameters(recurse=False))]
    hooks = [module.register_forward_pre_hook(lambda module, _: passed.append(module)) for module in owners]
    for growing in modules_with_progress(discriminator):
        growing.set_progress(1.0)  # else layers that join later would not be passed
    training = discriminator.training
    discriminator.eval()(example)
    discriminator.train(training)
    for hook in hooks:
        hook.remove()
    layers = 0
    order = list(dict.fromkeys(passed))
    if count >= (total := sum(map(_has_weights, order))):
        raise ConfigError(f"freeze is {count}, but the discriminator has {total} layers. Choose at most {total - 1}.")
    for module in order:
        layers += _has_weights(module)
        if layers > count:
            return
        module.requires_grad_(False)


def _has_weights(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
