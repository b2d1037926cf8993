"""The inputs and outputs of exported models: their names, types and shapes, which sizes fit, and smallest examples.

A card (`ganvas.card`) lists a `Tensor` for each input and one for the output. Export, comparison, quantisation and evaluation
in `training` and loading, warm-up and batching in `service` read them there, so a tensor's name is written once.

    card.inputs          # (Tensor("latents", "float32", (ROWS, 100), "normal"),)
    card.example(2)      # {"latents": float32 [2, 100]}: what those inputs may hold, as small as possible
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]

DType = Literal["float32", "uint8"]
Values = Literal["pixels", "normal", "unit"]
"""What a tensor holds: pixels 0 to 255; numbers from N(0, 1); numbers from 0 to 1."""


@dataclass(frozen=True)
class Dimension:
    """A dimension whose size the caller chooses.

    Attributes:
        name: as in the exported graph; inputs and outputs with the same name have the same size.
        least: the smallest size.
        multiple: every size is a multiple of this.
        factor: for an output, how many times the size of the input's dimension of this name.
    """

    name: str
    least: int = 1
    multiple: int = 1
    factor: int = 1

    def fit(self, size: int) -> int:
        """The smallest allowed size that is not below `size`."""
        return -(-max(size, self.least) // self.multiple) * self.multiple


ROWS = Dimension("n")
"""The first dimension of every tensor: one row per image. Rows of several requests share a batch."""


@dataclass(frozen=True)
class Tensor:
    """One input or output of an exported model.

    Attributes:
        name: in the ONNX graph.
        dtype: of its elements.
        shape: a size, or a `Dimension` if the caller chooses it; `ROWS` first.
        values: what it holds.
        neutral: the value that changes nothing, for requests that leave this input out; None if they must give it. The only
            dynamic dimension of an input with a neutral value is the rows.
    """

    name: str
    dtype: DType
    shape: tuple[int | Dimension, ...]
    values: Values
    neutral: float | None = None

    def sizes(self, chosen: Mapping[str, int]) -> tuple[int, ...]:
        """The shape with the sizes that a caller chose, by name of the dimension."""
        return tuple(d.factor * chosen[d.name] if isinstance(d, Dimension) else d for d in self.shape)

    def mismatch(self, dtype: str, shape: list[int | str | None]) -> str | None:
        """Compare with a tensor of a real graph.

        Args:
            dtype: such as "float32".
            shape: a number for each fixed dimension, a name or None for each dynamic one.

        Returns:
            What is wrong with the real tensor, to follow its name in a sentence; None if nothing is.
        """
        if dtype != self.dtype:
            return f"is {dtype}, not {self.dtype}"
        if len(shape) != len(self.shape):
            return f"has {len(shape)} dimensions, not {len(self.shape)}"
        for i, (expected, found) in enumerate(zip(self.shape, shape, strict=True)):
            if not isinstance(found, int):
                continue
            if isinstance(expected, Dimension):
                return f"has dimension {i} fixed at {found}; it must be dynamic"
            if found != expected:
                return f"has {found} as dimension {i}, the card says {expected}"
        return None

    def random(self, chosen: Mapping[str, int], rng: "np.random.Generator") -> "Array":
        """Random values that the tensor may hold, at the sizes that a caller chose."""
        shape = self.sizes(chosen)
        if self.values == "pixels":
            return rng.integers(0, 256, shape).astype(self.dtype)
        numbers = rng.standard_normal(shape) if self.values == "normal" else rng.random(shape)
        return numbers.astype(self.dtype)
