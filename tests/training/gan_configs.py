"""Configs of GANs for the tests."""

from collections.abc import Mapping
from typing import Any

from training.config import merge, resolve
from training.gan.config import GanConfig


def gan_config(*layers: Mapping[str, Any], **changes: Any) -> GanConfig:
    """A config from values and changes to them; `width` is that of both networks, keys may be dotted."""
    values: dict[str, Any] = {}
    for layer in (*layers, changes):
        values = merge(values, layer)
    if width := values.pop("width", None):
        values = merge({"generator.width": width, "discriminator.width": width}, values)
    return resolve(merge({}, values), GanConfig, "of a test")
