"""Pictures to HTTP answers: the format asked for, a file name, and the headers that let a picture be made again.

Blocking code, run in the codec threads.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from starlette.responses import Response

from ganvas import api
from service.engine.arrays import Pixels
from service.engine.codecs import archive, contact_sheet, encode, encode_animation, npy
from service.engine.handlers.base import Handler
from service.engine.handlers.generator import Generator
from service.engine.handlers.stylizer import Stylizer


def sampled(
    images: npt.NDArray[np.uint8],
    image_format: str,
    generator: Generator,
    seed: int | None = None,
    seeds: Sequence[int] | None = None,
) -> Response:
    """Answer with samples, uint8 [n, h, w, c].

    png, jpeg and webp are one picture, or one contact sheet of several; zip is one PNG a sample; npy is the array.

    Args:
        images: the samples, in order.
        image_format: png, jpeg, webp, zip or npy.
        generator: what made them.
        seed: the one that made them all.
        seeds: the ones that made them, one each.
    """
    stem = generator.card.name if seed is None else f"{generator.card.name}-{seed}"
    if image_format == "zip":
        data = _png_each(images, stem)
    elif image_format == "npy":
        data = npy(images)
    else:
        data = encode(contact_sheet(list(images)), image_format)
    headers = {api.SEED_HEADER: str(seed)} if seed is not None else _seeds_header(seeds)
    return _answer(data, image_format, stem, generator, headers)


def interpolated(
    frames: npt.NDArray[np.uint8], image_format: str, fps: float, generator: Generator, seeds: Sequence[int]
) -> Response:
    """Answer with the frames of a walk, uint8 [n, h, w, c].

    webp and gif are an animation; zip is one PNG a frame; npy is the array.

    Args:
        frames: the pictures, in order.
        image_format: webp, gif, zip or npy.
        fps: frames a second of an animation.
        generator: what made them.
        seeds: those of the pictures that the walk leads through; none where latents were given.
    """
    stem = "-".join([generator.card.name, *(map(str, seeds) if seeds else ["walk"])])
    if image_format == "zip":
        data = _png_each(frames, stem)
    elif image_format == "npy":
        data = npy(frames)
    else:
        data = encode_animation(frames, image_format, fps)
    return _answer(data, image_format, stem, generator, _seeds_header(seeds))


def stylized(pictures: Sequence[Pixels], names: Sequence[str], image_format: str, stylizer: Stylizer) -> Response:
    """Answer with restyled pictures: one as it is, several in a zip under the names of their uploads."""
    if len(pictures) == 1:
        stem = f"{_stem(names[0])}-{stylizer.card.name}"
        return _answer(encode(pictures[0], image_format), image_format, stem, stylizer, {})
    entries = (
        (f"{i:03d}-{_stem(name)}{api.FILE_TYPES[image_format].suffix}", encode(picture, image_format))
        for i, (name, picture) in enumerate(zip(names, pictures, strict=True))
    )
    return _answer(archive(entries), "zip", stylizer.card.name, stylizer, {})


def _seeds_header(seeds: Sequence[int] | None) -> dict[str, str]:
    return {api.SEEDS_HEADER: ", ".join(map(str, seeds))} if seeds else {}


def _png_each(images: npt.NDArray[np.uint8], stem: str) -> bytes:
    return archive((f"{stem}-{i:03d}.png", encode(image, "png")) for i, image in enumerate(images))


def _answer(data: bytes, format: str, stem: str, model: Handler, headers: dict[str, str]) -> Response:
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


def _stem(name: str) -> str:
    """A caller's file name without folders and suffix, reduced to characters that are safe in any header and file."""
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last.rpartition(".")[0] or last).strip(".-")[:64] or "image"
