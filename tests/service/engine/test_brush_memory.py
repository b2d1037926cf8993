"""What another brush size costs in memory, measured in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.engine import brush

MEASURE = """
import json
import numpy as np
from service.engine import brush

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

def peak(make):
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")  # VmHWM begins again
    before = status("VmRSS")
    make()
    return status("VmHWM") - before

def measured(size, working):
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    small = brush.resize(photo, working)
    painting = 255 - small
    resize = peak(lambda: brush.resize(photo, working))
    return resize, peak(lambda: brush.finish(photo, small, painting, 0.5, 0.5))

measured((64, 64), (32, 32))  # loads Pillow and the library of numpy's products
print(json.dumps([measured(size, working) for size, working in SIZES]))
"""

SIZES = [((2048, 2048), (512, 512)), ((1100, 1100), (1024, 1024)), ((512, 512), (1024, 1024)), ((64, 4096), (8, 512))]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the memory of a process from /proc")
def test_brush_takes_no_more_memory_than_requests_reserve() -> None:
    # Without these, malloc keeps memory that the next measurement would not count. Threads of numpy have memory of their own.
    environment = {
        **os.environ,
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "OPENBLAS_NUM_THREADS": "1",
    }
    code = MEASURE.replace("SIZES", repr(SIZES))
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    for (size, working), (resize, finish) in zip(SIZES, json.loads(run.stdout), strict=True):
        assert resize <= brush.resize_bytes(size, working) + 2**17, (size, working)  # pages, and the objects themselves
        bound = brush.finish_bytes(size, working)
        assert bound / 3 < finish <= bound or bound < 2**23, (size, working)  # not far too high either, unless it is small
