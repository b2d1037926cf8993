"""What a run cannot know and its card should say: a TOML file beside an export.

    title = "Painters"
    summary = "Paints photos in the manner of five painters."
    licence = "CC BY-SA 4.0"

    [[training_data]]
    title = "Photographs"
    source = "where they come from"
    licence = "CC BY-SA 4.0"

    [[metrics]]                 # what you measured, if you did
    name = "style loss"
    value = 0.7
    method = "how it was measured"

    [styles.starry-night]       # for a stylizer; each key is a style's name
    title = "The Starry Night"
    artist = "Vincent van Gogh"
    year = 1889
    licence = "public domain"

Whatever is left out gets a plain default that says so.
"""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ganvas.card import Metric, Text, TrainingData
from training.errors import ConfigError, first_line

NOT_STATED = "not stated"


class AboutStyle(BaseModel):
    """One style: its picture's title, artist, year and licence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", description="Left out: made from the style's name.")
    artist: Text = "unknown"
    year: int | None = None
    licence: Text = NOT_STATED


class About(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", description="Left out: made from the model's name.")
    summary: str = Field(default="", description="Left out: made from the run.")
    licence: Text = NOT_STATED
    training_data: tuple[TrainingData, ...] = ()
    metrics: tuple[Metric, ...] = ()
    styles: dict[str, AboutStyle] = {}


def read_about(path: Path | None) -> About:
    """Read the file; None gives the defaults.

    Raises:
        ConfigError: the file does not exist, is not TOML, or holds something else than the above.
    """
    if path is None:
        return About()
    try:
        return About.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise ConfigError(f"--about {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join([f"--about {path} is not allowed:", *lines])) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"--about {path} is not TOML: {first_line(error)}.") from error


def title_of(name: str) -> str:
    """A title made from a name: `starry-night` -> `Starry Night`."""
    return name.replace("-", " ").title()
