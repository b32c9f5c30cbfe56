"""One row as probes see it, and how it is shown: as text, as HTML, and as a figure of its scores by layer."""

from dataclasses import dataclass
from html import escape

import pandas as pd
from matplotlib.figure import Figure

from w2s_probes.errors import shortened

from ..passages import TextTable, brief, passage
from .colours import BLUE, DARK, GREEN, VERMILION, diverging, ink
from .drawing import Picture, tidy

SHOWN = 300  # characters of a text in a terminal; neighbours' texts get a fifth
NEAR = 20  # words of a neighbour's text that are shown at once


@dataclass(frozen=True, eq=False, repr=False)
class RowSaliency:
    """One row: its label, what each layer's probe says of it, its neighbours, and the filter's verdict."""

    id: str
    text: str
    weak: float  # the weak label, P(label = 1)
    truth: float | None  # P(label = 1), where it was given
    layer: int  # whose neighbours are listed
    by_layer: pd.DataFrame  # `layer`, `logistic`, `knn`: P(label = 1) out of sample; `margin`
    neighbors: (
        pd.DataFrame
    )  # `rank`, `id`, `distance` (Euclidean), `weak`, `agrees`, `kept`, `truth` where given, `text`
    verdict: str  # the filter's, in words; empty where none was given
    reason: str  # as in FilterResult.reasons: "" where kept

    @property
    def margin(self) -> float:
        """Log-odds that the logistic probe of `layer`, fitted without this row, gives to the weak label's side.

        Below 0 the probe disagrees with the label.
        """
        return float(self.by_layer["margin"][self.by_layer["layer"] == self.layer].iloc[0])

    def to_frame(self) -> pd.DataFrame:
        """The row's scores, a line a layer; a copy."""
        return self.by_layer.copy()

    def figure(self) -> Figure:
        """The row's scores against the layer, beside its weak label."""
        return layers_of_row_figure(self.by_layer, self.weak, self.id)

    def __repr__(self) -> str:
        return row_text(self)

    def _repr_html_(self) -> str:
        return row_html(self)


def labelled(row: RowSaliency) -> str:
    """The row's label, and the truth where it was given, which is said to be one."""
    truth = "" if row.truth is None else f", truth {row.truth:g} (ground truth)"
    return f"weak label {row.weak:.3g}{truth}"


def row_text(row: RowSaliency) -> str:
    """Plain text, for terminals and where HTML is not shown."""
    lines = [f"row {row.id!r}: {labelled(row)}; margin {row.margin:+.2f} at layer {row.layer}"]
    if row.text:
        lines.append(f"  {brief(row.text, SHOWN)}")
    if row.verdict:
        lines.append(f"  {row.verdict}")
    scores = row.by_layer.to_string(index=False, float_format="{:.3f}".format)
    near = repr(TextTable(row.neighbors))
    return "\n".join([*lines, "P(label = 1) out of sample:", scores, f"neighbours at layer {row.layer}:", near])


def row_html(row: RowSaliency) -> str:
    """HTML with colours by P(label = 1): blue for 0, orange for 1. All of the user's texts are escaped."""
    head = f"<b>row {escape(repr(row.id))}</b>: {escape(labelled(row))}; margin {row.margin:+.2f} at layer {row.layer}"
    text = f'<div style="max-width:50em;margin:.8em 0">{passage(row.text)}</div>' if row.text else ""
    verdict = f"<p><b>{escape(row.verdict)}</b></p>" if row.verdict else ""
    near = row.neighbors
    shown = [name for name in ("logistic", "knn", "weak", "truth") if name in {*row.by_layer, *near}]
    return (
        f"<div><p>{head}</p>{text}{verdict}"
        f"<p>P(label = 1), out of sample, by layer</p>{_table(row.by_layer, shown)}"
        f"<p>Nearest rows at layer {row.layer}</p>{_table(near, shown)}</div>"
    )


def layers_of_row_figure(by_layer: pd.DataFrame, weak: float, name: str) -> Figure:
    """P(label = 1) of one row against the layer."""
    figure = Picture(5.6, 3.0)
    axes = figure.subplots()
    axes.axhline(0.5, color=DARK, linewidth=0.6)
    axes.axhline(weak, color=VERMILION, linestyle=":", label="weak label")
    axes.plot(by_layer["layer"], by_layer["logistic"], "o-", color=BLUE, label="logistic")
    axes.plot(by_layer["layer"], by_layer["knn"], "^-.", color=GREEN, label="kNN")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(by_layer["layer"].tolist())
    tidy(axes, title=f"row {shortened(name, 60)}", x="layer (0: embedding)", y="P(label = 1), out of sample")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _table(table: pd.DataFrame, coloured: list[str]) -> str:
    sides = ["right" if table[name].dtype.kind == "f" else "left" for name in table.columns]
    head = "".join(
        f'<th style="text-align:{side};padding:0 6px">{escape(str(name))}</th>'
        for side, name in zip(sides, table.columns, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(_cell(row[name], name in coloured, name == "text") for name in table.columns) + "</tr>"
        for row in table.to_dict(orient="records")
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object, coloured: bool, text: bool) -> str:
    if text:
        return f'<td style="text-align:left;padding:0 6px">{passage(str(value), NEAR)}</td>'
    if isinstance(value, float):
        style = ""
        if coloured:
            colour = diverging(value - 0.5, 0.5)
            style = f"background:{colour};color:{ink(colour)}"
        return f'<td style="text-align:right;padding:0 6px;{style}">{value:.3f}</td>'
    shown = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
    return f'<td style="text-align:left;padding:0 6px">{escape(str(shown))}</td>'
