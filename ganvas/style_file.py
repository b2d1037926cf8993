"""A style in a file of its own, NAME.style.json: one more named style of a stylizer that is already there.

    python -m training export runs/mine exported/sunflowers.style.json

In the models folder it lies beside the model that it fits. It has some kB: what all styles share stays in the model.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from ganvas.card import Name, Style, StyleSpace

SUFFIX = ".style.json"

MAX_STYLE_FILE = 2**18
"""Largest style file, in bytes."""


class StyleFile(BaseModel):
    """What a style file says.

    Attributes:
        style: with a vector. The file is called `style.name` + `SUFFIX`.
        style_space: that of the cards of the models that the vector fits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    style: Style
    style_space: StyleSpace

    @property
    def name(self) -> Name:
        """The name of the style."""
        return self.style.name

    @model_validator(mode="after")
    def _complete(self) -> "StyleFile":
        if not self.style.vector or not self.style_space:
            raise ValueError("a style file needs a vector and a style_space")
        return self


def parse_style_file(data: bytes) -> StyleFile:
    """Read a style file of at most `MAX_STYLE_FILE` bytes.

    Raises:
        pydantic.ValidationError: it is not a style file of a schema version that this code knows.
    """
    return StyleFile.model_validate_json(data)
