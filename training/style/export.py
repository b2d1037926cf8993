"""A trained style network as it is exported: the network with pre- and post-processing inside, and its card."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganvas.card import Style, StylizerCard
from ganvas.files import write_whole
from ganvas.style_file import SUFFIX, StyleFile
from training.card_details import NOT_STATED, CardDetails, StyleDetails, card_fields, title_of
from training.errors import ExportError
from training.kind import Exportable
from training.run import Checkpoint, Run
from training.style.config import StyleConfig
from training.style.network import Stylizer, build_stylizer, is_style_parameter
from training.style.plan import StylePlan
from training.text import count_of


class StylizerGraph(nn.Module):
    """Photos in, painted photos out.

    `images` uint8 [n, h, w, 3], `styles` float32 [n, m], `strength` float32 [n], `keep_color` float32 [n] -> `pictures`
    uint8 [n, h, w, 3].

    `strength` 0 returns the input, 1 the painting. `keep_color` 1 takes the brightness of the painting and the colour of
    the input (Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer"): in YIQ, and so in RGB, that is the
    input plus the change of brightness, the same in all three channels.
    """

    luma: Tensor

    def __init__(self, stylizer: Stylizer) -> None:
        super().__init__()
        self.stylizer = stylizer
        self.register_buffer("luma", torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1))  # ITU-R BT.601

    def forward(self, images: Tensor, styles: Tensor, strength: Tensor, keep_color: Tensor) -> Tensor:
        """See the class."""
        photos = images.permute(0, 3, 1, 2).float()
        change = self.stylizer.paint(photos, styles).clamp(0, 255) - photos
        brightness = (change * self.luma).sum(dim=1, keepdim=True)
        strength, keep_color = strength[:, None, None, None], keep_color[:, None, None, None]
        mixed = photos + change * (strength * (1 - keep_color)) + brightness * (strength * keep_color)
        return mixed.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def export_stylizer(run: Run[StylePlan], checkpoint: Checkpoint, name: str, details: CardDetails) -> Exportable:
    """See `training.kind.Kind`."""
    graph = stylizer_graph(run, checkpoint)
    return Exportable(graph, stylizer_card(name, run.plan, details, checkpoint["step"], graph.stylizer))


def stylizer_graph(run: Run[Any], checkpoint: Checkpoint) -> StylizerGraph:
    """The style network of a checkpoint, in evaluation mode.

    Raises:
        RunError: the checkpoint does not fit the plan.
    """
    stylizer = build_stylizer(run.plan.config, len(run.plan.styles))
    run.fit(stylizer, checkpoint, "network")
    return StylizerGraph(stylizer).eval()


def stylizer_card(name: str, plan: StylePlan, details: CardDetails, step: int, stylizer: Stylizer) -> StylizerCard:
    """The card of a stylizer.

    Args:
        name: of the model.
        plan: of the run.
        details: what the run cannot know.
        step: of the checkpoint.
        stylizer: the network.

    Raises:
        ExportError: the details describe a style that the run does not have or name classes, or a style's numbers are not
            finite.
    """
    if details.classes:
        raise ExportError("--card names classes. A stylizer has no classes.")
    if unknown := [style for style in details.styles if style not in plan.styles]:
        raise ExportError(f"--card describes the style {unknown[0]}. This run has {', '.join(plan.styles)}.")
    styles = []
    for (style, thumbnail), vector in zip(plan.styles.items(), written_vectors(stylizer), strict=True):
        known = details.styles.get(style, StyleDetails())
        styles.append(
            Style(
                name=style,
                title=known.title or title_of(style),
                artist=known.artist,
                year=known.year,
                licence=known.licence,
                thumbnail=thumbnail,
                vector=vector,
            )
        )
    return StylizerCard(
        **card_fields(name, plan, details, step, _summary(len(styles))),
        architecture=_architecture(plan.config),
        size_multiple=stylizer.size_multiple,
        min_side=stylizer.min_side,
        styles=tuple(styles),
        style_space=style_space(stylizer),
    )


def export_style(folder: Path, out: Path, details: CardDetails) -> StyleFile:
    """Write a style of a run as a style file: for the models of the run that this one extends.

    Args:
        folder: a run folder.
        out: NAME.style.json; NAME is a style of the run.
        details: what the run cannot know.

    Raises:
        RunError: there is no style run, or no checkpoint.
        ExportError: the run has no style of this name, its numbers are out of bounds, or the file cannot be written.
    """
    run, name = Run.open(folder, StylePlan), out.name.removesuffix(SUFFIX)
    if name not in run.plan.styles:
        known = ", ".join(f"{style}{SUFFIX}" for style in run.plan.styles)
        raise ExportError(f"{folder} has no style {name}. The file may be called {known}.")
    checkpoint = run.checkpoint_to_export()
    card = stylizer_card("unnamed", run.plan, details, checkpoint["step"], stylizer_graph(run, checkpoint).stylizer)
    (style,) = (style for style in card.styles if style.name == name)
    of_the_file = {"title": details.title, "licence": details.licence if details.licence != NOT_STATED else ""}
    style = style.model_copy(update={field: text for field, text in of_the_file.items() if text})
    file = StyleFile(style=style, style_space=card.style_space)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, lambda partial: partial.write_text(file.model_dump_json(indent=1) + "\n"))
    except OSError as error:
        raise ExportError(f"{out} cannot be written: {error.strerror}.") from error
    return file


def written_vectors(stylizer: Stylizer) -> list[str]:
    """The vectors of the network's own styles, as a card has them.

    Raises:
        ExportError: a number is not finite in half precision.
    """
    vectors = stylizer.vectors().detach().cpu().numpy().astype("<f2")
    if not np.isfinite(vectors).all():
        raise ExportError("The scales or biases of a style are not finite: the training diverged. Start a new run.")
    return [base64.b64encode(vector.tobytes()).decode() for vector in vectors]


def style_space(stylizer: Stylizer) -> str:
    """What the network's style vectors mean: a hash of the weights that all styles share, in half precision."""
    digest = hashlib.sha256()
    for name, value in sorted(stylizer.state_dict().items()):
        if not is_style_parameter(name):
            digest.update(name.encode() + value.cpu().numpy().astype("<f2").tobytes())
    return digest.hexdigest()[:16]


def _summary(styles: int) -> str:
    return f"Paints a photo in {count_of(styles, 'style')}{', or any blend of them' if styles > 1 else ''}."


def _architecture(config: StyleConfig) -> str:
    blocks = count_of(config.residual_blocks, "separable residual block" if config.separable else "residual block")
    return (
        f"Johnson et al. 2016: width {config.width}, kernel {config.kernel}, stride {config.stride}, "
        f"{count_of(config.halvings, 'halving')}, {blocks}"
    )
