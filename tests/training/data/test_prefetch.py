"""Batches are made before the loop asks for them."""

import threading
import time

import pytest
import torch
from torch import Tensor

from training.data.prefetch import prefetch


class Slow:
    """Stands in for `Crops`; odd steps are ready sooner than even ones."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.most = self._now = 0
        self._lock = threading.Lock()

    def batch(self, step: int) -> Tensor:
        with self._lock:
            self.asked.append(step)
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.02 if step % 2 == 0 else 0.001)
        with self._lock:
            self._now -= 1
        if step == 13:
            raise ValueError("broken")
        return torch.tensor(step)


@pytest.mark.parametrize("count", [1, 4])
def test_batches_come_in_order_and_at_most_count_are_made_at_a_time(count: int) -> None:
    crops = Slow()
    assert [int(batch) for batch in prefetch(crops.batch, range(3, 12), count)] == list(range(3, 12))
    assert sorted(crops.asked) == list(range(3, 12))
    assert crops.most <= count


def test_closing_cancels_the_remaining_batches() -> None:
    crops = Slow()
    batches = prefetch(crops.batch, range(1000), 4)
    assert int(next(batches)) == 0
    batches.close()
    assert len(crops.asked) <= 10


def test_error_is_raised_at_its_batch() -> None:
    batches = prefetch(Slow().batch, range(10, 20), 4)
    assert [int(next(batches)) for _ in range(3)] == [10, 11, 12]
    with pytest.raises(ValueError, match="broken"):
        next(batches)
