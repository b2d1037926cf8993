"""The optimizers of a style network: Adam, or Muon for the convolutions and Adam for the rest."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from training.progress import Progress
from training.run import Stateful
from training.schedules import cosine
from training.style.config import StyleConfig
from training.style.network import Stylizer, is_style_parameter

_BETAS = (0.9, 0.99)  # of Adam. The first losses are a hundred times the last, and 0.999 would remember them for 1,000 steps


class StyleOptimizers:
    """The optimizers of a network, with the schedule of their learning rates.

    Args:
        network: on its device. Its parameters that require a gradient are trained.
        config: names the optimizer and the rates.
    """

    def __init__(self, network: Stylizer, config: StyleConfig) -> None:
        self._network, self._config = network, config
        by_muon = dict(_convolutions(network)) if config.optimizer == "muon" else {}
        others = {n: p for n, p in network.named_parameters() if p.requires_grad and n not in by_muon}
        # Style parameters learn faster, because a step moves only the rows of the few styles in its batch.
        groups: list[dict[str, Any]] = [
            {"params": [p for n, p in others.items() if not is_style_parameter(n)]},
            {"params": [p for n, p in others.items() if is_style_parameter(n)], "lr": config.learning_rate * config.style_rate},
        ]
        self._optimizers: dict[str, Optimizer] = {"optimizer": torch.optim.Adam(groups, config.learning_rate, _BETAS)}
        if by_muon:
            self._optimizers["muon"] = _muon(list(by_muon.values()), config.learning_rate)
        self._rates = {name: [group["lr"] for group in each.param_groups] for name, each in self._optimizers.items()}

    @property
    def parts(self) -> dict[str, Stateful]:
        """The parts of a checkpoint, by name."""
        return dict(self._optimizers)

    def step(self, loss: Tensor, progress: Progress) -> None:
        """Make one step that lowers a loss, a scalar, at the learning rates of this progress."""
        factor = _rate_factor(self._config, progress.fraction)
        self._network.zero_grad()  # not through the optimizers: Muon's parameters are not the network's
        loss.backward()
        for name, optimizer in self._optimizers.items():
            for group, rate in zip(optimizer.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * factor
            optimizer.step()


def _convolutions(network: Stylizer) -> Iterator[tuple[str, nn.Parameter]]:
    """The weights that mix channels, except those of the output layer, as the authors of Muon advise."""
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and parameter.ndim == 4 and parameter.shape[1] > 1 and not name.startswith("last."):
            yield name, parameter


def _muon(weights: list[nn.Parameter], learning_rate: float) -> torch.optim.Muon:
    """Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".

    All singular values of an update become about 1, so flat directions of the loss learn as fast as steep ones. torch's Muon
    takes matrices, so it gets the weights as [outputs, inputs x height x width], which share their memory.
    """
    matrices = [nn.Parameter(weight.detach().flatten(1)) for weight in weights]
    muon = torch.optim.Muon(matrices, learning_rate, weight_decay=0, adjust_lr_fn="match_rms_adamw")

    def take_gradients(*_: object) -> None:
        for matrix, weight in zip(matrices, weights, strict=True):
            assert weight.grad is not None  # noqa: S101  set by the backward pass
            matrix.grad = weight.grad.flatten(1)

    muon.register_step_pre_hook(take_gradients)
    return muon


def _rate_factor(config: StyleConfig, fraction: float) -> float:
    """The factor of the learning rates at a fraction of the run: 1, then down to 0 along half a cosine."""
    decayed = (fraction - config.decay_from) / max(1 - config.decay_from, 1e-9)
    return cosine(min(max(decayed, 0.0), 1.0))
