"""Checks the tensors of a request against the contract in a model's card, before the model sees them.

sizes = sizes_of(card, {"latents": (16, 100)}, optional={}, most={"n": 64})    # {"n": 16}
check_values(card.inputs[0], latents)
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ganvas.card import Card
from ganvas.tensors import ROWS, Dimension, Tensor
from service.engine.arrays import Array
from service.engine.errors import InvalidValueError

Shape = tuple[int | Dimension, ...]


def sizes_of(
    card: Card,
    shapes: Mapping[str, Sequence[int]],
    *,
    optional: Collection[str],
    most: Mapping[str, int],
    encoded: str | None = None,
) -> dict[str, int]:
    """The size of each dimension that the caller chose, by name: `n`, the rows, and what else the card leaves open.

    Args:
        card: of the model.
        shapes: of the inputs that the request has.
        optional: inputs that may be left out.
        most: the largest size of each dimension.
        encoded: an input whose rows are encoded images, so its only dimension is the rows.

    Raises:
        InvalidValueError: an input is unknown or missing, or its shape does not fit; the message says which shapes do.
    """
    allowed: dict[str, Shape] = {tensor.name: tensor.shape for tensor in card.inputs}
    if encoded:
        allowed[encoded] = (ROWS,)
    for name in shapes:
        if name not in allowed:
            raise InvalidValueError("inputs", f"{card.name} has no input {name[:64]!r}; its inputs are {', '.join(allowed)}")
    if missing := [name for name in allowed if name not in shapes and name not in optional]:
        raise InvalidValueError("inputs", f"{card.name} also needs {', '.join(missing)}")
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        if not _fits(shape, allowed[name], sizes, most):
            raise InvalidValueError(f"{name}.shape", _misfit(shape, allowed[name], sizes, most))
    return sizes


def _fits(shape: Sequence[int], allowed: Shape, sizes: dict[str, int], most: Mapping[str, int]) -> bool:
    """Compare a shape with the allowed one, and note the sizes of dimensions that it is the first to have."""
    if len(shape) != len(allowed):
        return False
    chosen: dict[str, int] = {}
    for size, dimension in zip(shape, allowed, strict=True):
        if not isinstance(dimension, Dimension):
            if size != dimension:
                return False
        elif size != dimension.fit(size) or size > most[dimension.name] or size != sizes.get(dimension.name, size):
            return False
        else:
            chosen[dimension.name] = size
    sizes |= chosen
    return True


def _misfit(shape: Sequence[int], allowed: Shape, sizes: Mapping[str, int], most: Mapping[str, int]) -> str:
    written = ", ".join(one.name if isinstance(one, Dimension) else str(one) for one in allowed)
    bounds = []
    for dimension in allowed:
        if not isinstance(dimension, Dimension):
            continue
        name = dimension.name
        if name in sizes:
            bounds.append(f"{name} is {sizes[name]} in another input")
        else:
            multiple = f" and a multiple of {dimension.multiple}" if dimension.multiple > 1 else ""
            bounds.append(f"{name} is {dimension.fit(1)} to {most[name]}{multiple}")
    return f"Must be [{written}], where {'; '.join(bounds)}; not {str(list(shape))[:200]}"


def check_values(tensor: Tensor, array: Array) -> None:
    """Check that an array, not empty, has values that its tensor may hold. Pixels may have any value.

    Raises:
        InvalidValueError: a value is not finite, or not 0 to 1 where the card says so.
    """
    if tensor.values == "pixels":
        return
    field = f"{tensor.name}.data"
    if not np.isfinite(array).all():
        raise InvalidValueError(field, "Every number must be finite")
    if tensor.values == "unit" and not (array.min() >= 0 and array.max() <= 1):
        raise InvalidValueError(field, "Every number must be 0 to 1")
