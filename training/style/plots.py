"""Plots of a painting by optimisation: losses over its iterations."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from PIL import Image

from training.plots import BLUE, GREEN, ORANGE, PURPLE, add_legend, figure_with_axes, render, short_number


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
    axes[0].set_yscale("log", nonpositive="mask")
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].yaxis.set_minor_locator(NullLocator())
    axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    add_legend(axes[0], len(history))
    return render(figure, axes, 1)
