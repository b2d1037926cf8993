"""Sends thousands of malformed requests and checks that there is no 5xx, no crash, and good requests are still answered.

    python -m benchmarks.fuzz --requests 10000 [--seed 0] [--url http://localhost:3000] [--table docs/benchmarks.md]

Without --url the benchmark starts a service with the shipped models. `benchmarks/malformed.py` makes the requests.
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
from benchmarks.malformed import Maker, Malformed, part, post, post_form, small_image
from benchmarks.processes import service_process
from benchmarks.provenance import measured_on
from benchmarks.tables import replace_section

SECTION = "fuzz"
GOOD_AFTER = 10  # malformed requests between two good ones
_AT_ONCE = 5
_LIMIT_S = 60.0
_PATIENCE_S = 0.1  # for incomplete requests; then the client closes the connection


class HarmError(Exception):
    """The service answered with 5xx or not at all. The message contains the request."""


def main(
    requests: Annotated[int, typer.Option(min=1, help="Number of malformed requests.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same requests.")] = 0,
    url: Annotated[str | None, typer.Option(help="A running service. By default one is started.")] = None,
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this benchmark is replaced.")] = None,
) -> None:
    """Send malformed requests to the service."""
    if url:
        statuses = fuzz(url, requests, seed)
    else:
        with service_process() as service:
            statuses = fuzz(service.url, requests, seed)
            if service.stop() or "Traceback" in service.log.read_text():
                raise HarmError(f"The service did not shut down cleanly:\n{service.log.read_text()[-4000:]}")
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items()))
    checks = "no 5xx, no crash, and all good requests between them were answered"
    result = f"{requests:,} malformed requests (seed {seed}): {checks}. Responses: {counts}."
    text = result if url else f"{measured_on()}\n\n{result}"  # the machine behind a URL is unknown
    Console().print(text)
    if table:
        replace_section(table, SECTION, text)


def fuzz(url: str, requests: int, seed: int) -> Counter[str]:
    """Send malformed requests, with a good one to sample or stylize after every few. Returns the count of each status.

    Raises:
        HarmError: a response was a 5xx, a complete request got no response, or a good request did not get 200.
    """
    cards = [model["card"] for model in _json_of(f"{url}/v1/models")["models"]]
    return asyncio.run(_fuzz(url, Maker(_json_of(f"{url}/docs.json"), seed), requests, good_requests(cards)))


def good_requests(cards: Sequence[Mapping[str, Any]]) -> list[Malformed]:
    """One valid request for each kind of model that is served.

    Raises:
        HarmError: no model is served, or only models of kinds for which this benchmark has no good request.
    """
    first = {card["kind"]: card for card in reversed(cards)}
    good = []
    if generator := first.get("generator"):
        body = json.dumps({"model": generator["name"]}).encode()
        good.append(post("/v1/sample", "application/json", body, "a good request to sample"))
    if stylizer := first.get("stylizer"):
        fields = {"model": stylizer["name"], "style": stylizer["styles"][0]["name"]}
        parts = [part("image", small_image("png"), "a.png"), *(part(name, text.encode()) for name, text in fields.items())]
        good.append(post_form("/v1/stylize", parts, "a good request to stylize"))
    if not good:
        served = f"only models of other kinds: {', '.join(sorted(first))}" if first else "no model"
        raise HarmError(f"The service serves {served}. A generator or a stylizer is needed for a good request.")
    return good


def _json_of(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url) as response:  # noqa: S310  # the URL of the service
        document: dict[str, Any] = json.load(response)
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
                        raise HarmError(f"{status or 'No response'} to {sent.kind}: {sent.data[:3000]!r}")
                    statuses[str(status or "without a response")] += 1
            right = next(turns)
            if (status := await exchange(url, right)) != 200:
                raise HarmError(f"{status} to {right.kind}, after {[one.data[:500] for one in made]!r}")
            progress.update(task, advance=len(made))
    return statuses


async def exchange(url: str, sent: Malformed) -> int:
    """Send bytes on a new connection and return the status of the response, or 0 if there is none."""
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
