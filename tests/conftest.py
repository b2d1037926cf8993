"""What the tests of more than one folder need."""

import os
import signal
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # tests run side by side: more threads each would fight over the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background; processes of tests would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def vgg_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-16 as a local file holds it, but with random weights: the real loading code, and features that are no use."""
    import safetensors.torch
    import torch

    from training.torchvision_models import vgg16

    torch.manual_seed(0)
    state = {f"features.{name}": value.half() for name, value in vgg16().features.state_dict().items()}
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    safetensors.torch.save_file(state, path)
    return path
