"""A folder of photos, painted."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from anyio.to_thread import run_sync

from ganvas import api, calls
from ganvas.api import ImageFormat
from ganvas.batches.batch import run_batch
from ganvas.batches.link import Link
from ganvas.batches.manifest import Made, MadeFrom, Manifest
from ganvas.batches.report import BatchReport
from ganvas.batches.runner import MOST_AT_ONCE, PATIENCE_S, Job
from ganvas.batches.sources import Item, Sources, find_items
from ganvas.calls import Call
from ganvas.card import StylizerCard
from ganvas.files import write_whole
from ganvas.pictures import Pictures


async def stylize_many(  # noqa: D417  the link is the client, which its user does not see
    link: Link,
    sources: Sources,
    out_dir: str | os.PathLike[str],
    *,
    style: str | None = None,
    model: str | None = None,
    strength: float = 1.0,
    keep_color: float = 0.0,
    max_side: int | None = None,
    format: ImageFormat = api.DEFAULT_STYLIZE_FORMAT,
    most_at_once: int = MOST_AT_ONCE,
    patience: float = PATIENCE_S,
    progress: bool | None = None,
) -> BatchReport:
    """Paint many photos into a folder; called again, only what is new or changed.

    As many requests are under way as the service bears, and about 48 MiB of photos in memory. What it refuses for want of room
    is sent again, and a restart of the service is waited out. Beside the pictures lies `manifest.jsonl`: what was made
    from what, with which style and version of the model. A photo is done, and skipped, when its path, size, time of change
    and all of these are the same.

    Args:
        sources: a folder, with all folders below it, a file, a pattern such as `photos/*.jpg`, or several of these.
        out_dir: where the pictures go, under the names of their photos; made if it is not there.
        style: as for `stylize`.
        model: as for `stylize`.
        strength: as for `stylize`.
        keep_color: as for `stylize`.
        max_side: as for `stylize`.
        format: as for `stylize`.
        most_at_once: requests under way, at most.
        patience: seconds without any answer after which the batch ends; the next call goes on from there.
        progress: a bar on stderr with rate and time left: True, False, or None for a terminal only.

    Returns:
        How many were made and skipped, and each photo that failed, with its error.

    Raises:
        FileNotFoundError: a source is not there, or holds no photo.
        ValueError: two photos would become one file; or no such stylizer, or none named where
            there are several.
        BlockingIOError: another batch is writing into `out_dir`.
        OSError: a picture cannot be written.
        ProblemError: the service refuses what all photos have in common, such as the style.
        NoAnswerError: the service cannot be reached, or stayed away for longer than `patience`.
    """
    folder = Path(out_dir)
    # All that asks the disk is in threads: the caller's loop has other things to do.
    items = await run_sync(find_items, sources, folder, format)
    card, version = (await link(calls.models(), retries=True)).find(model, StylizerCard)
    wish = Wish(card.name, style, float(strength), float(keep_color), max_side, format)  # 1 and 1.0 are one wish
    with await run_sync(Manifest, folder) as manifest:
        todo = await run_sync(lambda: [item for item in items if not _is_done(item, wish, version, manifest)])
        return await run_batch(
            link,
            manifest,
            (_job(item, wish, folder) for item in todo),
            title="stylize",
            total=len(items),
            skipped=len(items) - len(todo),
            most_at_once=most_at_once,
            patience=patience,
            shown=progress,
        )


@dataclass(frozen=True)
class Wish:
    """What all photos of a batch have in common, by the API's names."""

    model: str
    style: str | None
    strength: float
    keep_color: float
    max_side: int | None
    format: ImageFormat

    def made_from(self, photo: Path, stat: os.stat_result, version: str) -> MadeFrom:
        """What the manifest says of a picture."""
        source = {"source": str(photo), "source_bytes": stat.st_size, "source_mtime_ns": stat.st_mtime_ns}
        return {**source, **asdict(self), "version": version}


def _is_done(item: Item, wish: Wish, version: str, manifest: Manifest) -> bool:
    try:
        return manifest.has(item.file, wish.made_from(item.source, item.source.stat(), version))
    except OSError:
        return False  # it will fail where failures are counted


def _job(item: Item, wish: Wish, folder: Path) -> Job:
    seen: list[os.stat_result] = []

    def prepare() -> Call[Pictures]:
        seen.append(item.source.stat())  # before it is read: a photo that changes meanwhile is painted again
        return calls.stylize(item.source, **asdict(wish))

    def store(pictures: Pictures) -> Made:
        target = folder / item.file
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, pictures.content)
        return [(item.file, len(pictures.content), wish.made_from(item.source, seen[-1], pictures.version))]

    return Job(str(item.source), pictures=1, size=_size_of(item.source), prepare=prepare, store=store)


def _size_of(photo: Path) -> int:
    try:
        return photo.stat().st_size
    except OSError:
        return 0
