"""A stylizer to evaluate, from a run folder or from an exported file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganvas.card import IMAGES, KEEP_COLOR, STRENGTH, STYLES, StylizerCard
from training.errors import ExportError
from training.onnx_file import ExportedModel
from training.run import Run
from training.style.config import PaintingConfig
from training.style.export import stylizer_graph
from training.style.plan import StylePlan


@dataclass(frozen=True)
class Painter:
    """A stylizer to evaluate, from a run or from a file.

    Attributes:
        path: the run folder or the exported file.
        paint: photos uint8 [n, h, w, 3] and weights of the styles float [n, k] -> images uint8 [n, h, w, 3].
        styles: names of the k styles.
        config: the objective that it was trained to lower.
        multiple: h and w must be multiples of this number.
        step: training steps done; None if the card does not state them.
    """

    path: Path
    paint: Callable[[Tensor, Tensor], Tensor]
    styles: tuple[str, ...]
    config: PaintingConfig
    multiple: int
    step: int | None


def load_painter(path: Path, device: torch.device) -> Painter:
    """The network of a style run or of an exported file.

    Args:
        path: run folder or .onnx file.
        device: for a run's network. onnxruntime runs an exported one on the CPU.

    Raises:
        RunError: there is no run, a run of another kind, or a run without checkpoint.
        ExportError: the file is not an exported stylizer, cannot be run, or does not say what it was trained for.
    """
    return _exported(path) if path.is_file() else _trained(path, device)


def _trained(folder: Path, device: torch.device) -> Painter:
    run = Run.open(folder, StylePlan)
    checkpoint = run.checkpoint_to_export()
    graph = stylizer_graph(run, checkpoint).to(device)

    def paint(photos: Tensor, styles: Tensor) -> Tensor:
        ones = torch.ones(len(photos), device=device)
        vectors = styles.to(device) @ graph.stylizer.vectors()
        painted: Tensor = graph(photos.to(device), vectors, ones, 0 * ones)
        return painted

    config = PaintingConfig.model_validate(run.plan.config.model_dump(include=set(PaintingConfig.model_fields)))
    return Painter(folder, paint, tuple(run.plan.styles), config, graph.stylizer.size_multiple, checkpoint["step"])


def _exported(path: Path) -> Painter:
    model = ExportedModel(path, StylizerCard)
    card = model.card
    known = {"objective": "absolute", "style_scales": [1]} | card.training_config  # cards of before there was a choice
    objective = {name: value for name, value in known.items() if name in PaintingConfig.model_fields}
    if objective.keys() != PaintingConfig.model_fields.keys():
        raise ExportError(f"The card of {path} does not say what objective it was trained for. Export it again from its run.")

    vectors = card.style_vectors()

    def paint(photos: Tensor, styles: Tensor) -> Tensor:
        ones = np.ones(len(photos), np.float32)
        inputs = {IMAGES: photos.numpy(), STYLES: styles.numpy() @ vectors, STRENGTH: ones, KEEP_COLOR: 0 * ones}
        return torch.from_numpy(model.run(inputs))

    step = card.training_config.get("trained_steps")
    return Painter(
        path=path,
        paint=paint,
        styles=tuple(style.name for style in card.styles),
        config=PaintingConfig.model_validate(objective),
        multiple=card.size_multiple,
        step=step if isinstance(step, int) else None,
    )
