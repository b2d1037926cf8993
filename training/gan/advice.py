"""Which config of a GAN fits the images of a folder, how long it takes, and the command that trains it."""

from pathlib import Path
from typing import NamedTuple

from training.config import load_config
from training.data.split import LEAST_TO_HOLD_OUT
from training.data.survey import Survey
from training.gan.augment import FEW_IMAGES
from training.gan.config import GanConfig
from training.program import command
from training.text import count_of, name_from

MIN_IMAGES = 16
"""Fewer images cannot be trained on."""

LEAST_IN_CLASS = 100
"""With fewer images, a class collapses to copies of them."""

_SIZES = (64, 48, 32, 28, 16)  # of the default architecture; larger ones take hours on a GPU
_FIRST_LOOK = 32  # image_size of the config quick
_UNEVEN = 3  # times the images of the smallest class
# Images per second at 64 pixels and width 48 (toon-heads, docs/gans.md). The digits, at 28 and 32, show that time grows in
# proportion to the side and to the width.
_CPU_RATE, _GPU_RATE = 55, 2200


class Advice(NamedTuple):
    """What to do with the images of a folder.

    Attributes:
        config: name of the config that fits.
        changes: values to change with `--set`.
        reasons: sentences: why this config and these values, and what to expect.
        time: how long it takes, in words.
        command: that starts the training, to paste into a shell; None if training would refuse the images.
    """

    config: str
    changes: tuple[str, ...]
    reasons: tuple[str, ...]
    time: str
    command: str | None


def size_for(sizes: dict[str, tuple[int, int]]) -> int:
    """The side in pixels to train at: at most 64, and no larger than nine of ten images.

    Args:
        sizes: name -> (width, height) in pixels; at least one.
    """
    sides = sorted(map(min, sizes.values()))
    return largest_size(sides[len(sides) // 10]) or _SIZES[-1]


def largest_size(side: int) -> int | None:
    """The largest size to train at, of those that are measured, that fits a side in pixels; None if there is none."""
    return next((size for size in _SIZES if size <= side), None)


def advise(survey: Survey) -> Advice:
    """The config that fits the usable images of a survey.

    Raises:
        ConfigError: no architecture makes images of the survey's size.
    """
    images = survey.images.values()
    grey = bool(images) and not survey.transparency.is_common and all(facts.colourless for facts in images)
    config = "digits" if grey and survey.size <= 32 else "gan"
    reasons = [
        "digits: the recipe for small grey images."
        if config == "digits"
        else "gan: the recipe that was measured to work best on most images."
    ]
    values = {}
    settings = load_config(config, GanConfig)
    if settings.image_size != survey.size:
        values["image_size"] = str(survey.size)
    if grey and not all(facts.grey for facts in images):
        values["channels"] = "1"
        reasons.append("channels=1: the files store colour, but all pixels are grey.")
    if survey.transparency.is_common:
        reasons.append("Most images are partly transparent, so the model learns transparency. channels=3 places them on white.")
    reason, count = _classes(survey, settings.latent_size)
    reasons += reason
    if settings.classes.count != count:
        values["classes.count"] = str(count)
    reasons += _about_count(len(images))
    if survey.size >= _FIRST_LOOK:
        reasons.append(
            f"For a first look at {_FIRST_LOOK} x {_FIRST_LOOK} in about 5 minutes on two CPU cores, use --config quick."
        )
    changes = tuple(f"{key}={value}" for key, value in values.items())
    resolved = load_config(config, GanConfig, changes)
    usable = len(images) >= MIN_IMAGES and not too_small(survey)
    next_command = train_command(survey.path, config, changes) if usable else None
    return Advice(config, changes, tuple(reasons), _time(resolved), next_command)


def too_small(survey: Survey) -> list[str]:
    """Names of the images that are smaller than the training size. A run does not start with them."""
    return [name for name, reason in survey.left_out.items() if reason.startswith("a side under ")]


def train_command(data: Path, config: str, changes: tuple[str, ...]) -> str:
    """The command that trains a GAN, to paste into a shell."""
    out = Path("runs") / (name_from(data.resolve().stem) or "mine")
    sets = (word for change in changes for word in ("--set", change))
    return command("gan", "--data", str(data), "--config", config, *sets, "--out", str(out))


def _classes(survey: Survey, most: int) -> tuple[list[str], int]:
    """What to say about classes, and how many to train with."""
    classes = survey.classes
    if len(classes) < 2:
        return [], 0
    (smallest, least), (largest, greatest) = (pick(classes.items(), key=lambda item: item[1]) for pick in (min, max))
    if len(classes) > most:
        return [f"No classes: {len(classes)} folders are more than the {most} classes that are possible."], 0
    if least < LEAST_IN_CLASS:
        return [f"No classes: {smallest} holds {count_of(least, 'image')}, and a class needs about {LEAST_IN_CLASS}."], 0
    said = [f"classes.count={len(classes)}: each folder is a class. Set it to 0 if the folders mean nothing."]
    if greatest >= _UNEVEN * least:
        said.append(
            f"The classes are uneven: {largest} holds {greatest:,} images, {smallest} {least:,}. The model makes each "
            "equally often."
        )
    return said, len(classes)


def _about_count(count: int) -> list[str]:
    if count < MIN_IMAGES:
        return [f"{count_of(count, 'image')} can be used; at least {MIN_IMAGES} are needed, thousands for good results."]
    if count < LEAST_TO_HOLD_OUT:
        return [
            f"{count:,} images are few: expect variations of them. Training shifts and recolours what the discriminator sees."
        ]
    if count < FEW_IMAGES:
        return [f"With fewer than {FEW_IMAGES:,} images, training shifts and recolours what the discriminator sees."]
    return []


def _time(config: GanConfig) -> str:
    width = getattr(config.generator, "width", 48)
    work = config.images * (config.image_size / 64) * (width / 48)
    return f"about {_duration(work / _CPU_RATE)} on two CPU cores, {_duration(work / _GPU_RATE)} on a GPU"


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return count_of(minutes, "minute") if minutes < 100 else count_of(round(minutes / 60), "hour")
