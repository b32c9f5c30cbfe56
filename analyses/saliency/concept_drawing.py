"""Figures of concept saliency: by layer, by penalty and k, by leading components, and between layers."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .colours import BLUE, DARK, GREEN, GREY, PURPLE, VERMILION
from .drawing import Picture, heat_map, tidy
from .layer_curves import OK, RANDOM, SHUFFLED

AUROC = "AUROC, out of sample"


def layers_figure(curves: pd.DataFrame, rows: int) -> Figure:
    """AUROC against the layer of the probes that weak labels chose, over their controls."""
    figure = Picture(7.2, 4.0)
    axes = figure.subplots()
    chosen = curves[curves["chosen"]]
    logistic, knn = chosen[chosen["probe"] == "logistic"], chosen[chosen["probe"] == "knn"]
    _control(axes, _of(logistic, SHUFFLED), "layer", "shuffled labels: 95 % range", GREY, 0.35)
    _control(axes, _of(logistic, RANDOM), "layer", "random features: 95 % range", PURPLE, 0.3)
    _curve(axes, _of(logistic), "layer", "logistic, by weak labels", BLUE, "o-")
    _curve(axes, _of(knn), "layer", "kNN, by weak labels", GREEN, "^-.", band=False)
    _curve(axes, _of(logistic, target="truth"), "layer", "logistic, by ground truth", VERMILION, "s--")
    layers = sorted(curves["layer"].unique())
    axes.set_xticks(layers if len(layers) <= 16 else layers[:: -(-len(layers) // 16)])
    tidy(axes, title=f"What probes find at each layer ({rows:,} rows; bands: 95 %)", x="layer (0: embedding)", y=AUROC)
    axes.axhline(0.5, color=DARK, linewidth=0.6)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def regularization_figure(curves: pd.DataFrame) -> Figure:
    """Heat maps of AUROC by the weak labels: penalty against layer, and k against layer."""
    figure = Picture(8.4, 3.6)
    own = curves[(curves["control"] == "") & (curves["target"] == "weak")]
    low, high = _limits(own["value"])
    panels = [("logistic", "l2", "logistic: penalty l2"), ("knn", "k", "kNN: neighbours k")]
    shown = None
    for axes, (probe, value, title) in zip(figure.subplots(1, 2), panels, strict=True):
        lines = own[own["probe"] == probe].dropna(subset=[value])
        if lines.empty:
            axes.set_axis_off()
            continue
        table = lines.pivot_table(index=value, columns="layer", values="value", dropna=False).astype(float)
        names, layers = [f"{float(v):g}" for v in table.index], [str(layer) for layer in table.columns]
        shown = heat_map(axes, table.to_numpy(), names, layers, low, high)
        for _, line in lines[lines["chosen"]].iterrows():
            at = (list(table.columns).index(line["layer"]), list(table.index).index(line[value]))
            axes.add_patch(_ring(*at))
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("layer (0: embedding)")
        axes.set_ylabel(value)
    if shown is not None:
        figure.colorbar(shown, ax=figure.axes, label=AUROC + ", by weak labels", shrink=0.9)
    figure.supxlabel("outlined: of least out-of-sample loss to the weak labels", fontsize=8, color=DARK)
    return figure


def components_figure(curves: pd.DataFrame, layers: list[int]) -> Figure:
    """AUROC against the number of leading principal components, a panel a layer, over their controls."""
    columns = min(3, len(layers))
    width = max(4.2, 2.7 * columns + 0.4)  # of one panel: its captions are wider
    figure = Picture(width, 2.4 * -(-len(layers) // columns) + 0.5)
    grid = figure.subplots(-(-len(layers) // columns), columns, sharex=True, sharey=True, squeeze=False).ravel()
    parts, whole = curves[curves["probe"] == "components"], curves[(curves["probe"] == "logistic") & curves["chosen"]]
    for axes, layer in zip(grid, layers, strict=False):
        own, full = parts[parts["layer"] == layer], _of(whole[whole["layer"] == layer])
        _control(axes, _of(own, SHUFFLED), "components", "shuffled labels: 95 % range", GREY, 0.35)
        _control(axes, _of(own, RANDOM), "components", "random features: 95 % range", PURPLE, 0.3)
        _curve(axes, _of(own), "components", "by weak labels", BLUE, "o-")
        _curve(axes, _of(own, target="truth"), "components", "by ground truth", VERMILION, "s--", band=False)
        if len(full):
            label = "all components, by weak labels"
            axes.axhline(float(full["value"].iloc[0]), color=DARK, linewidth=0.9, linestyle=":", label=label)
        axes.set_xscale("log", base=2)
        ticks = sorted({int(v) for v in parts.dropna(subset=["value"])["components"]})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        tidy(axes, title=f"layer {layer}")
    for axes in grid[len(layers) :]:
        axes.set_axis_off()
    axis = "leading principal components (found without labels)"
    notes = left_out(curves, layers)
    figure.supxlabel("\n".join([axis, *notes]), fontsize=9 if not notes else 8)
    figure.supylabel(AUROC, fontsize=9)
    handles, names = grid[0].get_legend_handles_labels()
    figure.legend(
        handles, names, frameon=False, fontsize=8, loc="outside upper center", ncols=min(columns, 2) if width < 8 else 3
    )
    return figure


def left_out(curves: pd.DataFrame, layers: list[int]) -> list[str]:
    """The limits of a figure of components at these layers, a sentence each."""
    notes = []
    if missing := [int(layer) for layer in sorted(curves["layer"].unique()) if layer not in layers]:
        notes.append(f"not drawn: layers {_listed(missing)}; components_figure(layers=[…]) draws them")
    parts = curves[(curves["probe"] == "components") & curves["layer"].isin(layers)]
    drawn = set(parts.dropna(subset=["value"])["layer"])
    if empty := [layer for layer in layers if layer not in drawn]:
        notes.append(f"no number at layers {_listed(empty)}: see .summary()")
    without = parts[parts["value"].isna() & (parts["status"] != OK) & parts["layer"].isin(drawn)]
    if counts := sorted({int(v) for v in without["components"].dropna()}):
        notes.append(f"not drawn somewhere: {_listed(counts)} components ({without['status'].iloc[0]})")
    return notes


def _listed(numbers: list[int], most: int = 12) -> str:
    return ", ".join(map(str, numbers[:most])) + (f" and {len(numbers) - most} more" if len(numbers) > most else "")


def agreement_figure(ranks: pd.DataFrame, similarity: pd.DataFrame) -> Figure:
    """Two matrices, layer against layer: what probes say of rows, and how rows lie."""
    figure = Picture(8.4, 3.9)
    names = [str(layer) for layer in ranks.index]
    panels = [(ranks, "probe scores: rank correlation"), (similarity, "activations: linear CKA")]
    for axes, (table, title) in zip(figure.subplots(1, 2), panels, strict=True):
        shown = heat_map(axes, table.to_numpy(), names, names, min(0.0, float(np.nanmin(table.to_numpy()))), 1.0)
        axes.set_aspect("equal")
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("layer")
        axes.set_ylabel("layer")
        figure.colorbar(shown, ax=axes, shrink=0.85)
    return figure


def _of(lines: pd.DataFrame, control: str = "", target: str = "weak") -> pd.DataFrame:
    return lines[(lines["control"] == control) & (lines["target"] == target)].dropna(subset=["value"])


def _curve(axes: Axes, lines: pd.DataFrame, x: str, label: str, colour: str, style: str, *, band: bool = True) -> None:
    if lines.empty:
        return
    lines = lines.sort_values(x)
    at = lines[x].to_numpy(dtype=float)
    axes.plot(at, lines["value"], style, color=colour, label=label, linewidth=1.5, markersize=4.5)
    if band:
        axes.fill_between(at, lines["low"], lines["high"], color=colour, alpha=0.15, linewidth=0)


def _control(axes: Axes, lines: pd.DataFrame, x: str, label: str, colour: str, alpha: float) -> None:
    if lines.empty:
        return
    lines = lines.sort_values(x)
    at = lines[x].to_numpy(dtype=float)
    hatch = None if colour == GREY else "//////"  # told apart in grey as well
    axes.fill_between(at, lines["low"], lines["high"], color=colour, alpha=alpha, linewidth=0, label=label, hatch=hatch)


def _ring(column: int, row: int) -> "object":
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=VERMILION, linewidth=2)


def _limits(values: "pd.Series[float]") -> tuple[float, float]:
    """From ½, or what is below it, to the best."""
    found = values.dropna()
    return (min(0.5, float(found.min())), max(0.6, float(found.max()))) if len(found) else (0.5, 1.0)
