"""Configs of GANs for the tests."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from training.config import merge, resolve
from training.errors import ConfigError
from training.gan.architectures.registry import GANS
from training.gan.config import GanConfig
from training.gan.setup import build_discriminator, build_generator

SIZES = (16, 28, 32, 64, 128, 256)


def gan_config(*layers: Mapping[str, Any], **changes: Any) -> GanConfig:
    """A config from values and changes to them. Keys may be dotted; `width` is that of each network that has one."""
    values: dict[str, Any] = {}
    for layer in (*layers, changes):
        values = merge(values, layer)
    if width := values.pop("width", None):
        architecture = GANS.get(values.get("architecture", "dcgan"), GANS["dcgan"])
        tables = {"generator": architecture.generator_options, "discriminator": architecture.discriminator_options}
        widths = {f"{name}.width": width for name, options in tables.items() if "width" in options.model_fields}
        values = merge(merge({}, widths), values)
    return resolve(merge({}, values), GanConfig, "of a test")


@cache
def sizes_of(architecture: str) -> tuple[int, ...]:
    """The image sizes of `SIZES` that a registered architecture accepts, the smallest first."""
    sizes = tuple(size for size in SIZES if _accepts(architecture, size))
    assert sizes, f"{architecture} accepts none of the image sizes {SIZES}"
    return sizes


def _accepts(architecture: str, size: int) -> bool:
    config = gan_config(architecture=architecture, image_size=size, channels=1, width=4)
    try:
        build_generator(config)
        build_discriminator(config)
    except ConfigError:
        return False
    return True
