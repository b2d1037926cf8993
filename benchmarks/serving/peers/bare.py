"""The model in a loop, without HTTP: python bare.py MODEL WORKLOAD THREADS SECONDS -> pictures a second."""

import sys
import time

import numpy as np
from model import Model

if __name__ == "__main__":
    path, workload, threads, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    model = Model(path, threads)
    if workload == "stylize":
        images = np.random.default_rng(0).integers(0, 256, (1, 512, 512, 3), dtype=np.uint8)
        run, pictures = lambda: model.stylize(images), 1
    else:
        pictures = int(workload.rpartition("-")[2])
        latents = model.latents({"n": pictures, "seed": 7})
        run = lambda: model.sample(latents)  # noqa: E731
    for _ in range(3):
        run()
    begin, done = time.perf_counter(), 0
    while time.perf_counter() < begin + seconds:
        run()
        done += pictures
    print(done / (time.perf_counter() - begin))
