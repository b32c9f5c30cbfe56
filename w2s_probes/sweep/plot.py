"""The figure of a sweep: what layers and values make of the weak labels."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..drawing import drawable
from ..probes.registry import PROBES, VALUE_TITLES
from .choosing import Best
from .measures import OK, RowSet
from .student_plot import draw_students
from .swept_table import SweptTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURES = {
    "auroc_gain": "AUROC − AUROC of the weak labels",
    "weak_auroc": "AUROC against the weak labels",
}
MOST_NAMED = 13  # layers in the key


def sweep_figure(result: SweptTable, labels: str) -> "Figure":
    """Against layer, each probe at the value that weak labels choose there; then against k or l2, a line a layer.

    A probe that has no value is drawn against layer alone.

    The measure is the difference to the weak labels' own AUROC where the truth is known (as
    in the published study's last figure), on held-out rows where there are any; whiskers are 95 %, over rows.
    """
    from ..notebook_figure import NotebookFigure

    metric, rows = result.shown_metric(labels)
    probes = result.probes
    varied = [probe for probe in probes if PROBES[probe].value is not None]
    panels = 1 + len(varied) + result.has_students
    figure = NotebookFigure(figsize=(4.2 * panels, 3.6), layout="constrained")
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    for number, probe in enumerate(probes):
        _by_layer(axes[0], result, labels, probe, metric, rows, shift=0.12 * (number - (len(probes) - 1) / 2))
    for ax, probe in zip(axes[1:], varied, strict=False):
        _by_value(ax, result.grid(probe, metric, rows, labels), probe, result.layers, result.best(labels))
    axes[0].set_ylabel(MEASURES[metric])
    axes[0].set_xlabel("layer")
    axes[0].set_title("at the value that weak labels choose")
    axes[0].xaxis.get_major_locator().set_params(integer=True)
    axes[0].legend(frameon=False, title="probe")
    if result.has_students:
        draw_students(axes[-1], result, labels, metric, rows)
    if varied:
        _layer_key(axes[len(varied)], [int(layer) for layer in result.layers])
    for ax in axes:
        if metric == "auroc_gain":
            ax.axhline(0, color="0.4", linewidth=1, linestyle="--")
        ax.spines[["top", "right"]].set_visible(False)
    on = {"training": "training rows, out of sample", "held-out": "held-out rows"}[rows]
    title = f"{drawable(labels)}: {on}" + (", 95 % intervals" if metric == "auroc_gain" else "")
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _by_layer(ax: "Axes", result: SweptTable, labels: str, probe: str, metric: str, rows: RowSet, shift: float) -> None:
    lines = chosen_by_layer(result, labels, probe, metric, rows)
    if lines.empty:
        return
    x = lines["layer"].to_numpy(dtype=float) + shift
    value = lines["value"].to_numpy(dtype=float)
    ends = np.abs(np.stack([value - lines["low"], lines["high"] - value]).astype(float))
    style = {"color": PROBES[probe].color, "marker": PROBES[probe].marker}
    ax.errorbar(x, value, ends, label=PROBES[probe].title, markersize=4, linewidth=1.2, elinewidth=0.8, **style)  # type: ignore[arg-type]


def chosen_by_layer(result: SweptTable, labels: str, probe: str, metric: str, rows: RowSet) -> pd.DataFrame:
    """For each layer the line of a probe at the value of least weak Brier loss out of sample: no truth chooses."""
    loss = result.grid(probe, "weak_brier", labels=labels)
    if loss.empty:
        return pd.DataFrame(columns=["layer", "value", "low", "high"])
    values = loss.idxmin(axis=1)
    table = result.table
    wanted = (table["labels"] == labels) & (table["probe"] == probe) & (table["metric"] == metric)
    wanted &= (table["rows"] == rows) & (table["status"] == OK) & (table["seed"] == table["seed"].min())
    lines: pd.DataFrame = table[wanted]
    if (name := PROBES[probe].value) is None:
        return lines.sort_values("layer")
    chosen = lines[name].astype(float) == lines["layer"].map(values).astype(float)
    return lines.loc[chosen].sort_values("layer")


def _by_value(ax: "Axes", grid: pd.DataFrame, probe: str, layers: list[int], best: Best) -> None:
    name = PROBES[probe].value
    assert name is not None  # of a probe with values
    x = _on_axis(ax, grid.columns.to_numpy(dtype=float))
    for layer, row in zip(grid.index.to_numpy(dtype=int), grid.to_numpy(dtype=float), strict=True):
        color = _layer_color(layers.index(int(layer)), len(layers))
        ax.plot(x, row, color=color, marker=".", linewidth=1)
        if probe == best.probe and layer == best.layer:
            chosen = grid.columns.to_numpy(dtype=float) == (best.l2 if best.k is None else best.k)
            ax.plot(x[chosen], row[chosen], color="black", marker="o", markersize=9, fillstyle="none", linestyle="none")
            ax.annotate("best by weak labels", (x[chosen][0], row[chosen][0]), (0, -14), textcoords="offset points",
                        ha="center", va="top", fontsize=7)  # fmt: skip
    ax.set_xlabel(VALUE_TITLES[name])
    ax.set_title(PROBES[probe].title)


def _on_axis(ax: "Axes", values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where values (v,) stand on the axis: logarithmic where they span more than a decade, 0 a decade below."""
    positive = values[values > 0]
    wide = len(positive) > 0 and positive.max() > 20 * positive.min()
    if wide:
        ax.set_xscale("log")
    if not wide or len(positive) == len(values):
        places = np.linspace(0, len(values) - 1, min(len(values), 6)).round().astype(int)
        if wide:  # evenly on the axis, not among the values
            even = np.geomspace(positive.min(), positive.max(), 6)
            places = np.unique([int(np.abs(np.log(values / at)).argmin()) for at in even])
        ax.set_xticks(values[places], [f"{value:g}" for value in values[places]])
        ax.minorticks_off()
        return values
    zero = float(positive.min()) / 10
    powers = np.arange(np.ceil(np.log10(positive.min())), np.floor(np.log10(positive.max())) + 1)
    shown = powers[:: -(-len(powers) // 6)]
    ax.set_xticks([zero, *10.0**shown], ["0", *(f"$10^{{{power:.0f}}}$" for power in shown)])
    ax.minorticks_off()
    return np.maximum(values, zero)


def _layer_color(place: int, count: int) -> tuple[float, float, float, float]:
    from matplotlib import colormaps

    # Pink to purple: no layer's colour is near one of the probes'.
    return colormaps["RdPu"](0.35 + 0.65 * place / max(count - 1, 1))


def _layer_key(ax: "Axes", layers: list[int]) -> None:
    """Which colour is which layer, once for all panels: some of them where they are many."""
    from matplotlib.lines import Line2D

    shown = sorted({round(at) for at in np.linspace(0, len(layers) - 1, min(len(layers), MOST_NAMED))})
    lines = [Line2D([], [], color=_layer_color(at, len(layers)), marker=".", label=str(layers[at])) for at in shown]
    ax.legend(handles=lines, frameon=False, title="layer", fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
