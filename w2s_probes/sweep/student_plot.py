"""The panel of a sweep's figure that shows its students."""

from typing import TYPE_CHECKING

import numpy as np

from .measures import HELD_OUT, OK, STOPPING, STUDENT_PROBE, RowSet
from .student_grid import CEILING, student_name
from .swept_table import SweptTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOSS_MARKERS = "osD^vP*X<>h"  # one a loss; a method has its colour


def draw_students(ax: "Axes", result: SweptTable, labels: str, metric: str, rows: RowSet) -> None:
    """Each student against layer: means over seeds, whiskers 95 % over rows and seeds."""
    from matplotlib import colormaps

    table, rows = result.table, HELD_OUT if rows == HELD_OUT else STOPPING
    wanted = (table["labels"] == labels) & (table["probe"] == STUDENT_PROBE) & (table["metric"] == metric)
    lines = table[wanted & (table["rows"] == rows) & (table["status"] == OK) & table["seed"].isna()]
    cells = lines[["method", "loss", "contamination"]]
    lines = lines.assign(student=[student_name(*cell) for cell in cells.itertuples(index=False)])
    methods, losses = (list(dict.fromkeys(lines[name])) for name in ("method", "loss"))
    students = list(lines.groupby("student", sort=False))
    for number, (name, part) in enumerate(students):
        method, loss = part["method"].iloc[0], part["loss"].iloc[0]
        x = part["layer"].to_numpy(dtype=float) + 0.05 * (number - (len(students) - 1) / 2)
        value = part["value"].to_numpy(dtype=float)
        ends = np.abs(np.stack([value - part["low"], part["high"] - value]).astype(float))
        color = "black" if method == CEILING else colormaps["tab10"](methods.index(method) % 10)
        style = "--" if method == CEILING else "-"
        marker = LOSS_MARKERS[losses.index(loss) % len(LOSS_MARKERS)]
        ax.errorbar(x, value, ends, label=name, color=color, marker=marker, linestyle=style, markersize=4,
                    linewidth=1.2, elinewidth=0.8)  # fmt: skip
    ax.set_xlabel("layer")
    ax.set_title("students" if rows == HELD_OUT else "students, rows that stopped them")
    ax.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    ax.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
