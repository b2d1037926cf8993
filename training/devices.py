"""Where a training runs: device, precision, and how many processes share it."""

from typing import Literal

import torch
from lightning_fabric import Fabric

from training.errors import ConfigError, first_line

DEVICE_TYPES = ("cpu", "cuda", "mps")

Precision = Literal["float32", "bfloat16"]


def find_device(name: str) -> torch.device:
    """The device of a name: auto, cpu, cuda, cuda:1, mps.

    Raises:
        ConfigError: there is none of that name here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in DEVICE_TYPES:
            raise RuntimeError(f"known are {', '.join(DEVICE_TYPES)}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"--device {name} cannot be used here: {first_line(error)}. Use auto, cpu or, with a GPU, cuda."
        ) from error
    return device


def best_precision(device: torch.device) -> Precision:
    """Bfloat16 where the device multiplies it faster than float32; elsewhere it is emulated, a hundred times slower."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return "bfloat16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "float32"
    return "float32"


def resolve_precision(precision: Literal["auto", "float32", "bfloat16"], device: torch.device) -> Precision:
    """What a config asks for, or the best of the device where it leaves that open."""
    return best_precision(device) if precision == "auto" else precision


def launch(device: torch.device, precision: Precision, processes: int = 1, nodes: int = 1) -> Fabric:
    """Lightning Fabric on a device; with several processes, this starts the others, which run the same command.

    Args:
        device: of the first process; on GPUs, each process takes one of its own.
        precision: of the networks' passes; weights and losses stay float32.
        processes: on this machine.
        nodes: machines, each of which runs this command under torchrun.
    """
    one = processes == nodes == 1
    devices: list[int] | int = [device.index or 0] if one and device.type != "cpu" else processes
    fabric = Fabric(
        accelerator=device.type,
        devices=devices,
        num_nodes=nodes,
        strategy="auto" if one else "ddp",
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
    )
    fabric.launch()
    return fabric
