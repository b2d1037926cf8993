"""Exports a run: one self-describing ONNX file, compared with the trained network before it is written.

    python -m training export runs/NAME exported/NAME.onnx --card about.toml

The weights, the card and all pre- and post-processing are inside the file; nothing of the exporting machine is.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.export import Dim
from torch.optim.swa_utils import AveragedModel

from ganvas.card import METADATA_KEY, OUTPUT, Card, GeneratorCard, Name, StylizerCard, dump_card
from ganvas.files import write_whole
from training.card_details import CardDetails
from training.cards import generator_card, stylizer_card
from training.errors import ExportError, RunError
from training.gan.setup import build_generator
from training.graphs import GeneratorGraph, StylizerGraph
from training.metrics.evaluation import read_evaluation, rounded
from training.run import BEST, GanPlan, Run, StylePlan
from training.style.loop import build_stylizer
from training.style.network import Stylizer

TOLERANCE = 1
"""Grey levels by which onnxruntime may differ from torch: rounding."""

_BATCHES = (1, 2, 5)


def export_run(folder: Path, out: Path, about: CardDetails) -> GeneratorCard | StylizerCard:
    """Export the run's best checkpoint, by Frechet distance where that was measured; else the last.

    The metrics of `python -m training evaluate` go to the card if they are of this checkpoint.

    Args:
        folder: a run folder.
        out: the file to write, NAME.onnx; an older one is replaced once the new one is known to be good.
        about: what the run cannot know.

    Returns:
        The card that was written.

    Raises:
        RunError: there is no run or no checkpoint, or its evaluation cannot be read.
        ExportError: the name is none, the file cannot be written, or onnxruntime and torch differ.
    """
    check_name(out)
    run = Run.open(folder)
    checkpoint = checkpoint_to_export(run)
    plan = run.plan
    evaluation = read_evaluation(folder)
    if evaluation and evaluation.step == checkpoint["step"]:
        about = about.model_copy(update={"metrics": (*rounded(evaluation.metrics), *about.metrics)})
    graph: GeneratorGraph | StylizerGraph
    card: GeneratorCard | StylizerCard
    if isinstance(plan, GanPlan):
        graph = generator_graph(run, plan, checkpoint)
        card, trials = generator_card(out.stem, plan, about, checkpoint["step"]), _generator_trials(plan)
    else:
        graph = stylizer_graph(run, plan, checkpoint)
        card = stylizer_card(out.stem, plan, about, checkpoint["step"], graph.stylizer)
        trials = stylizer_trials(graph.stylizer)
    graph.eval()
    if not all(value.isfinite().all() for value in graph.state_dict().values() if value.is_floating_point()):
        raise ExportError(f"The network in {folder} holds numbers that are not finite: its training went wrong. Train anew.")
    model = to_onnx(graph, trials[-1])
    onnx.helper.set_model_props(model, {METADATA_KEY: dump_card(card)})
    onnx.checker.check_model(model, full_check=True)
    compare(graph, model.SerializeToString(), trials)
    write_model(model, out)
    return card


def checkpoint_to_export(run: Run[Any]) -> dict[str, Any]:
    """The best checkpoint of a run where there is one; else the last.

    Raises:
        RunError: there is none yet, or it cannot be read.
    """
    checkpoint = run.load_checkpoint(BEST) or run.load_checkpoint()
    if checkpoint is None:
        raise RunError(f"{run.folder} has no checkpoint yet. Let it train on (--resume) until it has one.")
    return checkpoint


def generator_graph(run: Run[Any], plan: GanPlan, checkpoint: dict[str, Any]) -> GeneratorGraph:
    """The averaged generator of a checkpoint, as it is exported.

    Raises:
        RunError: the checkpoint does not fit the plan.
    """
    generator = build_generator(plan.config)
    average = AveragedModel(generator)
    run.fit(average, checkpoint, "average")
    return GeneratorGraph(average.module)


def write_card(path: Path, card: Card) -> None:
    """Replace the card of an exported file; all else in it stays as it is.

    Raises:
        ExportError: the file cannot be written.
    """
    model = onnx.load(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, metadata | {METADATA_KEY: dump_card(card)})
    write_model(model, path)


def compare(graph: nn.Module, model: bytes, trials: list[dict[str, Tensor]]) -> None:
    """Run both on the same inputs.

    Args:
        graph: the torch network, uint8 out.
        model: the ONNX file's bytes.
        trials: input name -> tensor, in the order of the graph's arguments; several batch sizes and sizes.

    Raises:
        ExportError: a value differs by more than `TOLERANCE` grey levels.
    """
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for inputs in trials:
        with torch.no_grad():
            expected = graph(*inputs.values()).numpy()
        (found,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        worst = int(np.abs(expected.astype(np.int16) - found.astype(np.int16)).max())
        if worst > TOLERANCE:
            at = ", ".join(f"{name} {list(value.shape)}" for name, value in inputs.items())
            raise ExportError(
                f"onnxruntime differs from torch by {worst} grey levels at {at}; {TOLERANCE} is allowed. Nothing was "
                "written. "
                "The export of some operator is wrong: report it, with run.json."
            )


def check_name(out: Path) -> None:
    """Is this where an exported model can stand?

    Raises:
        ExportError: it is no .onnx file, or its name is no model name.
    """
    if out.suffix != ".onnx":
        raise ExportError(f"{out} is no .onnx file. Name the file to write, for instance exported/{out.stem}.onnx.")
    try:
        TypeAdapter(Name).validate_python(out.stem)
    except ValidationError:
        raise ExportError(
            f"{out.stem} is no model name: lower-case letters, digits and inner hyphens, at most 63, such as my-cats.onnx."
        ) from None


def stylizer_graph(run: Run[Any], plan: StylePlan, checkpoint: dict[str, Any]) -> StylizerGraph:
    """The style network of a checkpoint, as it is exported.

    Raises:
        RunError: the checkpoint does not fit the plan.
    """
    stylizer = build_stylizer(plan.config, len(plan.styles))
    run.fit(stylizer, checkpoint, "network")
    return StylizerGraph(stylizer)


def _generator_trials(plan: GanPlan) -> list[dict[str, Tensor]]:
    rng = torch.Generator().manual_seed(0)
    return [{"latents": torch.randn(n, plan.config.latent_size, generator=rng)} for n in _BATCHES]


def stylizer_trials(stylizer: Stylizer) -> list[dict[str, Tensor]]:
    """Inputs by name for its graph, of several batch sizes and sizes."""
    rng = torch.Generator().manual_seed(0)
    least, multiple = stylizer.min_side, stylizer.size_multiple
    return [
        {
            "images": torch.randint(0, 256, (n, height, width, 3), dtype=torch.uint8, generator=rng),
            "styles": torch.rand(n, stylizer.styles, generator=rng).softmax(dim=1),
            "strength": torch.rand(n, generator=rng),
            "keep_color": torch.rand(n, generator=rng),
        }
        for n in _BATCHES
        for height, width in ((least, least), (4 * least, 4 * least), (3 * least, 5 * least + multiple))
    ]


def to_onnx(graph: GeneratorGraph | StylizerGraph, example: dict[str, Tensor]) -> onnx.ModelProto:
    """A graph as ONNX, batch and picture size dynamic, without a card.

    Args:
        graph: in evaluation mode.
        example: input name -> tensor, in the order of the graph's arguments; with two rows at least.

    Raises:
        ExportError: torch's exporter returned nothing.
    """
    n = Dim("n", min=1)
    if isinstance(graph, GeneratorGraph):
        shapes: dict[str, Any] = {"latents": {0: n}}
    else:
        multiple = graph.stylizer.size_multiple
        height, width = (multiple * Dim(name, min=graph.stylizer.min_side // multiple) for name in ("h_part", "w_part"))
        shapes = {"images": {0: n, 1: height, 2: width}, "styles": {0: n}, "strength": {0: n}, "keep_color": {0: n}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own internals: nothing a user could act on
        program = torch.onnx.export(
            graph, tuple(example.values()), dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False,
            input_names=list(example), output_names=[OUTPUT],
        )  # fmt: skip
    if program is None:
        raise ExportError("torch.onnx.export returned nothing. Nothing was written; look at its messages above.")
    model = program.model_proto
    _forget_the_machine(model)
    return model


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a file whole or not at all.

    Raises:
        ExportError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda partial: onnx.save(model, partial))
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}.") from error


def _forget_the_machine(model: onnx.ModelProto) -> None:
    """Remove the stack traces, with paths of this machine, that the exporter leaves on every node and value."""
    model.doc_string = model.graph.doc_string = ""
    graph = model.graph
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, *model.functions):
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.metadata_props[:]
