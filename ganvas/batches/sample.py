"""Thousands of samples of a generator."""

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyio.to_thread import run_sync

from ganvas import api, calls
from ganvas.batches.batch import run_batch
from ganvas.batches.manifest import Entry, Manifest, Provenance
from ganvas.batches.report import BatchReport
from ganvas.batches.runner import MAX_CONCURRENCY, PATIENCE_S, BatchRequest
from ganvas.batches.send import Send
from ganvas.calls import Call
from ganvas.card import GeneratorCard
from ganvas.errors import UnexpectedResponseError
from ganvas.files import write_whole
from ganvas.results import ImageResult, format_of
from ganvas.text import class_stem

PER_SEED = 32
PIXEL_BYTES_PER_SEED = 2**21
"""Bytes of pixels in one response, so that many requests in flight stay within the memory of a batch."""


async def sample_many(  # noqa: D417  `send` is the client, which a caller does not pass
    send: Send,
    total: int,
    out_dir: str | os.PathLike[str],
    *,
    model: str | None = None,
    seed: int = 0,
    per_seed: int | None = None,
    class_: str | None = None,
    truncation: float = api.TRUNCATION.default,
    max_concurrency: int = MAX_CONCURRENCY,
    patience: float = PATIENCE_S,
    progress: bool | None = None,
) -> BatchReport:
    """Make many images, one PNG each, named MODEL-SEED-INDEX.png. Calling it again makes only the images that are missing.

    Each request asks for `per_seed` images of one seed, and the next request for those of the next seed. The same arguments
    give the same images; a larger total adds images to them. `manifest.jsonl` beside the images lists the seed, index, class,
    truncation and model version of each. `stylize_many` describes how a batch runs.

    Args:
        total: number of images, 1 or more.
        out_dir: the folder for the images. It is created if it does not exist.
        model: as for `sample`.
        seed: the first seed.
        per_seed: images of one seed and request, at most the service's limit of n. The default is 32, or fewer if the images
            are large.
        class_: one of the card's `classes`, for all images. The names begin with MODEL_CLASS, so a folder may hold several.
        truncation: as for `sample`.
        max_concurrency: limit of the requests in flight.
        patience: seconds without any response after which the batch ends. The next call continues it.
        progress: show a bar with rate and time left on stderr: True, False, or None for a terminal only.

    Returns:
        The number of images made and skipped, and each request that failed with its error.

    Raises:
        ValueError: `total` or `per_seed` is below 1, there are not enough seeds, no generator has this name or class, or
            several fit.
        BlockingIOError: another batch is writing into `out_dir`.
        OSError: an image cannot be written.
        ProblemError: the service rejects what all requests have in common, such as the class.
        NoResponseError: the service cannot be reached, or was unavailable for longer than `patience`.
    """
    if total < 1 or (per_seed is not None and per_seed < 1):
        raise ValueError(f"total and per_seed must be 1 or more, not {total} and {per_seed}")
    card, version = (await send(calls.models(), retries=True)).find(model, GeneratorCard, class_=class_)
    per_seed = per_seed or _per_seed(card)
    if seed + math.ceil(total / per_seed) > api.SEED_LIMIT:
        most = max(0, api.SEED_LIMIT - seed) * per_seed
        raise ValueError(
            f"At most {most} images can be made from seed {seed}: {per_seed} of each seed up to {api.SEED_LIMIT - 1}"
        )
    params = SampleParams(card.name, class_, float(truncation))  # 1 and 1.0 are the same parameters
    # Disk access runs in threads, so that it does not block the caller's event loop.
    with await run_sync(Manifest, Path(out_dir)) as manifest:
        groups = _plan(total, seed, per_seed) if len(manifest) else ()
        # Keep only the groups that are done: the manifest bounds their number, and `total` may be large.
        done = await run_sync(lambda: {group for group in groups if _is_done(group, params, version, manifest)})
        todo = (group for group in _plan(total, seed, per_seed) if group not in done)
        return await run_batch(
            send,
            manifest,
            (_request(group, params, manifest.folder, _pixel_bytes(card)) for group in todo),
            title="sample",
            total=total,
            skipped=sum(group.n for group in done),
            max_concurrency=max_concurrency,
            patience=patience,
            shown=progress,
        )


@dataclass(frozen=True)
class SeedGroup:
    """The images of one request: the first n of a seed."""

    seed: int
    n: int


@dataclass(frozen=True)
class SampleParams:
    """The parameters that all images of a batch share, by the API's names."""

    model: str
    class_: str | None
    truncation: float

    def file(self, seed: int, index: int) -> str:
        """An image's file name."""
        return f"{class_stem(self.model, self.class_)}-{seed}-{index:03d}.png"

    def provenance(self, seed: int, index: int, version: str) -> Provenance:
        """What the manifest says about an image."""
        of_class = {} if self.class_ is None else {"class": self.class_}  # manifests without classes stay valid
        return {
            "model": self.model,
            "version": version,
            "seed": seed,
            "index": index,
            **of_class,
            "truncation": self.truncation,
        }


def _plan(total: int, seed: int, per_seed: int) -> Iterator[SeedGroup]:
    for i in itertools.count():
        left = total - i * per_seed
        if left <= 0:
            return
        yield SeedGroup(seed + i, min(per_seed, left))


def _is_done(group: SeedGroup, params: SampleParams, version: str, manifest: Manifest) -> bool:
    return all(manifest.has(params.file(group.seed, i), params.provenance(group.seed, i, version)) for i in range(group.n))


def _request(group: SeedGroup, params: SampleParams, folder: Path, pixel_bytes: int) -> BatchRequest:
    def prepare() -> Call[ImageResult]:
        return calls.sample(
            group.n, model=params.model, seed=group.seed, class_=params.class_, truncation=params.truncation, format="zip"
        )

    def store(result: ImageResult) -> Sequence[Entry]:
        files = result.files()
        if len(files) != group.n or any(format_of(data) != "png" for data in files):
            message = f"The service returned {len(files)} images for seed {group.seed}, not {group.n} PNG images."
            raise UnexpectedResponseError(message, request_id=result.request_id)
        entries = []
        for i, data in enumerate(files):
            name = params.file(group.seed, i)
            write_whole(folder / name, data)
            entries.append(Entry(name, len(data), params.provenance(group.seed, i, result.version)))
        return entries

    return BatchRequest(f"seed {group.seed}", images=group.n, size=group.n * pixel_bytes, prepare=prepare, store=store)


def _per_seed(card: GeneratorCard) -> int:
    return max(1, min(PER_SEED, PIXEL_BYTES_PER_SEED // _pixel_bytes(card)))


def _pixel_bytes(card: GeneratorCard) -> int:
    return card.height * card.width * card.channels
