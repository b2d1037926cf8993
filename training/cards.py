"""Model cards made from a run: what it knows itself, and what --card adds."""

from typing import Any

from ganvas.card import GeneratorCard, Style, StylizerCard, TrainingData
from training.card_details import NOT_STATED, CardDetails, StyleDetails, title_of
from training.errors import ExportError
from training.gan.setup import channels_of
from training.run import GanPlan, StylePlan
from training.style.config import StyleConfig
from training.style.network import Stylizer


def generator_card(name: str, plan: GanPlan, about: CardDetails, step: int) -> GeneratorCard:
    """The card of a generator.

    Args:
        name: of the file, without its ending.
        plan: of the run.
        about: what the run cannot know.
        step: training steps done.

    Raises:
        ExportError: `about` speaks of styles.
    """
    config = plan.config
    if about.styles:
        raise ExportError(f"--card speaks of the style {next(iter(about.styles))}; a generator has none.")
    return GeneratorCard(
        **_common(
            name, plan, about, step, f"Images of {config.image_size} x {config.image_size} pixels like those of {plan.data}."
        ),
        architecture=config.architecture,
        latent_size=config.latent_size,
        height=config.image_size,
        width=config.image_size,
        channels=channels_of(config),
    )


def stylizer_card(name: str, plan: StylePlan, about: CardDetails, step: int, stylizer: Stylizer) -> StylizerCard:
    """The card of a stylizer; arguments as of `generator_card`, and the network.

    Raises:
        ExportError: `about` speaks of a style that the run does not have.
    """
    if unknown := [style for style in about.styles if style not in plan.styles]:
        raise ExportError(f"--card speaks of the style {unknown[0]}; this run has {', '.join(plan.styles)}.")
    styles = []
    for style, thumbnail in plan.styles.items():
        said = about.styles.get(style, StyleDetails())
        styles.append(
            Style(
                name=style,
                title=said.title or title_of(style),
                artist=said.artist,
                year=said.year,
                licence=said.licence,
                thumbnail=thumbnail,
            )
        )
    return StylizerCard(
        **_common(name, plan, about, step, f"Paints a photo in {len(styles)} styles, or any blend of them."),
        architecture=_architecture(plan.config),
        size_multiple=stylizer.size_multiple,
        min_side=stylizer.min_side,
        styles=tuple(styles),
    )


def _architecture(config: StyleConfig) -> str:
    blocks = f"{config.residual_blocks} {'separable ' if config.separable else ''}residual blocks"
    return (
        f"Johnson et al. 2016: width {config.width}, kernel {config.kernel}, stride {config.stride}, "
        f"{config.halvings} halvings, {blocks}"
    )


def _common(name: str, plan: GanPlan | StylePlan, about: CardDetails, step: int, summary: str) -> dict[str, Any]:
    default = TrainingData(title=f"{plan.pictures} pictures ({plan.data})", source=NOT_STATED, licence=NOT_STATED)
    return {
        "name": name,
        "title": about.title or title_of(name),
        "summary": about.summary or summary,
        "licence": about.licence,
        "training_data": about.training_data or (default,),
        "training_config": {"trained_steps": step, **plan.config.model_dump(mode="json")},
        "metrics": about.metrics,
    }
