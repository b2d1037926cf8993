"""torchvision's VGG-16, importable beside a CPU build of torch.

A torchvision built against CUDA cannot load its compiled library then, and stops on registering a shape rule for operators
that nobody declared (`operator torchvision::nms does not exist`). Ganvas uses none of them, so declaring them is enough.
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
    except OSError:  # built against CUDA, and there is none
        pass
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return operators


_OPERATORS = _declare_missing_operators()  # kept for as long as the process lives: the operators vanish with the object

from torchvision.models import VGG16_Weights, vgg16  # noqa: E402  only now can it be imported

__all__ = ["VGG16_Weights", "vgg16"]
