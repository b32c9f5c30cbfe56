"""Figures that need no display, no pyplot and no notebook magic to be seen."""

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from w2s_probes.drawing import drawable

from .colours import DARK, PALE

DPI = 110


class Picture(Figure):
    """A matplotlib Figure that Jupyter shows by itself: it is not tied to any window or global state."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), layout="constrained", dpi=DPI, facecolor="white")

    def png(self) -> bytes:
        """The figure as a PNG file."""
        return as_png(self)

    def _repr_png_(self) -> bytes:
        return self.png()


def tidy(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Labels, and no more lines than are needed."""
    axes.set_title(drawable(title), loc="left", fontsize=10, color=DARK, parse_math=False)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def heat_map(
    axes: Axes,
    values: ArrayLike,
    rows: list[str],
    columns: list[str],
    low: float,
    high: float,
    colours: str = "cividis",
) -> Any:
    """Cells (rows, columns) from low to high, their numbers written in where there is room; the mappable."""
    array = np.asarray(values, dtype=float)
    shown = axes.imshow(array, aspect="auto", origin="lower", cmap=colours, vmin=low, vmax=high)
    axes.set_yticks(range(len(rows)), rows)
    step = max(1, -(-len(columns) // 14))
    axes.set_xticks(range(0, len(columns), step), columns[::step])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if array.size <= 160 and array.shape[1] <= 14:
        for (row, column), value in np.ndenumerate(array):
            if np.isfinite(value):
                red, green, blue, _ = shown.to_rgba(value)
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
                text = f"{value:.2f}".replace("0.", ".", 1).replace("-0.", "-.", 1)
                axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color="w" if dark else DARK)
    return shown


def as_png(figure: Figure) -> bytes:
    """Any figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
