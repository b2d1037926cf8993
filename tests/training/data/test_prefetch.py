"""Batches that are decoded before they are asked for."""

import threading
import time

import pytest
import torch
from torch import Tensor

from training.data.crops import ahead


class Slow:
    """Stands for `Crops`: later batches are ready sooner."""

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
def test_they_come_in_order_and_no_more_than_so_many_at_a_time(count: int) -> None:
    crops = Slow()
    assert [int(batch) for batch in ahead(crops.batch, range(3, 12), count)] == list(range(3, 12))
    assert sorted(crops.asked) == list(range(3, 12))
    assert crops.most <= count


def test_whoever_stops_early_does_not_wait_for_the_rest() -> None:
    crops = Slow()
    coming = ahead(crops.batch, range(1000), 4)
    assert int(next(coming)) == 0
    coming.close()
    assert len(crops.asked) <= 10


def test_what_fails_is_raised_in_its_turn() -> None:
    coming = ahead(Slow().batch, range(10, 20), 4)
    assert [int(next(coming)) for _ in range(3)] == [10, 11, 12]
    with pytest.raises(ValueError, match="broken"):
        next(coming)
