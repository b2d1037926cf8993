"""Compares the arithmetic speed of the exported models with the ceiling of a device, by batch size and image size.

    python -m benchmarks.device --device cpu|cuda [--seconds 1] [--rounds 5] [--table docs/benchmarks.md]

The sessions of the service run one batch at a time, from arrays to arrays. The ceiling is the speed of onnxruntime for a
product of two float32 matrices on the device, measured in the same round with the fastest of several sizes. GPUs with tensor
cores use TF32 for it, as they do for the models. The work of a model is that of its convolutions and matrix products
(`benchmarks/work.py`). On a GPU, each model is also measured with float16 inside.
"""

import functools
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
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
from ganvas.cpus import available_cpus
from service.engine.errors import DeviceError
from service.engine.sessions import CPU, CUDA, CUDA_OPTIONS, DEVICES, LoadedModel, load_model
from service.settings import ROOT

Named = Literal["cpu", "cuda"]
_LARGEST_S = 0.05  # larger products are not tried


def main(
    device: Annotated[Named, typer.Option(help="Device to measure; there is no fallback.")] = "cpu",
    seconds: Annotated[float, typer.Option(min=0.01, help="Seconds of each turn.")] = 1,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    batch: Annotated[list[int], typer.Option(min=1, help="Batch size of the generator.")] = [1, 2, 4, 8, 16, 32, 64],  # noqa: B006
    size: Annotated[list[int], typer.Option(min=64, help="Side of a stylized image.")] = [256, 512, 1024, 2048],  # noqa: B006
    threads: Annotated[int, typer.Option(min=1, help="Threads on the CPU.")] = available_cpus(),
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this device is replaced.")] = None,
) -> None:
    """Compare the shipped models with the ceiling of a device."""
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
    work: dict[str, float] = {}  # for one image
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
                run()  # onnxruntime chooses algorithms and allocates memory for each shape
                rates[name].append(rate(run, 1, seconds))
                progress.advance(task)
    lines = [
        f"{where} {rounds} round{'s' * (rounds != 1)} of {seconds:g} s each; medians.",
        f"Ceiling, for a product of {ceiling.side} x {ceiling.side} matrices: {statistics.median(tops):,.0f} GFLOP/s.",
        "",
        "| | GFLOP per image | images/s | GFLOP/s | ratio to the ceiling |",
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
    """A model that computes in float16, with unchanged inputs and outputs."""
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / path.name
        onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), converted)
        return load_model(converted, device, threads)


def section(device: Named) -> str:
    """Name of the section of a device in the page."""
    return f"device-{device}"


def gpu() -> str:
    """Name and driver version of the first GPU."""
    query = ["nvidia-smi", "--id=0", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    name, _, driver = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip().partition(", ")
    return f"{name}, driver {driver}"


class Ceiling:
    """The fastest float32 matrix product of onnxruntime on a device.

    Attributes:
        side: of the square matrices with the highest speed.
    """

    def __init__(self, device: Named, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        providers = [CPU] if device == "cpu" else [(CUDA, CUDA_OPTIONS), CPU]
        self._session = ort.InferenceSession(_product().SerializeToString(), options, providers=providers)
        if (used := DEVICES[self._session.get_providers()[0]]) != device:
            raise DeviceError(f"The matrix product ran on {used}, not on {device}.")
        self._device = device
        found: dict[int, float] = {}
        for side in (256, 512, 1024, 2048, 4096, 8192):
            taken = min(self._times(side, 3))
            found[side] = side**3 / taken
            if taken > _LARGEST_S:
                break
        self.side = max(found, key=lambda side: found[side])

    def gigaflops(self, seconds: float) -> float:
        """GFLOP per second of the best run within a time. Disturbed runs do not lower the ceiling."""
        once = min(self._times(self.side, 1))
        best = min(self._times(self.side, max(int(seconds / once), 1)))
        return 2 * self.side**3 / best / 1e9

    def _times(self, side: int, runs: int) -> list[float]:
        """Seconds of each run, after a warm-up run."""
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
    """A graph with one matrix product."""
    square = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "n"]) for name in ("a", "b", "product")]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["product"])], "product", square[:2], square[2:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


if __name__ == "__main__":
    run_command(main)
