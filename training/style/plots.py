"""Plots of the losses: of a painting by optimisation over its iterations, and of a style network over its crops."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator
from PIL import Image

from training.plots import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    add_legend,
    figure_with_axes,
    render,
    running_line,
    use_log_scale,
)  # fmt: skip
from training.report.stats import Stats


def plot_painting(history: Mapping[str, npt.ArrayLike]) -> Image.Image:
    """The losses of one painting over its iterations.

    Args:
        history: name -> float [m], one value an iteration.

    Returns:
        RGB, 900 pixels wide.
    """
    figure, axes = figure_with_axes("Losses", "weighted; their sum is lowered", heights=[290], along="iterations")
    for (name, values), colour in zip(history.items(), (BLUE, ORANGE, GREEN, PURPLE), strict=False):
        values = np.asarray(values, np.float64)
        axes[0].plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=2, label=name)
    use_log_scale(axes[0])
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    add_legend(axes[0], len(history))
    return render(figure, axes, 1)


def plot_training(stats: Stats) -> Image.Image:
    """The losses of a style run over the crops shown: faint as reported, bold the running mean, dots on held-out photos.

    Returns:
        RGB, 900 pixels wide.
    """
    figure, axes = figure_with_axes("Losses", "weighted; their sum is lowered", heights=[290], along="crops shown")
    for key, colour in (("content", BLUE), ("style", ORANGE), ("variation", GREEN)):
        crops, values = stats.series(key)
        if len(values):
            running_line(axes[0], crops, values, colour, key)
        crops, values = stats.series(f"held_out_{key}")
        axes[0].plot(crops, values, "o", color=colour, markersize=6, markeredgecolor="white")
    unpainted = stats.series("held_out_photo_style")[1]
    if len(unpainted):
        axes[0].axhline(unpainted[-1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes[0].annotate(
            "style of unpainted photos", (1, unpainted[-1]), (0, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", color=INK, fontsize=9,
        )  # fmt: skip
    use_log_scale(axes[0])
    if axes[0].get_legend_handles_labels()[0]:
        add_legend(axes[0], 3)
    return render(figure, axes, 40)
