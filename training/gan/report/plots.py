"""Plots of a GAN's run: losses and metrics over the real images shown."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from PIL import Image

from training.metrics.fidelity import METRICS
from training.plots import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    add_legend,
    add_title,
    figure_with_axes,
    render,
    running_line,
    short_number,
)
from training.report.stats import Stats

_ALONG = "real images shown"
_MOST_NUMBERS = 12  # events; more lines than that leave no place for numbers
_SHARES = {"density": (PURPLE, "D"), "coverage": (BLUE, "o"), "precision": (GREEN, "s"), "recall": (ORANGE, "^")}


def plot_losses(stats: Stats) -> Image.Image:
    """Both losses as reported (faint) and as a running mean; below, how often the discriminator is right.

    Returns:
        RGB, 900 pixels wide; with words in place of lines where nothing was reported yet.
    """
    with_accuracy = len(stats.series("d_accuracy")[0]) > 0
    figure, axes = figure_with_axes(
        "Losses", "they should go up and down", heights=[290, 80] if with_accuracy else [290], along=_ALONG
    )
    shown = []
    for key, colour, label in (("d_loss", BLUE, "discriminator"), ("g_loss", ORANGE, "generator")):
        images, values = stats.series(key)
        if len(values):
            shown += [values, running_line(axes[0], images, values, colour, label)]
    if shown:
        _limit(axes[0], np.concatenate(shown))
        add_legend(axes[0], 2)
    else:
        _nothing(axes[0], "No losses reported yet")
    if with_accuracy:
        running_line(axes[1], *stats.series("d_accuracy"), GREEN, "")
        axes[1].axhline(0.5, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes[1].set(ylim=(0, 1.02), yticks=[0, 0.5, 1])
        add_title(axes[1], "Discriminator right", "how often; at 0.5 it only guesses")
    _events(axes, stats)
    return render(figure, axes)


def plot_metrics(stats: Stats, real: float | None = None) -> Image.Image:
    """The Frechet distance with its best value marked; below, density, coverage, precision and recall.

    Args:
        stats: of the run.
        real: the Frechet distance of real images from other real images, drawn as a line.

    Returns:
        RGB, 900 pixels wide; with words in place of lines where nothing was evaluated yet.
    """
    figure, axes = figure_with_axes("Frechet distance", "lower is better", heights=[210, 210], along=_ALONG)
    _frechet(axes[0], stats, real)
    highest = 1.2
    for key, (colour, marker) in _SHARES.items():
        images, values = stats.series(key)
        if len(values):
            axes[1].plot(
                images, values, color=colour, marker=marker, markersize=4.5, linewidth=1.6, label=METRICS[key][0].lower()
            )
            highest = max(highest, values.max() * 1.05)  # a density may be any number
    add_title(axes[1], "Quality and variety", "higher is better")
    axes[1].axhline(1, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes[1].set_ylim(0, highest)
    if axes[1].get_legend_handles_labels()[0]:
        add_legend(axes[1], len(_SHARES))
    else:
        _nothing(axes[1], "Not measured yet")
    _events(axes, stats)
    return render(figure, axes)


def _frechet(axes: Axes, stats: Stats, real: float | None) -> None:
    images, values = stats.series("frechet")
    images, values = images[values > 0], values[values > 0]  # a log axis has no 0
    if not len(values):
        _nothing(axes, "Not measured yet")
        return
    axes.plot(images, values, color=BLUE, marker="o", markersize=4.5, linewidth=1.6)
    best = values.argmin()
    axes.plot(images[best], values[best], "o", markersize=11, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.4)
    axes.annotate(
        f"best {short_number(values[best])}", (images[best], values[best]), (0, -11), textcoords="offset points",
        ha="center", va="top", color=INK, fontsize=10, fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip
    low, high = values.min(), values.max()
    if real:
        low = min(low, real)
        axes.axhline(real, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            f"real images {short_number(real)}", (1, real), (0, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", color=INK, fontsize=9,
        )  # fmt: skip
    margin = max(high / low, 1.2) ** 0.1
    axes.set_yscale("log")
    axes.set_ylim(low / margin**3, high * margin)  # below the lowest, place for its label
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 5 * low else MaxNLocator(5))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))


def _events(axes: list[Axes], stats: Stats) -> None:
    """A line through all axes at each event, numbered from the first on as in the page's list."""
    for number, event in enumerate(stats.events, 1):
        for each in axes:
            each.axvline(event.images, color=INK, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
        if len(stats.events) <= _MOST_NUMBERS:
            axes[-1].annotate(
                str(number), (event.images, 0), xycoords=("data", "axes fraction"), xytext=(3, 3), textcoords="offset points",
                color=INK, fontsize=8,
            )  # fmt: skip


def _limit(axes: Axes, values: npt.NDArray[np.float64]) -> None:
    """Show all but the few most extreme values: one spike must not flatten the rest."""
    low, high = np.percentile(values, [0.5, 99.5])
    margin = 0.06 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)


def _nothing(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=INK, fontsize=11)
    axes.yaxis.set_major_locator(FixedLocator([]))
