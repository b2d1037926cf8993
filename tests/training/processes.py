"""Run by test_gan_run.py in two processes: trains a few steps, each process writes what it ended with.

python -m tests.training.processes FOLDER
"""

import sys
from pathlib import Path

import torch

from tests.training.gan_configs import gan_config
from training.devices import launch
from training.gan.trainer import GanTrainer

CONFIG = gan_config(image_size=16, channels=3, width=4, batch_size=8, images=80, augment=(), penalty={"every": 2})
IMAGES = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

if __name__ == "__main__":
    fabric = launch(torch.device("cpu"), "float32", processes=2)
    trainer = GanTrainer(CONFIG, fabric, IMAGES)
    batches = [trainer.batches.real(number) for number in range(3)]
    for step in (1, 2, 3):
        trainer.step(step)
    parts = {name: part.state_dict() for name, part in trainer.parts.items()}
    torch.save({"real": batches, **parts}, Path(sys.argv[1]) / f"{fabric.global_rank}.pt")
