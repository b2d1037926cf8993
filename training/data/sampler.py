"""The order of images, or of styles, in a training run, as a function of (seed, step)."""

import numpy as np

from training.random import Stream, numpy_rng


def batch_indices(count: int, batch_size: int, step: int, seed: int, stream: Stream = Stream.ORDER) -> np.ndarray:
    """The images, or the styles, of one step's batch: int64 [batch_size], each in 0..count-1.

    Each comes once in an epoch, and each epoch has another order. A batch may span two epochs, so that few images still fill a
    batch. Only (seed, step) decides, so a resumed run sees the same batches.
    """
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = places // count
    orders = {epoch: numpy_rng(seed, stream, int(epoch)).permutation(count) for epoch in np.unique(epochs)}
    return np.array([orders[epoch][place % count] for epoch, place in zip(epochs, places, strict=True)])
