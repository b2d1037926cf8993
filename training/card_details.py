"""Card details: what a run cannot know and the model card should say, from options of `export` or from a TOML file.

    title = "Painters"
    summary = "Paints photos in the manner of five painters."
    licence = "CC BY-SA 4.0"
    classes = ["zero", "one"]   # of a generator, in the order of the folders; by default, the names of the folders

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

from ganvas.card import ClassName, Metric, Text, TrainingData
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


class DataDetails(BaseModel):
    """Details of one source of the training images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", description="If empty, made from the run.")
    source: Text = NOT_STATED
    licence: Text = NOT_STATED


class CardDetails(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", description="If empty, made from the model's name.")
    summary: str = Field(default="", description="If empty, made from the run.")
    licence: Text = NOT_STATED
    training_data: tuple[DataDetails, ...] = ()
    metrics: tuple[Metric, ...] = ()
    classes: tuple[ClassName, ...] = ()
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


def with_options(
    details: CardDetails,
    *,
    title: str | None = None,
    summary: str | None = None,
    licence: str | None = None,
    data_source: str | None = None,
    data_licence: str | None = None,
) -> CardDetails:
    """Add what options of the command line say. They replace what the file says.

    Raises:
        ConfigError: an option is empty, or the options describe training data that the file describes as well.
    """
    options = {
        "--title": title, "--summary": summary, "--licence": licence, "--data-source": data_source,
        "--data-licence": data_licence,
    }  # fmt: skip
    for option, text in options.items():
        if text is not None and not text.strip():
            raise ConfigError(f"{option} is empty. Give a text, or leave {option} out.")
    fields: dict[str, Any] = {"title": title, "summary": summary, "licence": licence}
    if data_source or data_licence:
        if details.training_data:
            raise ConfigError(
                "--data-source and --data-licence describe the training data, and so does the file of --card. Leave the "
                "options out, or remove [[training_data]] from the file."
            )
        fields["training_data"] = (DataDetails(source=data_source or NOT_STATED, licence=data_licence or NOT_STATED),)
    return details.model_copy(update={key: value for key, value in fields.items() if value is not None})


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
    images = f"{plan.images:,} images ({plan.data})"
    sources = details.training_data or (DataDetails(),)
    return {
        "name": name,
        "title": details.title or title_of(name),
        "summary": details.summary or summary,
        "licence": details.licence,
        "training_data": tuple(
            TrainingData(title=data.title or images, source=data.source, licence=data.licence) for data in sources
        ),
        "training_config": {"trained_steps": step, **plan.config.model_dump(mode="json")},
        "metrics": details.metrics,
    }
