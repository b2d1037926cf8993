"""Card details: the TOML file that says what a run cannot know and the model card should say.

    title = "Painters"
    summary = "Paints photos in the manner of five painters."
    licence = "CC BY-SA 4.0"

    [[training_data]]
    title = "Photographs"
    source = "where they come from"
    licence = "CC BY-SA 4.0"

    [[metrics]]                 # if you measured something yourself
    name = "style loss"
    value = 0.7
    method = "how it was measured"

    [styles.starry-night]       # for a stylizer; the key is the style's name
    title = "The Starry Night"
    artist = "Vincent van Gogh"
    year = 1889
    licence = "public domain"

Every key is optional. The card says "not stated" or "unknown" for a missing licence, source or artist.
"""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ganvas.card import Metric, Text, TrainingData
from training.errors import ConfigError, first_line
from training.run import Plan

NOT_STATED = "not stated"


class StyleDetails(BaseModel):
    """Details of the painting behind one style."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", description="If empty, made from the style's name.")
    artist: Text = "unknown"
    year: int | None = None
    licence: Text = NOT_STATED


class CardDetails(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", description="If empty, made from the model's name.")
    summary: str = Field(default="", description="If empty, made from the run.")
    licence: Text = NOT_STATED
    training_data: tuple[TrainingData, ...] = ()
    metrics: tuple[Metric, ...] = ()
    styles: dict[str, StyleDetails] = {}


def read_card_details(path: Path | None) -> CardDetails:
    """Read the file; None gives the defaults.

    Raises:
        ConfigError: the file does not exist, is not TOML, or holds a key or value that is not allowed.
    """
    if path is None:
        return CardDetails()
    try:
        return CardDetails.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise ConfigError(f"--card {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join([f"--card {path} is not allowed:", *lines])) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"--card {path} is not TOML: {first_line(error)}.") from error


def title_of(name: str) -> str:
    """A title made from a name: `starry-night` -> `Starry Night`."""
    return name.replace("-", " ").title()


def card_fields(name: str, plan: Plan, details: CardDetails, step: int, summary: str) -> dict[str, Any]:
    """The fields that the cards of all kinds share.

    Args:
        name: of the model.
        plan: of the run.
        details: what the run cannot know.
        step: of the exported checkpoint.
        summary: used if the details have none.
    """
    unstated = TrainingData(title=f"{plan.images:,} images ({plan.data})", source=NOT_STATED, licence=NOT_STATED)
    return {
        "name": name,
        "title": details.title or title_of(name),
        "summary": details.summary or summary,
        "licence": details.licence,
        "training_data": details.training_data or (unstated,),
        "training_config": {"trained_steps": step, **plan.config.model_dump(mode="json")},
        "metrics": details.metrics,
    }
