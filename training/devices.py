"""Where a training runs: device, precision and number of processes."""

from typing import TYPE_CHECKING, Literal

import torch

from training.errors import ConfigError, first_line

if TYPE_CHECKING:
    from lightning_fabric import Fabric

DEVICE_TYPES = ("cpu", "cuda", "mps")

Precision = Literal["float32", "bfloat16"]


def find_device(name: str) -> torch.device:
    """The device of a name: auto, cpu, cuda, cuda:1, mps.

    Raises:
        ConfigError: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in DEVICE_TYPES:
            raise RuntimeError(f"known devices: {', '.join(DEVICE_TYPES)}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"--device {name} cannot be used here: {first_line(error)}. Use auto, cpu or, with a GPU, cuda."
        ) from error
    return device


def best_precision(device: torch.device) -> Precision:
    """Bfloat16 if the device multiplies it faster than float32. Other devices emulate it, a hundred times slower."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return "bfloat16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "float32"
    return "float32"


def resolve_precision(precision: Literal["auto", "float32", "bfloat16"], device: torch.device) -> Precision:
    """The precision of a config; for `auto`, the best precision of the device."""
    return best_precision(device) if precision == "auto" else precision


def launch(device: torch.device, precision: Precision, processes: int = 1, nodes: int = 1) -> "Fabric":
    """Start Lightning Fabric on a device. With several processes, this starts the other processes with the same command.

    Args:
        device: of the first process. On GPUs, each process takes its own.
        precision: of the passes through the networks. Weights and losses stay float32.
        processes: on this machine.
        nodes: machines. Each runs this command under torchrun.
    """
    from lightning_fabric import Fabric  # takes seconds to import, and most commands need only the device

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
