"""Styles and blends of styles, as a request writes them: `starry-night` or `starry-night:0.7,great-wave:0.3`."""

import math
from collections.abc import Sequence

import numpy as np

from service.engine.arrays import Floats
from service.engine.errors import InvalidValueError, NotFoundError


def parse_blend(text: str | None, names: Sequence[str]) -> Floats:
    """Turn a style or a blend into weights of the named styles.

    Args:
        text: names separated by commas, with or without a weight each; None if the request has no style.
        names: the model's styles.

    Returns:
        float32 [k], not negative, sum 1.

    Raises:
        InvalidValueError: the text is not a blend, a weight is negative or not a number, all weights are zero, or the text is
            None and the model has several styles.
        NotFoundError: the model does not have this style.
    """
    known = f"this model's styles are {', '.join(names)}"
    if text is None:
        if len(names) > 1:
            raise InvalidValueError("style", f"Choose one: {known}")
        return np.ones(1, np.float32)
    weights = [0.0] * len(names)
    for name, written in _parts(text):
        if name not in names:
            raise NotFoundError(f"There is no style {name[:64]!r}: {known}.")
        weights[names.index(name)] += 1.0 if written is None else _weight(written, name)
    total = sum(weights)
    if not math.isfinite(total) or total < np.finfo(np.float32).tiny:
        raise InvalidValueError("style", f"The weights of {text[:64]!r} must have a sum above 0")
    return np.array([weight / total for weight in weights], np.float32)


def style_names(text: str | None) -> list[str]:
    """The names in a style or a blend; none if the request has no style.

    Raises:
        InvalidValueError: a name is missing.
    """
    return [] if text is None else [name for name, _ in _parts(text)]


def _parts(text: str) -> list[tuple[str, str | None]]:
    """Each name of a blend, and its weight as it is written, if it has one."""
    parts = []
    for part in text.split(","):
        name, colon, written = (piece.strip() for piece in part.partition(":"))
        if not name:
            raise InvalidValueError("style", f"A style's name is missing in {text[:64]!r}; write NAME or NAME:WEIGHT,...")
        parts.append((name, written if colon else None))
    return parts


def _weight(written: str, name: str) -> float:
    try:
        weight = float(written)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0):
        raise InvalidValueError("style", f"The weight of {name} must be a number of at least 0, not {written[:64]!r}")
    return weight
