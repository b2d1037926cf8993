"""The state of a GAN's run apart from its networks."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from training.gan.trainer import GanTrainer, mean_over_processes

_PENALTIES = ("r1", "r2")


class RunState:
    """Rollbacks, the accuracy of the discriminator, and the last penalties. Part of a checkpoint.

    Args:
        trainer: its `lr_scale` is saved and restored as well.

    Attributes:
        rollbacks: how often the run went back to an earlier checkpoint.
        penalties: r1 and r2 as last computed, by name: most steps have none.
    """

    def __init__(self, trainer: GanTrainer) -> None:
        self.rollbacks = 0
        self.penalties: dict[str, Tensor | float] = {}
        self._trainer = trainer
        self._accuracy: Tensor | float = 0.0  # summed over the steps
        self._steps = 0

    def record(self, scalars: Mapping[str, Tensor], fabric: Fabric) -> None:
        """Take in the scalars of a step."""
        self._accuracy = self._accuracy + scalars["d_accuracy"]
        self._steps += 1
        self.penalties |= {name: mean_over_processes(fabric, scalars[name]) for name in _PENALTIES if name in scalars}

    def take_accuracy(self, fabric: Fabric) -> float:
        """The mean accuracy of the discriminator since the last call, over all processes."""
        mean = torch.as_tensor(self._accuracy, device=fabric.device) / max(self._steps, 1)
        self._accuracy, self._steps = 0.0, 0
        return float(mean_over_processes(fabric, mean))

    def state_dict(self) -> dict[str, Any]:
        """The state in plain numbers."""
        return {
            "rollbacks": self.rollbacks,
            "lr_scale": self._trainer.lr_scale,
            "penalties": {name: float(value) for name, value in self.penalties.items()},
            "accuracy": float(self._accuracy),
            "steps": self._steps,
        }

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Restore a saved state."""
        self.rollbacks, self._trainer.lr_scale = state_dict["rollbacks"], state_dict["lr_scale"]
        self.penalties = dict(state_dict["penalties"])
        self._accuracy, self._steps = state_dict["accuracy"], state_dict["steps"]
