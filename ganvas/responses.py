"""Reads responses and checks them, because the client does not trust the service."""

import re
from collections.abc import Callable
from typing import TypeVar

import httpx

from ganvas import api
from ganvas.environment import shown
from ganvas.errors import UnexpectedResponseError, request_id_of
from ganvas.limits import Limit
from ganvas.results import ImageResult, format_of
from ganvas.text import printable

T = TypeVar("T")

MODEL_AND_VERSION = re.compile(r"([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)@([A-Za-z0-9._-]{1,64})")
SEEDS = re.compile(r"[0-9]{1,10}(?: *, *[0-9]{1,10})*")


def unexpected(response: httpx.Response, what: str) -> UnexpectedResponseError:
    """Build the error for a response that a Ganvas service would not send."""
    return UnexpectedResponseError(
        f"{shown(str(response.request.url))} {what}. Check that it is the URL of a Ganvas service.",
        request_id=request_id_of(response),
    )


def parsed(parse: Callable[[bytes], T], response: httpx.Response) -> T:
    """Read a body as JSON.

    Raises:
        UnexpectedResponseError: `parse` raised a ValueError.
    """
    try:
        return parse(response.content)
    except ValueError as error:
        raise UnexpectedResponseError(
            f"The client cannot read the response of {shown(str(response.request.url))} ({error}). "
            "Check the URL, or install a newer client.",
            request_id=request_id_of(response),
        ) from None


def images_in(response: httpx.Response, format: str, limit: Limit, stem: Callable[[str, tuple[int, ...]], str]) -> ImageResult:
    """Read images of the format that was asked for, and check all headers that say something about them.

    Args:
        response: with status 200 and its body loaded.
        format: as `ganvas.api.FILE_TYPES` names it.
        limit: of what the result may hold.
        stem: names the file, without its suffix, after the model and the seeds.

    Raises:
        UnexpectedResponseError: the response is not of a Ganvas service, or not of this format.
    """
    file_type = api.FILE_TYPES.get(format)  # the service rejects a format that it does not know
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if file_type is None or media_type != file_type.media_type:
        returned = printable(media_type, 100) or "data without a type"
        raise unexpected(response, f"returned {returned} instead of {file_type.media_type if file_type else format}")
    header = response.headers.get(api.MODEL_HEADER)
    if header is None:
        raise UnexpectedResponseError(
            f"{shown(str(response.request.url))} returned {media_type} without the header {api.MODEL_HEADER}. "
            "Check that it is the URL of a Ganvas service and that no proxy removes the header.",
            request_id=request_id_of(response),
        )
    made_by = MODEL_AND_VERSION.fullmatch(header)
    if made_by is None:
        raise unexpected(response, f"returned {printable(header, 100)!r} as {api.MODEL_HEADER} instead of NAME@VERSION")
    if format_of(response.content) != format:
        raise unexpected(response, f"returned a body that is not {media_type}, although its header says so")
    seeds = _seeds(response)
    name, version = made_by.groups()
    return ImageResult(
        response.content,
        media_type,
        name,
        version,
        seeds,
        stem(name, seeds) + file_type.suffix,
        request_id_of(response),
        limit,
    )


def _seeds(response: httpx.Response) -> tuple[int, ...]:
    text = (response.headers.get(api.SEEDS_HEADER) or response.headers.get(api.SEED_HEADER) or "").strip()
    seeds = tuple(map(int, text.split(","))) if SEEDS.fullmatch(text) else ()
    if (text and not seeds) or any(seed >= api.SEED_LIMIT for seed in seeds):
        raise unexpected(response, f"returned {printable(text, 40)!r} instead of seeds")
    return seeds
