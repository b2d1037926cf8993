"""Malformed requests, thousands of them: no 5xx, no crash, and the next good request is answered.

    python -m benchmarks.fuzz --requests 10000 [--seed 0] [--url http://localhost:3000] [--table docs/benchmarks.md]

Without --url a service is started with the shipped models. What is sent is in `benchmarks/malformed.py`.
"""

import asyncio
import contextlib
import itertools
import json
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks.command import run_command
from benchmarks.malformed import Maker, Malformed, part, post, post_form, small_picture
from benchmarks.processes import service_process
from benchmarks.provenance import measured_on
from benchmarks.tables import replace_section

SECTION = "fuzz"
GOOD_AFTER = 10  # malformed ones
_AT_ONCE = 5
_LIMIT_S = 60.0
_PATIENCE_S = 0.1  # with what is not whole: then we hang up


class HarmError(Exception):
    """The service answered with 5xx, or did not answer; the message holds the request."""


def main(
    requests: Annotated[int, typer.Option(min=1, help="How many malformed ones.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of chance; the same seed makes the same requests.")] = 0,
    url: Annotated[str | None, typer.Option(help="A running service; else one is started.")] = None,
    table: Annotated[Path | None, typer.Option(help="Markdown file whose section is replaced.")] = None,
) -> None:
    """Throw malformed requests at the service."""
    if url:
        statuses = fuzz(url, requests, seed)
    else:
        with service_process() as service:
            statuses = fuzz(service.url, requests, seed)
            if service.stop() or "Traceback" in service.log.read_text():
                raise HarmError(f"The service did not end well:\n{service.log.read_text()[-4000:]}")
    told = ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items()))
    held = "no 5xx, no crash, every good one between them answered"
    told_of = f"{requests:,} malformed requests (seed {seed}): {held}. Answers: {told}."
    text = told_of if url else f"{measured_on()}\n\n{told_of}"  # elsewhere, who knows
    Console().print(text)
    if table:
        replace_section(table, SECTION, text)


def fuzz(url: str, requests: int, seed: int) -> Counter[str]:
    """Send malformed requests, and good ones now and then, to sample and to stylize in turns; how often each status came.

    Raises:
        HarmError: one was answered with 5xx or, though whole, not at all; or a good one was not answered with 200.
    """
    cards = [model["card"] for model in _json_of(f"{url}/v1/models")["models"]]
    return asyncio.run(_fuzz(url, Maker(_json_of(f"{url}/docs.json"), seed), requests, good_requests(cards)))


def good_requests(cards: Sequence[Mapping[str, Any]]) -> list[Malformed]:
    """One request with nothing wrong for each kind of model that is served.

    Raises:
        HarmError: no model is served, so nothing could show that the service still works.
    """
    first = {card["kind"]: card for card in reversed(cards)}
    good = []
    if generator := first.get("generator"):
        body = json.dumps({"model": generator["name"]}).encode()
        good.append(post("/v1/sample", "application/json", body, "a good request to sample"))
    if stylizer := first.get("stylizer"):
        fields = {"model": stylizer["name"], "style": stylizer["styles"][0]["name"]}
        parts = [part("image", small_picture("png"), "a.png"), *(part(name, text.encode()) for name, text in fields.items())]
        good.append(post_form("/v1/stylize", parts, "a good request to stylize"))
    if not good:
        raise HarmError("The service serves no model: no good request can show that it still works.")
    return good


def _json_of(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url) as answer:  # noqa: S310  # the service's own
        document: dict[str, Any] = json.load(answer)
    return document


async def _fuzz(url: str, maker: Maker, requests: int, good: Sequence[Malformed]) -> Counter[str]:
    statuses: Counter[str] = Counter()
    turns = itertools.cycle(good)
    with Progress(transient=True) as progress:
        task = progress.add_task("Fuzzing", total=requests)
        for first in range(0, requests, GOOD_AFTER):
            made = [maker.next() for _ in range(min(GOOD_AFTER, requests - first))]
            for begin in range(0, len(made), _AT_ONCE):
                group = made[begin : begin + _AT_ONCE]
                for sent, status in zip(group, await asyncio.gather(*(exchange(url, one) for one in group)), strict=True):
                    if status >= 500 or (sent.whole and not status):
                        raise HarmError(f"{status or 'No answer'} to {sent.kind}: {sent.data[:3000]!r}")
                    statuses[str(status or "without an answer")] += 1
            right = next(turns)
            if (status := await exchange(url, right)) != 200:
                raise HarmError(f"{status} to {right.kind}, after {[one.data[:500] for one in made]!r}")
            progress.update(task, advance=len(made))
    return statuses


async def exchange(url: str, sent: Malformed) -> int:
    """Send bytes on a connection of their own; the status that comes back, 0 for none."""
    place = urllib.parse.urlsplit(url)
    received = b""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_LIMIT_S if sent.whole else _PATIENCE_S):
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            try:
                writer.write(sent.data)
                await writer.drain()
                received = await reader.read(64)
            finally:
                writer.close()
    parts = received.split(b" ", 2)
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


if __name__ == "__main__":
    run_command(main)
