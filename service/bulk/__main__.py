"""Stylize millions of images without HTTP, on one machine or on a Ray cluster.

    python -m service.bulk --images photos --out painted --model painters --style starry-night

Each image is written completely or not at all. Then its line is appended to OUT/manifest.jsonl. To resume after any
interruption, run the same command again. Settings are the service's environment variables; see `service/settings.py`. The
workers run on the Ray cluster at RAY_ADDRESS or, if it is not set, on this machine.
"""

import argparse
import importlib.util
import math
import sys

from ganvas import api
from ganvas.left_out import left_out_text
from ganvas.signals import Terminated, sigterm_interrupts
from service.bulk.storage import absolute
from service.bulk.task import BulkError, Task, open_task, versioned
from service.bulk.worker import check
from service.engine.errors import RequestError
from service.settings import settings


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, stylize what the manifest does not list yet, and return the exit code."""
    options = _parser().parse_args(arguments)
    if importlib.util.find_spec("ray") is None:
        return _fail("Ray is not installed; install the extra `bulk` as docs/container.md says under Millions of images")
    from service.bulk.cluster import run

    try:
        with sigterm_interrupts():
            task = versioned(_task(options))
            check(task)
            with open_task(task, options.manifest, retry_failed=options.retry_failed) as opened:
                if opened.left_out:
                    sys.stderr.write(f"ganvas: {left_out_text(opened.left_out)}\n")
                failed = run(opened, workers=options.workers, cores=options.cores) if opened.remaining else 0
    except (BulkError, RequestError) as error:
        return _fail(str(error))
    except KeyboardInterrupt as stop:
        sys.stderr.write("ganvas: stopped; run the same command again to resume\n")
        return stop.exit_code if isinstance(stop, Terminated) else 130
    if failed:
        counted = "1 image" if failed == 1 else f"{failed} images"
        sys.stderr.write(f"ganvas: {counted} could not be stylized; {opened.manifest.path} has the reasons\n")
    return 0


def _task(options: argparse.Namespace) -> Task:
    return Task(
        images=absolute(options.images),
        out=absolute(options.out),
        model=str(settings().models_folder / f"{options.model}.onnx"),
        style=options.style,
        strength=options.strength,
        keep_color=options.keep_color,
        brush=options.brush,
        max_side=options.max_side,
        format=options.format,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service.bulk", description="Stylize a folder of any size with an exported style network."
    )
    parser.add_argument("--images", required=True, help="folder, or a URL that fsspec supports, such as s3://bucket/photos")
    parser.add_argument("--out", required=True, help="folder or URL to write to; file names are kept")
    parser.add_argument("--model", required=True, help="name of a stylizer in the folder GANVAS_MODELS")
    parser.add_argument("--style", help="a style or a blend, as in /v1/stylize; optional if the model has only one")
    parser.add_argument(
        "--strength", type=_share, default=api.STRENGTH.default, help="0 returns the image unchanged, 1 applies the full style"
    )
    parser.add_argument("--keep-color", type=_share, default=api.KEEP_COLOR.default, help="1 keeps the colours of the image")
    parser.add_argument(
        "--brush",
        type=_brush,
        default=api.BRUSH.default,
        help=f"size of the strokes, {api.BRUSH}: 1 as trained, 2 twice as large (default: %(default)s)",
    )
    parser.add_argument(
        "--max-side",
        type=_count,
        default=settings().default_side,
        help="longest side in pixels; larger images are shrunk (default: %(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=api.IMAGE_FORMATS,
        default=api.DEFAULT_STYLIZE_FORMAT,
        help="format of the written files (default: %(default)s)",
    )
    parser.add_argument("--manifest", help="path of the manifest (default: OUT/manifest.jsonl; required if OUT is a URL)")
    parser.add_argument("--retry-failed", action="store_true", help="try failed images again")
    parser.add_argument(
        "--workers", type=_count, help="number of workers (default: one per GPU; without GPUs, the most that fit the cores)"
    )
    parser.add_argument("--cores", type=_count, default=1, help="CPU cores of each worker (default: %(default)s)")
    return parser


def _share(text: str) -> float:
    return _number(text, 0, 1)


def _brush(text: str) -> float:
    return _number(text, api.BRUSH.minimum, api.BRUSH.maximum)


def _number(text: str, minimum: float, maximum: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not minimum <= number <= maximum:
        raise argparse.ArgumentTypeError(f"must be a number from {minimum} to {maximum}, not {text!r}")
    return number


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def _fail(message: str) -> int:
    sys.stderr.write(f"ganvas: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
