"""What all plots share: colours, axes and rendering.

The colours are those of Okabe and Ito, "Color Universal Design", which colour-blind people can tell apart. Lines also
differ in their markers. Figures are made without pyplot, which would keep them in a global state.
"""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, NullLocator
from PIL import Image

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
INK, PALE = "#444444", "#E4E4E4"
_WIDTH, _DPI = 900, 100  # pixels, and pixels an inch: matplotlib measures in inches
# Pixels around the axes. A layout engine would measure all words first, which takes longer than to draw the figure.
_LEFT, _RIGHT, _ABOVE, _BETWEEN, _BELOW = 62, 24, 38, 60, 52


def figure_with_axes(title: str, hint: str, heights: list[int], along: str) -> tuple[Figure, list[Axes]]:
    """Axes one above the other. Heights are in pixels; `along` names the shared horizontal axis."""
    pixels = _ABOVE + sum(heights) + _BETWEEN * (len(heights) - 1) + _BELOW
    figure = Figure((_WIDTH / _DPI, pixels / _DPI), _DPI, facecolor="white")
    axes = list(figure.subplots(len(heights), 1, sharex=True, squeeze=False)[:, 0])
    bottom = pixels - _ABOVE + _BETWEEN
    for each, height in zip(axes, heights, strict=True):
        bottom -= height + _BETWEEN
        each.set_position((_LEFT / _WIDTH, bottom / pixels, 1 - (_LEFT + _RIGHT) / _WIDTH, height / pixels))
        each.spines[["top", "right", "left"]].set_visible(False)
        each.spines["bottom"].set_color(PALE)
        each.grid(axis="y", color=PALE, linewidth=0.8)
        each.set_axisbelow(True)
        each.tick_params(colors=INK, length=0, labelsize=10)
    add_title(axes[0], title, hint)
    axes[-1].set_xlabel(along, color=INK, fontsize=10)
    axes[-1].xaxis.set_major_formatter(EngFormatter(sep=""))
    return figure, axes


def add_title(axes: Axes, title: str, hint: str) -> None:
    """Put a title in bold above the axes, and a hint beside it."""
    words = axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color="black", pad=10)
    axes.annotate(hint, (1, 0), (9, 0), xycoords=words, textcoords="offset points", va="bottom", color=INK, fontsize=10)


def add_legend(axes: Axes, columns: int) -> None:
    """Put a legend above the right end of the axes."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=columns, frameon=False, fontsize=10, labelcolor=INK,
                borderaxespad=0.2, handlelength=1.6)  # fmt: skip


def render(figure: Figure, axes: list[Axes], shortest: float = 1000) -> Image.Image:
    """Render a figure, RGB, 900 pixels wide. The horizontal axis runs from 0 to at least `shortest`."""
    axes[-1].set_xlim(0, max(axes[-1].get_xlim()[1], shortest))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def running_mean(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    """The mean of the values around each, float [m] -> float [m]; fewer of them at both ends.

    Args:
        values: float [m].
        window: values in a mean, odd.
    """
    sums = np.concatenate([[0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - window // 2, 0), np.minimum(index + window // 2 + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def running_line(
    axes: Axes, images: npt.NDArray[np.float64], values: npt.NDArray[np.float64], colour: str, label: str
) -> npt.NDArray[np.float64]:
    """Draw values as they are (faint) and as a running mean. Returns the mean, float [m]."""
    window = max(1, len(values) // 40) | 1
    mean = running_mean(running_mean(values, window), window)  # twice: a single one is jagged
    axes.plot(images, values, color=colour, alpha=0.25, linewidth=0.8)
    axes.plot(images, mean, color=colour, linewidth=2, label=label)
    if len(values) == 1:  # a line of one point cannot be seen
        axes.plot(images, values, color=colour, marker="o")
    return mean


def use_log_scale(axes: Axes) -> None:
    """Make the vertical axis logarithmic, with plain numbers. Values that are not above 0 are left out."""
    axes.set_yscale("log", nonpositive="mask")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))


def short_number(value: float) -> str:
    """Three digits; a large number without decimals."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
