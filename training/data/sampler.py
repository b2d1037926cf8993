"""The order of pictures in a training run, as a function of (seed, step)."""

import numpy as np


def batch_indices(count: int, batch_size: int, step: int, seed: int) -> np.ndarray:
    """Which pictures make the batch of one step: int64 [batch_size], each in 0..count-1.

    Every picture comes once an epoch, each epoch is shuffled anew, and a batch may span two (so that few pictures still
    make a full batch). Nothing but (seed, step) decides, so a resumed run sees what it would have seen.
    """
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = places // count
    orders = {epoch: np.random.default_rng((seed, int(epoch))).permutation(count) for epoch in np.unique(epochs)}
    return np.array([orders[epoch][place % count] for epoch, place in zip(epochs, places, strict=True)])
