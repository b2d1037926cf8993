"""A folder of photos, stylized."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from anyio.to_thread import run_sync

from ganvas import api, calls
from ganvas.api import ImageFormat
from ganvas.batches.batch import run_batch
from ganvas.batches.manifest import Entry, Manifest, Provenance
from ganvas.batches.report import BatchReport
from ganvas.batches.runner import MAX_CONCURRENCY, PATIENCE_S, BatchRequest
from ganvas.batches.send import Send
from ganvas.batches.sources import Photo, Sources, find_photos
from ganvas.calls import Call
from ganvas.card import StylizerCard
from ganvas.files import write_whole
from ganvas.results import ImageResult


async def stylize_many(  # noqa: D417  `send` is the client, which a caller does not pass
    send: Send,
    sources: Sources,
    out_dir: str | os.PathLike[str],
    *,
    style: str | None = None,
    model: str | None = None,
    strength: float = api.STRENGTH.default,
    keep_color: float = api.KEEP_COLOR.default,
    brush: float = api.BRUSH.default,
    max_side: int | None = None,
    format: ImageFormat = api.DEFAULT_STYLIZE_FORMAT,
    max_concurrency: int = MAX_CONCURRENCY,
    patience: float = PATIENCE_S,
    progress: bool | None = None,
) -> BatchReport:
    """Stylize many photos into a folder. Calling it again stylizes only new or changed photos.

    The number of requests in flight adapts to what the service accepts, and about 48 MiB of photos are held in memory. If the
    service rejects a request because its queue is full, or restarts, the request is sent again later. `manifest.jsonl` beside
    the images lists what each was made from, with which style and version of the model. A photo is skipped if its path, size,
    modification time and all of these are unchanged.

    Args:
        sources: a folder with all folders below it, a file, a pattern such as `photos/*.jpg`, or several of these.
        out_dir: the folder for the images, which are named as their photos. It is created if it does not exist.
        style: as for `stylize`.
        model: as for `stylize`.
        strength: as for `stylize`.
        keep_color: as for `stylize`.
        brush: as for `stylize`.
        max_side: as for `stylize`.
        format: as for `stylize`.
        max_concurrency: limit of the requests in flight.
        patience: seconds without any response after which the batch ends. The next call continues it.
        progress: show a bar with rate and time left on stderr: True, False, or None for a terminal only.

    Returns:
        The number of images made and skipped, each photo that failed with its error, and the files that were left out.

    Raises:
        FileNotFoundError: a source does not exist, or there is no photo in the sources.
        ValueError: two photos would become one file, no stylizer has this name or style, or several fit.
        BlockingIOError: another batch is writing into `out_dir`.
        OSError: an image cannot be written.
        ProblemError: the service rejects what all photos have in common, such as the style.
        NoResponseError: the service cannot be reached, or was unavailable for longer than `patience`.
    """
    folder = Path(out_dir)
    # Disk access runs in threads, so that it does not block the caller's event loop.
    photos, left_out = await run_sync(find_photos, sources, folder, format)
    card, version = (await send(calls.models(), retries=True)).find(model, StylizerCard, style)
    # 1 and 1.0 are the same parameters.
    params = StylizeParams(card.name, style, float(strength), float(keep_color), float(brush), max_side, format)
    with await run_sync(Manifest, folder) as manifest:
        todo = await run_sync(lambda: [photo for photo in photos if not _is_done(photo, params, version, manifest)])
        report = await run_batch(
            send,
            manifest,
            (_request(photo, params, folder) for photo in todo),
            title="stylize",
            total=len(photos),
            skipped=len(photos) - len(todo),
            max_concurrency=max_concurrency,
            patience=patience,
            shown=progress,
        )
        return replace(report, left_out=left_out)


@dataclass(frozen=True)
class StylizeParams:
    """The parameters that all photos of a batch share, by the API's names."""

    model: str
    style: str | None
    strength: float
    keep_color: float
    brush: float
    max_side: int | None
    format: ImageFormat

    def provenance(self, source: Path, stat: os.stat_result, version: str) -> Provenance:
        """What the manifest says about an image."""
        photo = {"source": str(source), "source_bytes": stat.st_size, "source_mtime_ns": stat.st_mtime_ns}
        return {**photo, **asdict(self), "version": version}


def _is_done(photo: Photo, params: StylizeParams, version: str, manifest: Manifest) -> bool:
    try:
        return manifest.has(photo.file, params.provenance(photo.source, photo.source.stat(), version))
    except OSError:
        return False  # the request fails later and is counted there


def _request(photo: Photo, params: StylizeParams, folder: Path) -> BatchRequest:
    seen: list[os.stat_result] = []

    def prepare() -> Call[ImageResult]:
        seen.append(photo.source.stat())  # before it is read: a photo that changes meanwhile is stylized again
        return calls.stylize(photo.source, **asdict(params))

    def store(result: ImageResult) -> Sequence[Entry]:
        target = folder / photo.file
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, result.content)
        return [Entry(photo.file, len(result.content), params.provenance(photo.source, seen[-1], result.version))]

    return BatchRequest(str(photo.source), images=1, size=_size_of(photo.source), prepare=prepare, store=store)


def _size_of(source: Path) -> int:
    try:
        return source.stat().st_size
    except OSError:
        return 0
