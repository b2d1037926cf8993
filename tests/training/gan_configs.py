"""Configs of GANs for the tests."""

from collections.abc import Mapping
from typing import Any

from training.config import merge, resolve
from training.gan.architectures.registry import GANS
from training.gan.config import GanConfig


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
