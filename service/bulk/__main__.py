"""Restyle millions of pictures without HTTP, on one machine or on a Ray cluster.

    python -m service.bulk --pictures photos --out painted --model painters --style starry-night

Every picture is written whole or not at all; then its line goes into OUT/manifest.jsonl. The same command after a stop, however
abrupt, goes on where the manifest ends. Settings are the service's environment variables; see `service/settings.py`. Workers
join a Ray cluster where RAY_ADDRESS names one; elsewhere they run on this machine.
"""

import argparse
import importlib.util
import sys

from ganvas import api
from service.bulk.storage import absolute
from service.bulk.task import BulkError, Task, begun, versioned
from service.bulk.worker import check
from service.engine.errors import RequestError
from service.settings import settings


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, do what the manifest does not list yet, and return the exit code."""
    options = _parser().parse_args(arguments)
    if importlib.util.find_spec("ray") is None:
        return _fail("Ray is not installed; install the extra `bulk` as docs/container.md says under Millions of images")
    from service.bulk.cluster import Terminated, interrupt_at_sigterm, run

    interrupt_at_sigterm()
    try:
        task = versioned(_task(options))
        check(task)
        with begun(task, options.manifest, retry_failed=options.retry_failed) as job:
            failed = run(job, workers=options.workers, cores=options.cores) if job.left else 0
    except (BulkError, RequestError) as error:
        return _fail(str(error))
    except KeyboardInterrupt as stop:
        sys.stderr.write("ganvas: stopped; the same command goes on where it was\n")
        return 143 if isinstance(stop, Terminated) else 130
    if failed:
        sys.stderr.write(f"ganvas: {failed} pictures could not be restyled; {job.manifest.path} says why\n")
    return 0


def _task(options: argparse.Namespace) -> Task:
    return Task(
        pictures=absolute(options.pictures),
        out=absolute(options.out),
        model=str(settings().models_folder / f"{options.model}.onnx"),
        style=options.style,
        strength=options.strength,
        keep_color=options.keep_color,
        max_side=options.max_side,
        format=options.format,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service.bulk", description="Restyle a folder of any size with an exported style network."
    )
    parser.add_argument("--pictures", required=True, help="folder, or what fsspec can list, as s3://bucket/photos")
    parser.add_argument("--out", required=True, help="folder or URL to write to; the names are those of the pictures")
    parser.add_argument("--model", required=True, help="a stylizer's name, from the folder that GANVAS_MODELS names")
    parser.add_argument("--style", help="a style or a blend, as in /v1/stylize; may be left out where there is only one")
    parser.add_argument(
        "--strength", type=_share, default=api.STRENGTH.default, help="0 gives the picture back, 1 is the whole style"
    )
    parser.add_argument("--keep-color", type=_share, default=api.KEEP_COLOR.default, help="1 keeps the picture's own colours")
    parser.add_argument(
        "--max-side",
        type=_count,
        default=settings().default_side,
        help="larger pictures are shrunk to it (default: %(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=api.IMAGE_FORMATS,
        default=api.DEFAULT_STYLIZE_FORMAT,
        help="of what is written (default: %(default)s)",
    )
    parser.add_argument("--manifest", help="file of what is done (default: OUT/manifest.jsonl; needed where OUT is a URL)")
    parser.add_argument("--retry-failed", action="store_true", help="try the pictures again that could not be restyled")
    parser.add_argument("--workers", type=_count, help="processes with the model (default: one a GPU; on CPUs, all cores)")
    parser.add_argument("--cores", type=_count, default=1, help="cores of each worker (default: %(default)s)")
    return parser


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"it is a number from 0 to 1, not {text!r}")
    return share


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it is a number from 1 up, not {text!r}")
    return int(text)


def _fail(message: str) -> int:
    sys.stderr.write(f"ganvas: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
