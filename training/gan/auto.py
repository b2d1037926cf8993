"""`--config auto`: chooses a config for a folder of images, a device and a time, and says why.

The choices are what docs/gans.md has measured. If nothing was measured, a comment names the paper, or says that there is none.
The result is an ordinary config, which the run keeps. So a resumed run chooses nothing.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from training.config import AUTO, Features, Layer, flatten, merge, parse_changes, resolve
from training.console import duration
from training.gan.advice import LEAST_IN_CLASS
from training.gan.augment import AUGMENTATIONS, FEW_IMAGES
from training.gan.config import GanConfig
from training.gan.folder_facts import FolderFacts
from training.gan.origin import ARCHITECTURE
from training.gan.setup import build_discriminator, build_generator
from training.gan.step_time import StepTime
from training.text import count_of

SIZES = (256, 128, 96, 64, 48, 32, 28, 16)
"""Sides in pixels that are tried, the largest first."""

CPU_SIDE = 128
"""The largest side on a CPU, and the largest for the architectures that were measured."""

# After 938 steps at 32 pixels, coverage was .77 with 16,000 heads; of 300 heads, most were still blurred.
_LEAST_STEPS = 1000
_NARROW_GAIN = 2.0  # how much faster steps with two thirds of the channels are, at most
_SHARE = 0.8  # of the time is for steps, the rest for evaluations, samples and reports
_MUCH_ENLARGED = 0.5  # fraction of the images
_VERY_FEW = 1000  # images; with fewer, none is held out
_MIRRORED = 1.03  # `FolderFacts.mirror`; photos have 1.01, drawn portraits 1.05, digits 1.28
_VARIED = 70.0  # levels of `FolderFacts.spread`; portraits in one pose have 59, photos of anything 82
_EVALUATIONS = 8
_LONG, _EARLY = 200_000, 0.25  # images of a run, and the `features.start` of such a run

Measure = Callable[[GanConfig], StepTime]


class Machine(NamedTuple):
    """Where a run trains.

    Attributes:
        gpu: whether on a GPU.
        seconds: that the run may take.
        layers: of VGG-16, for the second discriminator; none if its weights were not found.
        metrics: network to measure in, if no option of the command line names one.
        measure: says how long a step of a config takes.
    """

    gpu: bool
    seconds: float
    layers: tuple[Layer, ...]
    metrics: Features | None
    measure: Measure


@dataclass(frozen=True)
class AutoConfig:
    """A config and why.

    Attributes:
        config: with everything that the folder and the machine decide.
        reasons: one line for each choice: the values and why.
    """

    config: GanConfig
    reasons: tuple[str, ...]


def choose(facts: FolderFacts, machine: Machine, changes: Sequence[str], trained: GanConfig | None = None) -> AutoConfig:
    """Choose a config.

    Args:
        facts: of the folder.
        machine: where to train, and how long.
        changes: of the command line, as for `load_config`. They are kept, and the other choices fit them.
        trained: config of the networks to begin with, if there are any. The new ones are the same.

    Raises:
        ConfigError: a change is not allowed, or no architecture makes images of the size.
    """
    fixed = {} if trained is None else _networks_of(trained)
    choices = _Choices(fixed, parse_changes(changes))
    if trained is not None:
        choices.reasons.append(f"The networks are those of --from: {trained.architecture} at {trained.image_size} pixels.")
    if facts.transparent:
        choices.take({"channels": 4}, "most images are partly transparent.")
    else:
        why = "all pixels are grey." if facts.colourless else "the images have colours."
        choices.take({"channels": 1 if facts.colourless else 3}, why)
    sizes, why = _sizes(facts, machine)
    if asked := choices.fixed.get("image_size"):
        sizes = [int(str(asked))]
    candidates = list(itertools.product(sizes, (False, True)))
    measured: tuple[int, int] | None = None  # size and steps of the last candidate
    for size, narrow in candidates:
        last = (size, narrow) == candidates[-1]
        if measured and not last and measured[1] * (measured[0] / size) ** 2 * (_NARROW_GAIN if narrow else 1) < _LEAST_STEPS:
            continue  # hopeless, and each measurement takes seconds
        if measured and size < measured[0]:
            why = f"at {measured[0]} pixels, {duration(machine.seconds)} are enough for fewer than {_LEAST_STEPS:,} steps"
        tried = _with_size(choices, size, facts, machine, why, narrow=narrow)
        config = tried.config
        build_generator(config)  # refuses a size
        build_discriminator(config)
        time = machine.measure(config)
        measured = size, time.steps_in(_SHARE * machine.seconds, config.features.start)
        if measured[1] >= _LEAST_STEPS or last:
            return _with_length(tried, time, facts, machine)
    raise AssertionError


class _Choices:
    """Values and reasons. Values that the command line fixes are not chosen."""

    def __init__(self, fixed: Mapping[str, object], changes: Mapping[str, object]) -> None:
        self.fixed = dict(fixed) | _flat(changes)
        self.values: dict[str, object] = {}
        self.reasons: list[str] = []
        self._changes = changes
        self._networks = fixed

    def copy(self) -> "_Choices":
        other = _Choices(self._networks, self._changes)
        other.values, other.reasons = dict(self.values), list(self.reasons)
        return other

    def take(self, values: Mapping[str, object], reason: str) -> None:
        """Choose those of the values that are free."""
        free = {key: value for key, value in values.items() if key not in self.fixed}
        if free:
            self.values |= free
            self.reasons.append(f"{', '.join(f'{key}={_shown(value)}' for key, value in free.items())}: {reason}")

    @property
    def config(self) -> GanConfig:
        """The chosen config so far."""
        return resolve(merge(merge(merge({}, self.values), self._networks), self._changes), GanConfig, AUTO)


def _sizes(facts: FolderFacts, machine: Machine) -> tuple[list[int], str]:
    """The sizes to try, the largest first, and why none is larger."""
    side, why = facts.smallest, f"the smallest image has a side of {facts.smallest} pixels"
    if facts.usual >= 2 * facts.smallest:
        why += f" (nine of ten have {facts.usual}: without the smallest ones, larger images are possible)"
    if facts.enlarged > _MUCH_ENLARGED and side >= facts.detail:
        side, why = facts.detail // 2, f"{facts.enlarged:.0%} of the images have no detail at {facts.detail} pixels"
    if not machine.gpu and side > CPU_SIDE:
        side, why = CPU_SIDE, "larger images take days on a CPU"
    return [size for size in SIZES if size <= side] or [SIZES[-1]], why


def _with_size(before: _Choices, size: int, facts: FolderFacts, machine: Machine, why: str, *, narrow: bool) -> _Choices:
    """All choices but the length, for images of a size."""
    choices = before.copy()
    choices.take({"image_size": size}, f"{why}.")
    large = size > CPU_SIDE
    if large:
        # Not measured. Karras et al. 2020: its channels are bounded, while those of dcgan double to thousands at this size.
        choices.take({"architecture": "style"}, "at more than 128 pixels the others have too many channels.")
    else:
        choices.take({"architecture": "dcgan-residual"}, "the best of those that were measured.")
    architecture = choices.config.architecture
    if architecture == "style":
        # Not measured beyond a few runs: see the table of architectures in docs/gans.md.
        choices.take({"optimizer.learning_rate": 2e-3, "optimizer.d_learning_rate": 4e-4}, "style needs a larger rate.")
    _choose_width(choices, size, facts, narrow=narrow)
    batch = 64 if machine.gpu else 16 if size >= 96 else 32
    choices.take(
        {"batch_size": batch},
        "the measured batch of a GPU." if machine.gpu else "on a CPU, more and smaller steps reach the same images sooner.",
    )
    choices.take({"optimizer.schedule": "cosine"}, "the images get sharper while the rates fall.")
    choices.take(
        {"features.layers": machine.layers},
        "VGG-16 made the largest difference of all." if machine.layers else "the weights of VGG-16 were not found.",
    )
    _choose_penalty(choices, size, facts)
    _choose_what_is_seen(choices, facts)
    _choose_classes(choices, facts)
    return choices


def _choose_width(choices: _Choices, size: int, facts: FolderFacts, *, narrow: bool) -> None:
    names = [
        f"{name}.width"
        for name, table in (("generator", choices.config.generator), ("discriminator", choices.config.discriminator))
        if "width" in type(table).model_fields
    ]
    # 32 for digits at 28 pixels, 48 for portraits at 64. Widths double with each halving, so a larger image begins narrower.
    if size <= 32:
        width, why = 32, "enough for small images."
    else:
        width, why = max(16, 48 * 64 // size), "as many channels at 8 x 8 as the shipped portraits have."
    if facts.colourless and size > 32:
        width, why = max(16, width * 2 // 3), "grey images need fewer channels."
    if narrow:
        width, why = max(16, width * 2 // 3), f"with more channels, fewer than {_LEAST_STEPS:,} steps fit into the time."
    choices.take(dict.fromkeys(names, width), why)


def _choose_penalty(choices: _Choices, size: int, facts: FolderFacts) -> None:
    # Measured: .05 for digits at 28 pixels and .1 for portraits at 64, in proportion to the side.
    weight = 0.1 * size / 64
    why = "in proportion to the side, as measured at 28 and 64 pixels"
    if facts.distinct < _VERY_FEW:
        # Not measured. Karras et al. 2020 (ADA) found larger weights better for smaller sets.
        weight, why = 2 * weight, f"{why}; twice that because there are few images"
    weight = float(f"{weight:.2g}")
    choices.take({"penalty.r1": weight, "penalty.r2": weight}, f"{why}.")
    if not facts.colourless:
        choices.take(
            {"penalty.initial_factor": 10.0, "penalty.ramp": 0.4},
            "a large penalty at first keeps all colours; portraits lost a background without it.",
        )


def _choose_what_is_seen(choices: _Choices, facts: FolderFacts) -> None:
    few = facts.distinct < FEW_IMAGES
    doubles = f" that look different ({facts.images:,} in all)" if facts.distinct < facts.images else ""
    reason = (
        f"{count_of(facts.distinct, 'image')}{doubles}; with fewer than {FEW_IMAGES:,}, the discriminator could memorise them."
    )
    if not few:
        reason = f"{count_of(facts.distinct, 'image')} are enough without augmentation, which would harm."
    choices.take({"augment": tuple(AUGMENTATIONS) if few else ()}, reason)
    mirrored = facts.mirror <= _MIRRORED
    choices.take(
        {"flip": mirrored},
        f"mirror images are {facts.mirror:.2f} times as far from the nearest image as images are from each other, so they "
        f"{'could be in the folder' if mirrored else 'are images of another kind'}.",
    )


def _choose_classes(choices: _Choices, facts: FolderFacts) -> None:
    if not facts.classes:
        return
    smallest, least = min(facts.classes.items(), key=lambda item: item[1])
    if len(facts.classes) > choices.config.latent_size:
        choices.take({"classes.count": 0}, f"{len(facts.classes)} folders are too many classes.")
    elif least < LEAST_IN_CLASS:
        choices.take({"classes.count": 0}, f"{smallest} has {count_of(least, 'image')}; a class needs about {LEAST_IN_CLASS}.")
    else:
        choices.take({"classes.count": len(facts.classes)}, "each folder is a class; classes made digits much better.")


def _with_length(choices: _Choices, time: StepTime, facts: FolderFacts, machine: Machine) -> AutoConfig:
    """Choose what depends on the time of a step."""
    config, seconds = choices.config, _SHARE * machine.seconds
    batch, most = config.images_per_step, _most_images(facts, config.image_size)
    if time.features is not None:
        # Measured: .25 of 787,200 images for portraits, and .4, the default, of 60,000 images at 32 pixels.
        long = min(most, batch * time.steps_in(seconds, _EARLY)) >= _LONG
        choices.take(
            {"features.start": _EARLY if long else config.features.start},
            "pixels alone find all kinds of images first, features then make the images sharp.",
        )
    fits = batch * time.steps_in(seconds, choices.config.features.start)
    why = f"fills {_SHARE:.0%} of {duration(machine.seconds)}; the rest is for evaluations and samples"
    if fits >= most:
        why = "more would repeat the images too often"
    why += f"; a step of {count_of(batch, 'image')} takes {time.pixels:.2g} s"
    why += "." if time.features is None else f", and {time.features:.2g} s with features."
    choices.take({"images": max(batch, min(fits, most))}, why)
    choices.take({"evaluation.every": max(1, choices.config.steps // _EVALUATIONS)}, f"{_EVALUATIONS} evaluations.")
    if machine.metrics:
        choices.take({"evaluation.network": machine.metrics}, "its weights are here, and pixels say little.")
    if not machine.gpu:
        choices.take({"evaluation.samples": 250}, "more would take long on a CPU.")
    return AutoConfig(choices.config, tuple(choices.reasons))


def _most_images(facts: FolderFacts, size: int) -> int:
    """Images after which more did not help: 50 epochs of the portraits, and 100,000 of 300 images at 32 pixels."""
    epochs = 50 * facts.distinct * (2 if facts.spread >= _VARIED else 1)  # varied images are harder; the factor is a guess
    return int(min(max(epochs, 100_000 * max(1.0, size / 32)), 800_000))


def _networks_of(trained: GanConfig) -> dict[str, object]:
    # `generator` stands for all of its options.
    return {key: value for key, value in flatten(trained).items() if {key, key.partition(".")[0]} & {*ARCHITECTURE}}


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{each}"' for each in value) + "]"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
