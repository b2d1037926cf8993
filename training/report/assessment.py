"""The words of an assessment: a verdict, its reasons, and commands to paste into a shell."""

import json
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from training.config import RunConfig, flatten


class NextStep(NamedTuple):
    """What to do next: why, and a command to paste into a shell; empty if there is nothing to run."""

    words: str
    command: str = ""


class Assessment(NamedTuple):
    """A run in words.

    Attributes:
        verdict: its value is the headline.
        reasons: sentences with the numbers behind it.
        next_steps: what to do, the most useful first.
    """

    verdict: Enum
    reasons: tuple[str, ...]
    next_steps: tuple[NextStep, ...]


def set_words(
    config: RunConfig, usual: RunConfig, changes: Mapping[str, object], resolved: tuple[str, ...] = ()
) -> Iterator[str]:
    """The `--set` words that repeat a config with some changes.

    Args:
        config: to repeat.
        usual: the config that a run without `--set` has.
        changes: key -> other value.
        resolved: keys that a run chooses itself; they are left out.
    """
    defaults = flatten(usual)
    values = {
        key: value
        for key, value in flatten(config).items()
        if key not in resolved and value is not None and value != defaults.get(key)
    } | dict(changes)
    for key, value in values.items():
        yield from ("--set", f"{key}={toml(value)}")


def toml(value: object) -> str:
    """A value as `--set` takes it."""
    return value if isinstance(value, str) else json.dumps(value)
