"""What a kind of model brings to the shared parts of training: export, evaluation, samples and the table of models."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from PIL import Image
from torch import nn

from ganvas.card import Card
from training.card_details import CardDetails
from training.metrics.evaluation import Measurement
from training.run import Checkpoint, Run, SomePlan

SomeCard = TypeVar("SomeCard", bound=Card)


class Exportable(NamedTuple):
    """A trained network, ready for export.

    Attributes:
        graph: takes the inputs of the card, in their order, and returns its output; in evaluation mode, on the CPU.
        card: of the model.
    """

    graph: nn.Module
    card: Card


class TableEntry(NamedTuple):
    """What the table of models says beyond what every card says.

    Attributes:
        names: shown in the row of the model, such as its styles.
        section: lines of Markdown that follow the model's description.
    """

    names: tuple[str, ...] = ()
    section: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind(Generic[SomePlan, SomeCard]):
    """One kind of model. `training.kinds.KINDS` lists them.

    Attributes:
        name: in run.json; also the command that trains it.
        plan: class of the plan in run.json.
        card: class of the exported model's card.
        export: (run, checkpoint, name of the model, card details) -> network and card. Raises ExportError if the details
            do not fit the run, RunError if the checkpoint does not.
        evaluate: (run folder or exported file, training images, options, local weights, device) -> one measurement for
            each table to show.
        evaluate_options: a dataclass; its fields are options of `python -m training evaluate`, with typer's annotations.
            The command puts the name of the kind before their help.
        sample: (run, checkpoint, options, device) -> an image of samples.
        sample_options: a dataclass; the same for `python -m training sample`.
        write_report: (run folder, plan) -> path of the report, written again.
        table_entry: what the table of models says of a card.
    """

    name: str
    plan: type[SomePlan]
    card: type[SomeCard]
    export: Callable[[Run[SomePlan], Checkpoint, str, CardDetails], Exportable]
    evaluate: Callable[[Path, Path, Any, Path | None, torch.device], Iterator[Measurement]]
    evaluate_options: type
    sample: Callable[[Run[SomePlan], Checkpoint, Any, torch.device], Image.Image]
    sample_options: type
    write_report: Callable[[Path, Any], Path]
    table_entry: Callable[[SomeCard], TableEntry]
