"""Thousands of samples of a generator."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from anyio.to_thread import run_sync

from ganvas import api, calls
from ganvas.batches.batch import run_batch
from ganvas.batches.link import Link
from ganvas.batches.manifest import Made, MadeFrom, Manifest
from ganvas.batches.report import BatchReport
from ganvas.batches.runner import MOST_AT_ONCE, PATIENCE_S, Job
from ganvas.calls import Call
from ganvas.card import GeneratorCard
from ganvas.errors import UnexpectedAnswerError
from ganvas.files import write_whole
from ganvas.pictures import Pictures

PER_SEED = 32
PIXELS_PER_SEED = 2**21
"""Bytes of pixels in one answer, so that many under way stay within the memory of a batch."""


async def sample_many(  # noqa: D417  the link is the client, which its user does not see
    link: Link,
    total: int,
    out_dir: str | os.PathLike[str],
    *,
    model: str | None = None,
    seed: int = 0,
    per_seed: int | None = None,
    truncation: float = api.TRUNCATION.default,
    most_at_once: int = MOST_AT_ONCE,
    patience: float = PATIENCE_S,
    progress: bool | None = None,
) -> BatchReport:
    """Make many pictures, a PNG each, named MODEL-SEED-INDEX.png; called again, only what is not there.

    Each request takes `per_seed` pictures of one seed, the next request the next seed: the same arguments give the same
    pictures, and a larger total the same ones and more. Beside them lies `manifest.jsonl`: seed, index, truncation and
    version of the model of each. See `stylize_many` for how a batch runs.

    Args:
        total: how many pictures, 1 or more.
        out_dir: where they go; made if it is not there.
        model: as for `sample`.
        seed: the first of the seeds.
        per_seed: pictures of one seed and request, up to the service's bound of n; 32 where left out, or fewer of large
            pictures.
        truncation: as for `sample`.
        most_at_once: requests under way, at most.
        patience: seconds without any answer after which the batch ends; the next call goes on from there.
        progress: a bar on stderr with rate and time left: True, False, or None for a terminal only.

    Returns:
        How many were made and skipped, and each request that failed, with its error.

    Raises:
        ValueError: a total or per_seed below 1; or no such generator, or none named where there are several.
        BlockingIOError: another batch is writing into `out_dir`.
        OSError: a picture cannot be written.
        ProblemError: the service refuses what all requests have in common, such as the truncation.
        NoAnswerError: the service cannot be reached, or stayed away for longer than `patience`.
    """
    if total < 1 or (per_seed is not None and per_seed < 1):
        raise ValueError(f"total and per_seed must be 1 or more, not {total} and {per_seed}")
    card, version = (await link(calls.models(), retries=True)).find(model, GeneratorCard)
    per_seed = per_seed or _per_seed(card)
    wish = Wish(card.name, float(truncation))  # 1 and 1.0 are one wish
    # What asks the disk is in threads: the caller's loop has other things to do.
    with await run_sync(Manifest, Path(out_dir)) as manifest:
        plan = _plan(total, seed, per_seed)
        todo = await run_sync(lambda: [group for group in plan if not _is_done(group, wish, version, manifest)])
        return await run_batch(
            link,
            manifest,
            (_job(group, wish, manifest.folder, _pixels(card)) for group in todo),
            title="sample",
            total=total,
            skipped=total - sum(group.n for group in todo),
            most_at_once=most_at_once,
            patience=patience,
            shown=progress,
        )


@dataclass(frozen=True)
class Group:
    """The pictures of one request: the first n of a seed."""

    seed: int
    n: int


@dataclass(frozen=True)
class Wish:
    """What all pictures of a batch have in common, by the API's names."""

    model: str
    truncation: float

    def file(self, seed: int, index: int) -> str:
        """A picture's name; the service calls it so in a zip too."""
        return f"{self.model}-{seed}-{index:03d}.png"

    def made_from(self, seed: int, index: int, version: str) -> MadeFrom:
        """What the manifest says of a picture."""
        return {"model": self.model, "version": version, "seed": seed, "index": index, "truncation": self.truncation}


def _plan(total: int, seed: int, per_seed: int) -> Iterator[Group]:
    for i in itertools.count():
        left = total - i * per_seed
        if left <= 0:
            return
        yield Group(seed + i, min(per_seed, left))


def _is_done(group: Group, wish: Wish, version: str, manifest: Manifest) -> bool:
    return all(manifest.has(wish.file(group.seed, i), wish.made_from(group.seed, i, version)) for i in range(group.n))


def _job(group: Group, wish: Wish, folder: Path, pixels: int) -> Job:
    def prepare() -> Call[Pictures]:
        return calls.sample(group.n, model=wish.model, seed=group.seed, truncation=wish.truncation, format="zip")

    def store(pictures: Pictures) -> Made:
        files = pictures.files()
        if len(files) != group.n:
            said = f"{len(files)} pictures came for seed {group.seed}, not {group.n}"
            raise UnexpectedAnswerError(said, request_id=pictures.request_id)
        made = []
        for i, data in enumerate(files):
            name = wish.file(group.seed, i)
            write_whole(folder / name, data)
            made.append((name, len(data), wish.made_from(group.seed, i, pictures.version)))
        return made

    return Job(f"seed {group.seed}", pictures=group.n, size=group.n * pixels, prepare=prepare, store=store)


def _per_seed(card: GeneratorCard) -> int:
    return max(1, min(PER_SEED, PIXELS_PER_SEED // _pixels(card)))


def _pixels(card: GeneratorCard) -> int:
    return card.height * card.width * card.channels
