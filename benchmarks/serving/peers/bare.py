"""Runs the model in a loop without HTTP: python bare.py MODEL WORKLOAD THREADS SECONDS -> images per second."""

import sys
import time

import numpy as np
from model import Model

if __name__ == "__main__":
    path, workload, threads, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    model = Model(path, threads)
    if workload == "stylize":
        images = np.random.default_rng(0).integers(0, 256, (1, 512, 512, 3), dtype=np.uint8)
        run, images_per_run = lambda: model.stylize(images), 1
    else:
        images_per_run = int(workload.rpartition("-")[2])
        latents = model.latents({"n": images_per_run, "seed": 7})
        run = lambda: model.sample(latents)  # noqa: E731
    for _ in range(3):
        run()
    begin, done = time.perf_counter(), 0
    while time.perf_counter() < begin + seconds:
        run()
        done += images_per_run
    print(done / (time.perf_counter() - begin))
