"""torchvision's VGG-16, importable beside a CPU build of torch.

Beside a CPU build of torch, a torchvision built for CUDA cannot load its compiled library. Its import then fails when it
registers a shape rule for an operator that was never declared (`operator torchvision::nms does not exist`). Ganvas uses none of
these operators, so it is enough to declare them.
"""

import importlib.util
from pathlib import Path

import torch


def _declare_missing_operators() -> torch.library.Library | None:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return None
    try:
        for library in Path(spec.origin).parent.glob("_C*.so"):
            torch.ops.load_library(library)
        if hasattr(torch.ops.torchvision, "nms"):
            return None
    except OSError:  # built for CUDA, and CUDA is missing
        pass
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return operators


_OPERATORS = _declare_missing_operators()  # kept while the process lives: the operators vanish with this object

from torchvision.models import VGG16_Weights, vgg16  # noqa: E402  can be imported only now

__all__ = ["VGG16_Weights", "vgg16"]
