"""Images to HTTP responses: the requested format, a file name, and the headers that let a client make the same image again.

Blocking code, run in the codec threads.
"""

import re
from collections.abc import Sequence

from starlette.responses import Response

from ganvas import api
from ganvas.api import AnimationFormat, ImageFormat, SampleFormat
from service.engine.arrays import Images, Pixels
from service.engine.codecs import archive, contact_sheet, encode, encode_animation, npy
from service.engine.handlers.base import Handler
from service.engine.handlers.generator import Generator
from service.engine.handlers.stylizer import Stylizer


def sample_response(
    images: Images,
    format: SampleFormat,
    generator: Generator,
    seed: int | None = None,
    seeds: Sequence[int] | None = None,
    *,
    class_: str | Sequence[str] | None = None,
) -> Response:
    """Respond with samples.

    An image format holds one image, or one contact sheet of several; zip holds one PNG for each sample; npy is the array.

    Args:
        images: uint8 [n, h, w, c].
        format: of the response.
        generator: made the images.
        seed: the seed of all images, if they have one.
        seeds: the seed of each image, if each has its own.
        class_: as the request names it.
    """
    name = _class_stem(generator, class_)
    stem = name if seed is None else f"{name}-{seed}"
    if format == "zip":
        data = _png_archive(images, stem)
    elif format == "npy":
        data = npy(images)
    else:
        data = encode(contact_sheet(list(images)), format)
    headers = {api.SEED_HEADER: str(seed)} if seed is not None else _seeds_header(seeds)
    return _response(data, format, stem, generator, headers)


def interpolate_response(
    frames: Images,
    format: AnimationFormat,
    fps: float,
    generator: Generator,
    seeds: Sequence[int],
    *,
    class_: str | Sequence[str] | None = None,
) -> Response:
    """Respond with the frames of an interpolation.

    webp and gif are an animation; zip holds one PNG for each frame; npy is the array.

    Args:
        frames: uint8 [n, h, w, c].
        format: of the response.
        fps: frames per second of an animation.
        generator: made the frames.
        seeds: the seeds of the keys; empty if latents were given.
        class_: as the request names it.
    """
    stem = "-".join([_class_stem(generator, class_), *(map(str, seeds) if seeds else ["walk"])])
    if format == "zip":
        data = _png_archive(frames, stem)
    elif format == "npy":
        data = npy(frames)
    else:
        data = encode_animation(frames, format, fps)
    return _response(data, format, stem, generator, _seeds_header(seeds))


def stylize_response(images: Sequence[Pixels], names: Sequence[str], format: ImageFormat, stylizer: Stylizer) -> Response:
    """Respond with painted images: a single one as a file, several in a zip under the names of their uploads."""
    if len(images) == 1:
        stem = f"{_safe_stem(names[0])}-{stylizer.card.name}"
        return _response(encode(images[0], format), format, stem, stylizer, {})
    suffix = api.FILE_TYPES[format].suffix
    entries = (
        (f"{i:03d}-{_safe_stem(name)}{suffix}", encode(image, format))
        for i, (name, image) in enumerate(zip(names, images, strict=True))
    )
    return _response(archive(entries), "zip", stylizer.card.name, stylizer, {})


def _seeds_header(seeds: Sequence[int] | None) -> dict[str, str]:
    return {api.SEEDS_HEADER: ", ".join(map(str, seeds))} if seeds else {}


def _png_archive(images: Images, stem: str) -> bytes:
    return archive((f"{stem}-{i:03d}.png", encode(image, "png")) for i, image in enumerate(images))


def _response(data: bytes, format: str, stem: str, model: Handler, headers: dict[str, str]) -> Response:
    file_type = api.FILE_TYPES[format]
    disposition = "attachment" if format in ("zip", "npy") else "inline"
    return Response(
        data,
        media_type=file_type.media_type,
        headers={
            "Content-Disposition": f'{disposition}; filename="{stem}{file_type.suffix}"',
            api.MODEL_HEADER: f"{model.card.name}@{model.version}",
            **headers,
        },
    )


def _class_stem(generator: Generator, class_: str | Sequence[str] | None) -> str:
    """The start of a file's name: `digits`, or `digits_three` if all images are of one class."""
    safe = _safe(class_) if isinstance(class_, str) else ""
    return f"{generator.card.name}_{safe}" if safe else generator.card.name


def _safe_stem(name: str) -> str:
    """Reduce a client's file name, without folders and suffix, to characters that are safe in any header and file name."""
    last = re.split(r"[/\\]", name)[-1]
    return _safe(last.rpartition(".")[0] or last) or "image"


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")[:64]
