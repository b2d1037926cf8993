"""Exports a run to one self-describing ONNX file, and compares the file with the trained network before writing it.

    python -m training export runs/NAME --title "My cats" --licence "CC BY 4.0"

The file contains weights, card and all pre- and post-processing, and nothing about the exporting machine.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.export import Dim

from ganvas.card import OUTPUT, Card
from ganvas.tensors import ROWS, Dimension
from training.card_details import CardDetails
from training.errors import ExportError
from training.images import ALPHA
from training.kinds import open_run
from training.metrics.evaluation import Evaluation, read_evaluation, rounded
from training.onnx_file import Inputs, check_name, forget_the_machine, set_card, write_model

TOLERANCE = 1
"""Grey levels by which onnxruntime may differ from torch: rounding."""

EXPORTED = Path("exported")
"""The folder whose models the service serves by default."""

_BATCHES = (1, 2, 5)


class Exported(NamedTuple):
    """An export that succeeded.

    Attributes:
        card: that was written.
        step: of the exported checkpoint.
        steps: of the whole run.
        outdated: the run's evaluation if it measured another checkpoint, so that the card leaves its metrics out.
    """

    card: Card
    step: int
    steps: int
    outdated: Evaluation | None


def export_run(folder: Path, out: Path, details: CardDetails) -> Exported:
    """Export the run's best checkpoint or, if the run keeps none, the last.

    The card gets the metrics of `python -m training evaluate` if they measure the same checkpoint.

    Args:
        folder: a run folder.
        out: the file to write, NAME.onnx. An older file is replaced after the new one has passed the comparison.
        details: what the run cannot know.

    Raises:
        RunError: there is no run or no checkpoint, or the evaluation cannot be read.
        ExportError: the name is not allowed, the details do not fit, the file cannot be written, or onnxruntime and torch
            differ.
    """
    check_name(out)
    kind, run = open_run(folder)
    checkpoint = run.checkpoint_to_export()
    step: int = checkpoint["step"]
    evaluation = read_evaluation(folder)
    if evaluation and evaluation.step == step:
        details = details.model_copy(update={"metrics": (*rounded(evaluation.metrics), *details.metrics)})
        evaluation = None
    graph, card = kind.export(run, checkpoint, out.stem, details)
    if not all(value.isfinite().all() for value in graph.state_dict().values() if value.is_floating_point()):
        raise ExportError(f"The network in {folder} holds NaN or infinite numbers: its training diverged. Start a new run.")
    model = to_onnx(graph, card)
    set_card(model, card)
    onnx.checker.check_model(model, full_check=True)
    compare(graph, model.SerializeToString(), trials(card))
    write_model(model, out)
    return Exported(card, step, run.plan.steps, evaluation)


def to_onnx(graph: nn.Module, card: Card) -> onnx.ModelProto:
    """Convert a network to ONNX with the dynamic dimensions of its card, without the card inside.

    Args:
        graph: in evaluation mode; takes the card's inputs in their order.
        card: of the model.

    Raises:
        ExportError: torch's exporter returned nothing.
    """
    example = trials(card)[-1]
    dynamic = {name: _dynamic(dimension) for name, dimension in card.dimensions.items()}
    shapes = {
        tensor.name: {i: dynamic[d.name] for i, d in enumerate(tensor.shape) if isinstance(d, Dimension)}
        for tensor in card.inputs
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's internals; a user cannot act on them
        program = torch.onnx.export(
            graph, tuple(map(torch.from_numpy, example.values())), dynamo=True, dynamic_shapes=shapes, external_data=False,
            verbose=False, input_names=list(example), output_names=[OUTPUT],
        )  # fmt: skip
    if program is None:
        raise ExportError("torch.onnx.export returned nothing. Nothing was written. See its messages above.")
    model = program.model_proto
    forget_the_machine(model)
    return model


def trials(card: Card) -> list[Inputs]:
    """Inputs to compare torch and onnxruntime on: several batch sizes, each at several sizes of the other dimensions."""
    free = [dimension for dimension in card.dimensions.values() if dimension != ROWS]
    sizes: list[Mapping[str, int]] = [{}]
    if free:
        sizes.append({d.name: d.fit(4 * d.least) for d in free})
        sizes.append({d.name: d.fit((3 + 2 * i) * d.least + i * d.multiple) for i, d in enumerate(free)})
    return [card.example(rows, each, seed=rows) for rows in _BATCHES for each in sizes]


def compare(graph: nn.Module, model: bytes, inputs: Sequence[Inputs]) -> None:
    """Run a network and its ONNX file on the same inputs.

    Args:
        graph: the torch network; its output is uint8.
        model: content of the ONNX file.
        inputs: of each run, in the order of the graph's arguments.

    Raises:
        ExportError: a value differs by more than `TOLERANCE` grey levels. Colours count as much as alpha shows of them.
    """
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for each in inputs:
        with torch.no_grad():
            expected = graph(*map(torch.from_numpy, each.values())).numpy()
        (found,) = session.run(None, each)
        worst = float(np.abs(_visible(expected) - _visible(found)).max())
        if worst > TOLERANCE:
            at = ", ".join(f"{name} {list(value.shape)}" for name, value in each.items())
            raise ExportError(
                f"onnxruntime differs from torch by {worst:g} grey levels at {at}; {TOLERANCE} is allowed. Nothing was "
                "written. An operator is exported wrongly: report it, with run.json."
            )


def _visible(images: np.ndarray) -> np.ndarray:
    """Uint8 [n, h, w, c] -> float32 [n, h, w, c] in grey levels: with four channels, colours are multiplied by alpha."""
    levels = images.astype(np.float32)
    if images.shape[-1] == ALPHA + 1:
        levels[..., :ALPHA] *= levels[..., ALPHA:] / 255
    return levels


def _dynamic(dimension: Dimension) -> Any:
    """The dimension in torch's terms; its range counts multiples."""
    if dimension.multiple == 1:
        return Dim(dimension.name, min=dimension.least)
    return dimension.multiple * Dim(f"{dimension.name}_part", min=-(-dimension.least // dimension.multiple))
