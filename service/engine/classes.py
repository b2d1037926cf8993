"""Classes of a generator by name, and latents that choose them.

With k classes, the largest of the first k latents of a row chooses the class of its image: see `GeneratorCard`.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from ganvas.interpolation import slerp
from service.engine.arrays import Floats, Integers
from service.engine.errors import InvalidValueError

MARGIN = np.float32(2**-20)
"""By how much the latent of a class exceeds one that was equal. No image shows it."""


def class_names(asked: str | Sequence[str] | None) -> list[str]:
    """The classes that a request names, each once."""
    return [] if asked is None else [asked] if isinstance(asked, str) else list(dict.fromkeys(asked))


def parse_classes(asked: str | Sequence[str] | None, names: Sequence[str], rows: int) -> Integers | None:
    """Turn the classes of a request into numbers.

    Args:
        asked: one name for all rows, or one for each; None if the request has no class.
        names: the model's classes, in the order of its latents.
        rows: number of rows.

    Returns:
        int64 [rows] in 0..k-1; None if the request has no class.

    Raises:
        InvalidValueError: the model has no classes, or not this one.
    """
    if asked is None:
        return None
    if not names:
        raise InvalidValueError(
            "class", "This model has no classes. It makes images from seeds or latents, with truncation. Leave class out"
        )
    known = f"this model's classes are {', '.join(names)}"
    listed = [asked] * rows if isinstance(asked, str) else asked
    for i, name in enumerate(listed):
        if name not in names:
            field = "class" if isinstance(asked, str) else f"class[{i}]"
            raise InvalidValueError(field, f"There is no class {name[:64]!r}: {known}")
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[name] for name in listed], np.int64)


def with_classes(latents: Floats, classes: Integers, count: int) -> Floats:
    """Make latents choose given classes: the largest of the first k latents and that of the class change places.

    A row that chooses its class anyway stays as it is. Other rows are distributed like rows that choose the class by chance.

    Args:
        latents: float32 [n, size].
        classes: int64 [n] in 0..k-1.
        count: the number of classes, k.

    Returns:
        float32 [n, size].
    """
    rows = np.arange(len(latents))
    largest = latents[:, :count].argmax(axis=1)
    moved = latents.copy()
    moved[rows, classes], moved[rows, largest] = latents[rows, largest], latents[rows, classes]
    # Equal latents choose the first of them, so truncation 0, which makes all latents 0, would choose the first class.
    tied = np.flatnonzero(moved[:, :count].argmax(axis=1) != classes)
    top = moved[tied, classes[tied]]
    moved[tied, classes[tied]] = np.maximum(top + MARGIN, np.nextafter(top, np.float32(np.inf)))
    return moved


def walk_in_classes(keys: Floats, classes: Integers, count: int, steps: int, *, loop: bool) -> tuple[Floats, Integers]:
    """Interpolate from key to key like `ganvas.interpolation.interpolate`, with a class for each key.

    Between two keys of one class, every frame is of this class. Between keys of two classes, the first half of the frames is on
    the way between both keys in the first class, and the second half in the second. So the image changes once, halfway, and
    never shows a third class.

    Args:
        keys: float32 [k, size].
        classes: int64 [k], the class of each key.
        count: the number of classes.
        steps: rows from one key to the next.
        loop: whether the walk returns to the first key.

    Returns:
        float32 [frames, size] and the class of each frame, int64 [frames].
    """
    fractions = np.arange(steps) / steps
    places = [*range(len(keys)), 0] if loop else range(len(keys))
    legs: list[Floats] = []
    shown: list[Integers] = []
    for start, end in itertools.pairwise(places):
        nearer = np.where(fractions < 0.5, classes[start], classes[end])
        for chosen in dict.fromkeys([classes[start], classes[end]]):
            low, high = with_classes(keys[[start, end]], np.full(2, chosen), count)
            legs.append(slerp(low, high, fractions[nearer == chosen]))
        shown.append(nearer)
    if not loop:
        legs.append(with_classes(keys[-1:], classes[-1:], count))
        shown.append(classes[-1:])
    return np.concatenate(legs), np.concatenate(shown)
