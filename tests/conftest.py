"""Fixtures that several folders of tests use."""

import os
import signal
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # tests run in parallel; with more threads each they would compete for cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in background jobs of a shell; child processes would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def vgg_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local file with random weights of VGG-16. It goes through the real loading code; the features are meaningless."""
    import safetensors.torch
    import torch

    from training.torchvision_models import vgg16

    with torch.device("meta"):  # else torchvision also draws the 120 million weights behind the features
        features = vgg16().features.to_empty(device="cpu")
    torch.manual_seed(0)
    for parameter in features.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")  # like torchvision
        else:
            torch.nn.init.zeros_(parameter)
    state = {f"features.{name}": value.half() for name, value in features.state_dict().items()}
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    safetensors.torch.save_file(state, path)
    return path
