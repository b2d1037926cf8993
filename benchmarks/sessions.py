"""Compares settings of onnxruntime sessions on the CPU with the choice of the service.

    python -m benchmarks.sessions [--seconds 3] [--rounds 5] [--callers 1] [--threads 1] [--table docs/benchmarks.md]

Callers run batches on one session at the same time, as the service does under load. A session uses its threads for one batch.
Spinning threads wait for work in a loop; other threads sleep. The arena keeps memory for the next batch. Each variant runs once
per round and is compared with the choice of the service in that round. That choice is also among the variants: the distance of
its second row from 1.00 is noise.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import onnxruntime as ort
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from benchmarks.command import run_command
from benchmarks.provenance import measured_on
from benchmarks.tables import replace_section
from ganvas.card import OUTPUT, Card
from ganvas.cpus import available_cpus
from service.engine.arrays import Feeds
from service.engine.sessions import CPU, MAX_PARALLEL_BATCHES, LoadedModel, load_model
from service.settings import ROOT

SECTION = "sessions"
GENERATOR, STYLIZER, ROWS = "toon-heads", "painters", 16
_SPINNING = "session.intra_op.allow_spinning"
_CORES = available_cpus()
_CALLERS = sorted({1, min(_CORES, MAX_PARALLEL_BATCHES)})
_THREADS = sorted({1, max(_CORES // MAX_PARALLEL_BATCHES, 1), _CORES})


@dataclass(frozen=True)
class Variant:
    """Settings of a session, and the number of callers."""

    callers: int
    threads: int
    spinning: bool
    arena: bool

    def open(self, data: bytes) -> ort.InferenceSession:
        """Open a model file. All other settings are those of the service."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.add_session_config_entry(_SPINNING, str(int(self.spinning)))
        options.enable_cpu_mem_arena = self.arena
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        return ort.InferenceSession(data, options, providers=[CPU])

    def cells(self) -> str:
        """The cells of its row."""
        return f"{self.callers} | {self.threads} | {_word(self.spinning)} | {_word(self.arena)}"


def main(
    seconds: Annotated[float, typer.Option(min=0.01, help="Seconds of each turn.")] = 3,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    callers: Annotated[list[int], typer.Option(min=1, help="Callers at the same time. May be repeated.")] = _CALLERS,
    threads: Annotated[list[int], typer.Option(min=1, help="Threads of a session. May be repeated.")] = _THREADS,
    size: Annotated[int, typer.Option(min=64, help="Side of the stylized image in pixels.")] = 512,
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this benchmark is replaced.")] = None,
) -> None:
    """Compare settings of sessions."""
    titles = {GENERATOR: f"{GENERATOR}, n = {ROWS}", STYLIZER: f"{STYLIZER}, {size} x {size}"}
    compared = variants(callers, threads)
    own: Variant | None = None
    rates: dict[tuple[str, Variant | None], list[float]] = {}
    with Progress(transient=True) as progress:
        task = progress.add_task("Measuring", total=rounds * len(titles) * (1 + len(compared)))
        for _, name in itertools.product(range(rounds), titles):
            path = ROOT / "exported" / f"{name}.onnx"
            model = load_model(path, "cpu", _CORES)
            own, inputs, data = chosen(model), feeds(model.card, ROWS if name == GENERATOR else 1, size), path.read_bytes()
            for variant in (None, *compared):  # None: the choice of the service, with its own sessions
                run = _of_service(model, inputs) if variant is None else _of_session(variant.open(data), inputs)
                run()  # the first run allocates memory
                turn = rate(run, own.callers if variant is None else variant.callers, seconds)
                rates.setdefault((name, variant), []).append(turn)
                progress.advance(task)
    names = " | ".join(f"{title}, images/s | ratio to the service" for title in titles.values())
    lines = [
        f"{measured_on()} {rounds} round{'s' * (rounds != 1)} of {seconds:g} s each; "
        "medians, with the lowest and highest round in brackets.",
        "",
        f"| | callers | threads | spinning | arena | {names} |",
        "| --- | ---: | ---: | --- | --- |" + " ---: | ---: |" * len(titles),
    ]
    for variant in (None, *compared):
        cells = [_compared(rates[name, variant], rates[name, None]) for name in titles]
        shown = variant or own
        lines.append(f"| {'the service' if variant is None else ''} | {shown.cells() if shown else ''} | {' | '.join(cells)} |")
    text = "\n".join(lines)
    Console().print(Markdown(text))
    if table:
        replace_section(table, SECTION, text)


def variants(callers: Sequence[int], threads: Sequence[int]) -> list[Variant]:
    """All combinations."""
    return [Variant(*one) for one in itertools.product(callers, threads, (True, False), (True, False))]


def chosen(model: LoadedModel) -> Variant:
    """Settings that the service chose for a model under load, read from its session."""
    options = (model.parallel_session or model.session).get_session_options()
    try:
        spinning = options.get_session_config_entry(_SPINNING) == "1"
    except RuntimeError:  # the option is not set; threads of onnxruntime spin by default
        spinning = True
    return Variant(model.parallel_batches, options.intra_op_num_threads, spinning, options.enable_cpu_mem_arena)


def feeds(card: Card, rows: int, size: int) -> Feeds:
    """Random rows for a model; images for a stylizer have `size` x `size` pixels."""
    return card.example(rows, dict.fromkeys(card.dimensions, size))


def rate(run: Callable[[], int], callers: int, seconds: float) -> float:
    """Images per second of several callers at the same time.

    Args:
        run: makes one batch and returns its number of images.
        callers: number of threads that call it in a loop.
        seconds: after this time, no new call starts.
    """
    begin = time.perf_counter()

    def caller() -> int:
        made = run()
        while time.perf_counter() < begin + seconds:
            made += run()
        return made

    with ThreadPoolExecutor(callers) as pool:
        made = sum(call.result() for call in [pool.submit(caller) for _ in range(callers)])
        return made / (time.perf_counter() - begin)


def _of_service(model: LoadedModel, inputs: Feeds) -> Callable[[], int]:
    return lambda: len(model.run(inputs, alone=model.parallel_batches == 1))


def _of_session(session: ort.InferenceSession, inputs: Feeds) -> Callable[[], int]:
    return lambda: len(session.run([OUTPUT], dict(inputs))[0])


def _compared(mine: Sequence[float], service: Sequence[float]) -> str:
    ratios = [one / other for one, other in zip(mine, service, strict=True)]
    return f"{statistics.median(mine):,.1f} | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _word(chosen: bool) -> str:
    return "yes" if chosen else "no"


if __name__ == "__main__":
    run_command(main)
