"""Exported files: reads and writes the ONNX file and the card inside, and runs the model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import onnx
import onnxruntime
from pydantic import TypeAdapter, ValidationError

from ganvas.card import METADATA_KEY, OUTPUT, Card, Name, dump_card, parse_card
from ganvas.files import write_whole
from ganvas.tensors import Dimension
from training.errors import ExportError, first_line
from training.program import command
from training.text import name_from

SomeCard = TypeVar("SomeCard", bound=Card)

Inputs = Mapping[str, np.ndarray]
"""Input name -> array, for one run of an exported model."""


def read_card(path: Path) -> Card:
    """The card of an exported model.

    Raises:
        ExportError: the file is not an ONNX file, has no card, or has a card that cannot be read.
    """
    return _card_of(_load(path), path)


def write_card(path: Path, card: Card) -> None:
    """Replace the card of an exported file. Everything else in the file stays.

    Raises:
        ExportError: the file cannot be read or written.
    """
    model = _load(path)
    set_card(model, card)
    write_model(model, path)


def set_card(model: onnx.ModelProto, card: Card) -> None:
    """Put a card into a model. Its other metadata stay."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, metadata | {METADATA_KEY: dump_card(card)})


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a file in one step.

    Raises:
        ExportError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda partial: onnx.save(model, partial))
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}.") from error


def model_file(text: str) -> str:
    """The file of a model with this title: `Köpfe für Zoë` -> `kopfe-fur-zoe.onnx`.

    Raises:
        ExportError: nothing in the text can be written with the letters a-z and digits.
    """
    name = name_from(text)
    if not name:
        raise ExportError(f"No model name can be made from {text!r}. Name the file to write, such as exported/my-cats.onnx.")
    return f"{name}.onnx"


def check_name(path: Path) -> None:
    """Check that a path can be that of an exported model.

    Raises:
        ExportError: the path does not end in .onnx, or its name is not a model name.
    """
    if path.suffix != ".onnx":
        raise ExportError(f"{path} is not an .onnx file. Name the file to write, such as exported/{path.stem}.onnx.")
    try:
        TypeAdapter(Name).validate_python(path.stem)
    except ValidationError:
        allowed = path.with_name(f"{name_from(path.stem) or 'my-cats'}.onnx")
        raise ExportError(
            f"{path.stem} is not a model name. Use at most 63 lower-case letters a-z, digits and inner hyphens, such as "
            f"{allowed}. --title may be any text."
        ) from None


def forget_the_machine(model: onnx.ModelProto) -> None:
    """Remove the stack traces, with paths of this machine, that torch's exporter leaves on every node and value."""
    model.doc_string = model.graph.doc_string = ""
    graph = model.graph
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, *model.functions):
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.metadata_props[:]


class ExportedModel(Generic[SomeCard]):
    """An exported model, run by onnxruntime on the CPU.

    Args:
        path: of the file.
        kind: class of its card.

    Attributes:
        path: of the file.
        card: inside the file.

    Raises:
        ExportError: the file is not an exported model of this kind, or onnxruntime cannot load it.
    """

    def __init__(self, path: Path, kind: type[SomeCard]) -> None:
        card = read_card(path)
        if not isinstance(card, kind):
            raise ExportError(f"{path} is a {card.kind}, not a {kind.model_fields['kind'].default}.")
        self.path, self.card = path, card
        try:
            self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base class
            raise self._broken(error) from error

    def run(self, inputs: Inputs) -> np.ndarray:
        """Run one batch and return the output.

        Raises:
            ExportError: the model cannot be run, or its output is not what its card says.
        """
        complete = self.card.with_neutral(inputs)
        try:
            (output,) = self._session.run([OUTPUT], complete)
        except Exception as error:
            raise self._broken(error) from error
        sizes = {
            dimension.name: size
            for tensor in self.card.inputs
            for dimension, size in zip(tensor.shape, complete[tensor.name].shape, strict=True)
            if isinstance(dimension, Dimension)
        }
        expected = (self.card.output.dtype, self.card.output.sizes(sizes))
        if (str(output.dtype), output.shape) != expected:
            raise ExportError(
                f"{self.path} makes {output.dtype} {output.shape}, but its card says {expected[0]} {expected[1]}. Export it "
                "again from its run."
            )
        return np.asarray(output)

    def _broken(self, error: Exception) -> ExportError:
        return ExportError(f"{self.path} cannot be run: {first_line(error)}. Export it again from its run.")


def _load(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path)
    except Exception as error:  # protobuf raises many classes on a broken file
        raise ExportError(f"{path} is not an ONNX file: {first_line(error)}.") from error


def _card_of(model: onnx.ModelProto, path: Path) -> Card:
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if METADATA_KEY not in metadata:
        raise ExportError(f"{path} has no card. Export the run again: {command('export', 'RUN')}")
    try:
        return parse_card(metadata[METADATA_KEY])
    except ValidationError as error:
        raise ExportError(f"The card of {path} cannot be read: {error.errors()[0]['msg']}.") from error
