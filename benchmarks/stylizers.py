"""Measures parameters, work and time of untrained style networks, and the time of exported stylizers.

    python -m benchmarks.stylizers [--size 512] [--threads 2] [--rounds 10] [--beside FILE.onnx ...] [--int8] [--table FILE]

Files for --beside need one image among their inputs: float [1, 3, h, w] or uint8 [n, h, w, 3]. Other inputs are zeros. The
last column compares with the first row. All networks take turns, so a slow moment of the machine affects each of them.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import onnxruntime
import torch
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.command import run_command
from ganvas.card import Style, StylizerCard
from ganvas.files import write_whole
from training.export import to_onnx
from training.style.config import StyleConfig
from training.style.export import StylizerGraph, written_vectors
from training.style.network import Stylizer, build_stylizer
from training.style.quantize import quantized

_STYLES = 8

_JOHNSON = "Johnson et al. 2016"

VARIANTS: dict[str, dict[str, Any]] = {
    _JOHNSON: {"width": 32},
    "half the width": {},
    "quarter width": {"width": 8},
    "quarter width, three halvings": {"width": 8, "kernel": 5, "halvings": 3},
    "stride 2": {"kernel": 5, "stride": 2},
    "stride 2, width 24": {"width": 24, "kernel": 5, "stride": 2},
    "stride 2, one halving": {"kernel": 5, "stride": 2, "halvings": 1},
    "stride 2, one halving, width 24": {"width": 24, "kernel": 5, "stride": 2, "halvings": 1},
    "stride 2, one halving, width 32, four blocks": {
        "width": 32,
        "kernel": 5,
        "stride": 2,
        "halvings": 1,
        "residual_blocks": 4,
    },
    "stride 2, three halvings": {"kernel": 5, "stride": 2, "halvings": 3},
    "stride 2, separable": {"kernel": 5, "stride": 2, "separable": True},
}
"""Changes to the defaults of `StyleConfig`."""


def main(
    size: Annotated[int, typer.Option(min=64, help="Side of the image in pixels.")] = 512,
    threads: Annotated[int, typer.Option(min=1, help="Threads of onnxruntime and torch.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each variant.")] = 10,
    only: Annotated[list[str], typer.Option(help="Measure only this variant. May be repeated.")] = [],  # noqa: B006
    beside: Annotated[list[Path], typer.Option(help="Another exported stylizer. May be repeated.")] = [],  # noqa: B006
    int8: Annotated[bool, typer.Option(help="Also measure each variant with convolutions in int8.")] = False,
    table: Annotated[Path | None, typer.Option(help="File for the table.")] = None,
) -> None:
    """Compare style networks of several shapes."""
    torch.set_num_threads(threads)
    if unknown := [name for name in only if name not in VARIANTS]:
        raise typer.BadParameter(f"There is no variant {unknown[0]!r}. Known: {', '.join(VARIANTS)}.")
    runs: dict[str, Callable[[], object]] = {path.stem: _session(path.read_bytes(), size, threads) for path in beside}
    costs: dict[str, tuple[str, str]] = {}
    for name in track(only or list(VARIANTS), "Exporting", transient=True):
        network = build_stylizer(StyleConfig.model_validate(VARIANTS[name]), _STYLES).eval()
        costs[name] = (f"{sum(p.numel() for p in network.parameters()):,}", f"{gigaflops(network, size):.1f}")
        model = to_onnx(StylizerGraph(network).eval(), _card(network))
        runs[name] = _session(model.SerializeToString(), size, threads)
        if int8:
            runs[f"{name}, int8"] = _session(quantized(model, [_inputs(model, size)]).SerializeToString(), size, threads)
        if name == _JOHNSON:
            runs[f"{name}, PyTorch"] = partial(_paint, network, size)
    times = {name: statistics.median(taken) for name, taken in interleaved(runs, rounds).items()}
    first = times[next(iter(times))]
    lines = [
        f"One image of {size} x {size}, onnxruntime, {threads} threads, median of {rounds} interleaved runs.\n",
        f"| network | parameters | GFLOP | ms | of {next(iter(times))} |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {name} | {' | '.join(costs.get(name, ('', '')))} | {1000 * taken:.0f} | {taken / first:.2f} |"
            for name, taken in times.items()
        ),
    ]
    text = "\n".join(lines) + "\n"
    Console().print(Markdown(text))
    if table:
        write_whole(table, lambda path: path.write_text(text))


def _card(network: Stylizer) -> StylizerCard:
    """The tensors of a network that no run trained."""
    style, vectors = {"title": "none", "artist": "none", "licence": "none"}, written_vectors(network)
    return StylizerCard(
        name="variant",
        title="none",
        summary="none",
        architecture="none",
        licence="none",
        training_data=(),
        training_config={},
        size_multiple=network.size_multiple,
        min_side=network.min_side,
        styles=tuple(
            Style.model_validate(style | {"name": f"style-{k}", "vector": vector}) for k, vector in enumerate(vectors)
        ),
    )


def gigaflops(network: Stylizer, size: int) -> float:
    """Multiplications and additions for one image, in billions. Counts only convolutions; the rest is small."""
    with FlopCounterMode(display=False) as counter:
        _paint(network, size)
    return counter.get_total_flops() / 1e9


def _inputs(model: onnx.ModelProto, size: int) -> dict[str, np.ndarray]:
    """A random image and zeros for a model from `to_onnx`. This is enough to measure time."""
    shapes = [[dim.dim_value or dim.dim_param for dim in each.type.tensor_type.shape.dim] for each in model.graph.input]
    names = [each.name for each in model.graph.input]
    return {name: _input("tensor(uint8)", shape, size) for name, shape in zip(names, shapes, strict=True)}


def interleaved(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each run in each round. The runs take turns, after a warm-up."""
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in track(range(rounds), "Timing", transient=True):
        for name, run in runs.items():
            since = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - since)
    return times


@torch.no_grad()
def _paint(network: Stylizer, size: int) -> None:
    network(torch.zeros(1, 3, size, size), torch.eye(network.styles)[:1])


def _session(model: bytes, size: int, threads: int) -> Callable[[], object]:
    """A function that runs one inference of a random image."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = {each.name: _input(each.type, each.shape, size) for each in session.get_inputs()}
    return lambda: session.run(None, inputs)


def _input(kind: str, shape: Sequence[object], size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    if len(shape) == 4:
        channels_first = shape[1] == 3
        image = rng.integers(0, 256, (1, 3, size, size) if channels_first else (1, size, size, 3))
        return image.astype(np.uint8 if kind == "tensor(uint8)" else np.float32)
    return np.zeros([side if isinstance(side, int) else 1 for side in shape], np.float32)


if __name__ == "__main__":
    run_command(main)
