"""What share of a device's arithmetic the exported models reach, by rows of a batch and by size of a picture.

    python -m benchmarks.device --device cpu|cuda [--seconds 1] [--rounds 5] [--table docs/benchmarks.md]

One batch at a time, from arrays to arrays, by the service's own sessions. The ceiling is what onnxruntime makes of a product
of two float32 matrices that lie on the device already, in the same round; of several sizes the quickest counts. A GPU with
tensor cores multiplies float32 in TF32 there, as it does in the models. Of a model, the work of its convolutions and matrix
products is counted (`benchmarks/work.py`). On a GPU, each model is measured once more with float16 inside.
"""

import functools
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from os import cpu_count
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import onnx
import onnxruntime as ort
import typer
from onnx import TensorProto, helper
from onnxruntime.transformers.float16 import convert_float_to_float16
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from benchmarks.command import run_command
from benchmarks.provenance import measured_on
from benchmarks.sessions import GENERATOR, STYLIZER, feeds, rate
from benchmarks.tables import replace_section
from benchmarks.work import gigaflop
from service.engine.errors import DeviceError
from service.engine.sessions import CPU, CUDA, CUDA_OPTIONS, DEVICES, LoadedModel, load_model
from service.settings import ROOT

Named = Literal["cpu", "cuda"]
_LARGEST_S = 0.05  # a product that takes longer is large enough


def main(
    device: Annotated[Named, typer.Option(help="Where to run: there, or not at all.")] = "cpu",
    seconds: Annotated[float, typer.Option(min=0.01, help="Of each turn.")] = 1,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    batch: Annotated[list[int], typer.Option(min=1, help="Rows for the generator. Repeatable.")] = [1, 2, 4, 8, 16, 32, 64],  # noqa: B006
    size: Annotated[list[int], typer.Option(min=64, help="Side for the stylizer. Repeatable.")] = [256, 512, 1024, 2048],  # noqa: B006
    threads: Annotated[int, typer.Option(min=1, help="On the CPU.")] = cpu_count() or 1,
    table: Annotated[Path | None, typer.Option(help="Markdown file whose section of this device is replaced.")] = None,
) -> None:
    """Measure the shipped models on a device, beside its ceiling."""
    graphs = {name: onnx.load(ROOT / "exported" / f"{name}.onnx") for name in (GENERATOR, STYLIZER)}
    try:
        models = {name: {"": load_model(ROOT / "exported" / f"{name}.onnx", device, threads)} for name in graphs}
        if device == "cuda":
            for name in graphs:
                models[name][", float16"] = with_halves(ROOT / "exported" / f"{name}.onnx", device, threads)
        ceiling = Ceiling(device, threads)
    except DeviceError as error:
        raise typer.BadParameter(str(error)) from None
    where = measured_on() if device == "cpu" else f"{gpu()}; {measured_on()}"
    runs: dict[str, Callable[[], int]] = {}
    work: dict[str, float] = {}  # of one picture
    for name, rows, side in [(GENERATOR, rows, 0) for rows in batch] + [(STYLIZER, 1, side) for side in size]:
        for precision, model in models[name].items():
            inputs = feeds(model.card, rows, side)
            shown = (f"{name}, {side} x {side}" if side else f"{name}, n = {rows}") + precision
            work[shown] = gigaflop(graphs[name], {one: array.shape for one, array in inputs.items()}) / rows
            runs[shown] = functools.partial(lambda model, inputs: len(model.run(inputs)), model, inputs)
    tops: list[float] = []
    rates: dict[str, list[float]] = {name: [] for name in runs}
    with Progress(transient=True) as progress:
        task = progress.add_task("Measuring", total=rounds * len(runs))
        for _ in range(rounds):
            tops.append(ceiling.gigaflops(seconds))
            for name, run in runs.items():
                run()  # algorithms are chosen and memory is made by shape
                rates[name].append(rate(run, 1, seconds))
                progress.advance(task)
    lines = [
        f"{where} {rounds} rounds of {seconds:g} s each; medians.",
        f"The ceiling, a product of {ceiling.side} x {ceiling.side}: {statistics.median(tops):,.0f} GFLOP/s.",
        "",
        "| | GFLOP a picture | pictures/s | GFLOP/s | of the ceiling |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, made in rates.items():
        shares = [work[name] * one / top for one, top in zip(made, tops, strict=True)]
        done, share = statistics.median(made), statistics.median(shares)
        lines.append(f"| {name} | {work[name]:.2f} | {done:,.1f} | {work[name] * done:,.0f} | {share:.2f} |")
    text = "\n".join(lines)
    Console().print(Markdown(text))
    if table:
        replace_section(table, section(device), text)


def with_halves(path: Path, device: Named, threads: int) -> LoadedModel:
    """A model with float16 inside, its inputs and outputs as they were."""
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / path.name
        onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), converted)
        return load_model(converted, device, threads)


def section(device: Named) -> str:
    """Of the page, for a device: GPUs do not replace what a CPU did."""
    return f"device-{device}"


def gpu() -> str:
    """What the first GPU is called, and its driver's version."""
    query = ["nvidia-smi", "--id=0", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    name, _, driver = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip().partition(", ")
    return f"{name}, driver {driver}"


class Ceiling:
    """How much a device multiplies at most, by onnxruntime in float32.

    Attributes:
        side: of the square matrices whose product was the quickest for its size.
    """

    def __init__(self, device: Named, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        providers = [CPU] if device == "cpu" else [(CUDA, CUDA_OPTIONS), CPU]
        self._session = ort.InferenceSession(_product().SerializeToString(), options, providers=providers)
        if (used := DEVICES[self._session.get_providers()[0]]) != device:
            raise DeviceError(f"The product of matrices ran on {used}, not on {device}.")
        self._device = device
        found: dict[int, float] = {}
        for side in (256, 512, 1024, 2048, 4096, 8192):
            taken = min(self._times(side, 3))
            found[side] = side**3 / taken
            if taken > _LARGEST_S:
                break
        self.side = max(found, key=lambda side: found[side])

    def gigaflops(self, seconds: float) -> float:
        """GFLOP a second, of the best run of so many seconds: whatever disturbs one is no part of the ceiling."""
        once = min(self._times(self.side, 1))
        best = min(self._times(self.side, max(int(seconds / once), 1)))
        return 2 * self.side**3 / best / 1e9

    def _times(self, side: int, runs: int) -> list[float]:
        """Seconds of each run, after one that does not count."""
        random = np.random.default_rng(0)
        binding = self._session.io_binding()
        for name in ("a", "b"):
            matrix = random.standard_normal((side, side), dtype=np.float32)
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(matrix, self._device, 0))
        binding.bind_output("product", self._device, 0)
        times = []
        for _ in range(1 + runs):
            since = time.perf_counter()
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()
            times.append(time.perf_counter() - since)
        return times[1:]


def _product() -> onnx.ModelProto:
    """A graph of one product of matrices."""
    square = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "n"]) for name in ("a", "b", "product")]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["product"])], "product", square[:2], square[2:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


if __name__ == "__main__":
    run_command(main)
