"""What encoding costs in memory, measured in a process of its own."""

import json
import os
import subprocess
import sys

import pytest

from service.engine.codecs import ALPHA_ENCODE_BYTES, ENCODE_BYTES, SET_BYTES

MEASURE = """
import json, sys
import numpy as np
from service.engine import codecs

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

def peak(make):  # in bytes per pixel, what exists already not included
    make(images[:, :32, :32])  # loads the encoder
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")  # VmHWM begins again
    before = status("VmRSS")
    make(images)
    return (status("VmHWM") - before) / images[..., 0].size

def zipped(images):
    return codecs.archive((str(i), codecs.encode(image, "png")) for i, image in enumerate(images))

channels = int(sys.argv[1])
images = np.random.default_rng(0).integers(0, 256, (1, 1024, 1024, channels), np.uint8)
one = {f: peak(lambda images: codecs.encode(images[0], f)) for f in codecs.SAVE_OPTIONS}
images = np.random.default_rng(0).integers(0, 256, (16, 256, 256, channels), np.uint8)
sheet = {f: peak(lambda images: codecs.encode(codecs.contact_sheet(list(images)), f)) for f in codecs.SAVE_OPTIONS}
several = {f: peak(lambda images: codecs.encode_animation(images, f, 24)) for f in ("webp", "gif")}
several |= {"npy": peak(codecs.npy), "zip": peak(zipped)}
print(json.dumps([one, sheet, several]))
"""


@pytest.mark.parametrize("channels", [3, 4])
def test_encoding_takes_no_more_memory_than_requests_reserve(channels: int) -> None:
    # Without these, malloc keeps memory that the next measurement would not count.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    run = subprocess.run([sys.executable, "-c", MEASURE, str(channels)], env=environment, capture_output=True, check=True)
    one, sheet, several = json.loads(run.stdout)
    bounds = ALPHA_ENCODE_BYTES if channels == 4 else ENCODE_BYTES
    assert one.keys() == bounds.keys()
    for image_format, bound in bounds.items():
        assert bound / 3 < one[image_format] <= bound  # a bound that is far too high would reject requests for nothing
        assert channels + sheet[image_format] <= SET_BYTES + bound  # with the images themselves
    for image_format, peak in several.items():
        assert channels + peak <= SET_BYTES, image_format
