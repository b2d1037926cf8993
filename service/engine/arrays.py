"""Names for the arrays of the engine. Shapes are part of the meaning and not checked."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

Floats = npt.NDArray[np.float32]

Integers = npt.NDArray[np.int64]

Pixels = npt.NDArray[np.uint8]
"""One image, [h, w, c] with 1, 3 or 4 channels: grey, RGB, or RGB and straight alpha."""

Images = npt.NDArray[np.uint8]
"""Images of one size, [n, h, w, c]: what a model returns for n rows."""

Feeds = Mapping[str, Array]
"""A model's inputs by name, [n, ...] each."""
