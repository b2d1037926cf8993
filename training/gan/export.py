"""A trained generator as it is exported: the network with post-processing inside, and its card."""

from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ganvas.card import GeneratorCard
from training.card_details import CardDetails, card_fields
from training.errors import ExportError
from training.gan.architectures.registry import GANS
from training.gan.plan import GanPlan
from training.gan.setup import build_generator, channels_of
from training.images import to_uint8
from training.kind import Exportable
from training.run import Checkpoint, Run
from training.text import count_of


class GeneratorGraph(nn.Module):
    """`latents` float32 [n, d] -> `pictures` uint8 [n, h, w, c]."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latents: Tensor) -> Tensor:
        """See the class."""
        return to_uint8(self.generator(latents))


class TruncatingGraph(GeneratorGraph):
    """`latents` float32 [n, d] and `truncation` float32 [n] -> `pictures` uint8 [n, h, w, c]."""

    def forward(self, latents: Tensor, truncation: Tensor) -> Tensor:  # type: ignore[override]  # a graph of its own
        """See the class."""
        return to_uint8(self.generator(latents, truncation))


def export_generator(run: Run[GanPlan], checkpoint: Checkpoint, name: str, details: CardDetails) -> Exportable:
    """See `training.kind.Kind`."""
    return Exportable(generator_graph(run, checkpoint), generator_card(name, run.plan, details, checkpoint["step"]))


def generator_graph(run: Run[Any], checkpoint: Checkpoint) -> GeneratorGraph:
    """The averaged generator of a checkpoint, in evaluation mode.

    Raises:
        RunError: the checkpoint does not fit the plan.
    """
    generator_ema = AveragedModel(build_generator(run.plan.config))
    run.fit(generator_ema, checkpoint, "generator_ema")
    graph = TruncatingGraph if GANS[run.plan.config.architecture].truncates else GeneratorGraph
    return graph(generator_ema.module).eval()


def generator_card(name: str, plan: GanPlan, details: CardDetails, step: int) -> GeneratorCard:
    """The card of a generator.

    Args:
        name: of the model.
        plan: of the run.
        details: what the run cannot know.
        step: of the checkpoint.

    Raises:
        ExportError: the details describe a style, or name more or fewer classes than the run has.
    """
    config = plan.config
    if details.classes and len(details.classes) != config.classes.count:
        named = count_of(len(details.classes), "class name")
        raise ExportError(f"--card has {named}, but the run has classes.count = {config.classes.count}.")
    if details.styles:
        raise ExportError(f"--card describes the style {next(iter(details.styles))}. A generator has no styles.")
    summary = f"Images of {config.image_size} x {config.image_size} pixels like those of {plan.data}."
    return GeneratorCard(
        **card_fields(name, plan, details, step, summary),
        architecture=config.architecture,
        latent_size=config.latent_size,
        height=config.image_size,
        width=config.image_size,
        channels=channels_of(config),
        optional_inputs=("truncation",) if GANS[config.architecture].truncates else (),
        classes=details.classes or plan.classes,
    )
