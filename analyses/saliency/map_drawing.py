"""Drawing of a map of rows: as a static figure, and as self-contained HTML whose points tell their texts."""

from collections.abc import Sequence
from hashlib import sha256
from html import escape

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from w2s_probes.labels import verdicts

from ..passages import brief
from .colours import BLUE, DARK, ORANGE, VERMILION, diverging
from .drawing import Picture, tidy

MOST = 2500  # points of an HTML map: more would make a notebook heavy
MOST_PRINTED = 20_000  # of a figure: more hide each other
WIDE, HIGH, EDGE = 760, 480, 26  # of the drawing, in pixels
HOVER = 240  # characters of a text in a tooltip
STEPS = ("#d9d9d9", "#c7b9d6", "#a58bc0", "#7f57a4", "#4b1d73")  # of disagreement: grey to purple, ever darker
KEPT = "#cfcfcf"
ENDS = [(diverging(-1, 1), "0"), (diverging(0, 1), "½"), (diverging(1, 1), "1")]
LEGENDS = {
    "label": ("weak label, P(1)", ENDS),
    "disagreement": (
        "|weak label - probe|",
        [(STEPS[0], "none"), (STEPS[2], "half of the most"), (STEPS[4], "the most")],
    ),
    "filter": ("filter", [(KEPT, "kept"), (ORANGE, verdicts.OUTSIDE), (VERMILION, verdicts.DISAGREES)]),
    "truth": ("ground truth, P(1)", ENDS),
}


def map_figure(table: pd.DataFrame, axes_names: tuple[str, str], colour: str, title: str) -> Figure:
    """A scatter plot; circles are weakly labelled 0, triangles 1.

    Of more than 20,000 rows as many are drawn, as in `map_html`.
    """
    table, note = _drawn(table, MOST_PRINTED)
    figure = Picture(7.0, 4.8)
    axes = figure.subplots()
    fill, positive = np.array(_fills(table, colour)), table["weak"].to_numpy() > 0.5
    order = np.argsort(_weight(table, colour), kind="stable")  # what matters is drawn on top
    for side, marker in ((False, "o"), (True, "^")):
        rows = order[positive[order] == side]
        axes.scatter(
            table["x"].iloc[rows], table["y"].iloc[rows], c=fill[rows].tolist(), marker=marker, s=18, linewidths=0.3,
            edgecolors=DARK, alpha=0.85,
        )  # fmt: skip
    what, colours = LEGENDS[colour]
    tidy(axes, title=f"{title}{note}: {what}", x=axes_names[0], y=axes_names[1])
    axes.grid(False)
    marks = [_key(marker, "none", name) for marker, name in (("o", "weak label 0"), ("^", "weak label 1"))]
    marks += [_key("s", fill, f"{what.partition(',')[0]}: {text}") for fill, text in colours]
    axes.legend(handles=marks, frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def map_html(
    table: pd.DataFrame, axes_names: tuple[str, str], colourings: Sequence[str], colour: str, title: str
) -> str:
    """An SVG drawing with a tooltip a point, and buttons that choose the colouring by style sheet alone.

    Of more than 2,500 rows as many are drawn, evenly spaced in the labels' order, and the title says so. All that is
    the user's is escaped.
    """
    shown, note = _drawn(table, MOST)
    # The same map has the same name, so that its HTML is the same each time; two maps of one page differ.
    name = f"map-{sha256(table[['x', 'y']].to_numpy().tobytes() + title.encode()).hexdigest()[:10]}"
    x, y = _pixels(shown["x"].to_numpy(), EDGE, WIDE - EDGE), _pixels(shown["y"].to_numpy(), HIGH - EDGE, EDGE)
    fills = {kind: _fills(shown, kind) for kind in colourings}
    order = np.argsort(_weight(shown, colour), kind="stable")
    records = shown.to_dict(orient="records")
    points = "".join(_point(x[i], y[i], records[i], {kind: fills[kind][i] for kind in colourings}) for i in order)
    buttons = "".join(
        f'<label style="margin-right:1em"><input type="radio" name="{name}" value="{kind}" class="{name}-{kind}"'
        f"{' checked' if kind == colour else ''}> {escape(kind)}</label>"
        for kind in colourings
    )
    rules = "".join(
        f".{name}:has(.{name}-{kind}:checked) circle,.{name}:has(.{name}-{kind}:checked) path{{fill:var(--{kind})}}"
        f".{name}:not(:has(.{name}-{kind}:checked)) .says-{kind}{{display:none}}"
        for kind in colourings
    )
    says = "".join(f'<span class="says-{kind}">{_explained(kind)}</span>' for kind in colourings)
    hover = f".{name} circle:hover,.{name} path:hover{{stroke:#000;stroke-width:2.5}}"
    return (
        f'<div class="{name}" style="max-width:{WIDE}px"><style>{rules}{hover}</style>'
        f"<div><b>{escape(title + note)}</b> &nbsp; {buttons}</div>"
        f'<div style="font-size:85%">{says} ● weak label 0, ▲ weak label 1; hover for the row</div>'
        f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{escape(title)}" '
        f'style="background:#fff;width:100%;border:1px solid #ddd">{points}'
        f'<text x="{WIDE / 2}" y="{HIGH - 6}" text-anchor="middle" font-size="12" fill="#333">{escape(axes_names[0])}'
        "</text>"
        f'<text x="12" y="{HIGH / 2}" text-anchor="middle" font-size="12" fill="#333" '
        f'transform="rotate(-90 12 {HIGH / 2})">{escape(axes_names[1])}</text></svg></div>'
    )


def _drawn(table: pd.DataFrame, most: int) -> tuple[pd.DataFrame, str]:
    """Rows evenly spaced in a table, `most` of them where it has more; and what the title is to say of that."""
    if len(table) <= most:
        return table, ""
    return table.iloc[np.linspace(0, len(table) - 1, most).round().astype(int)], f", {most:,} of them drawn"


def _explained(kind: str) -> str:
    what, colours = LEGENDS[kind]
    square = "display:inline-block;width:.8em;height:.8em;border:1px solid #555"
    return f"{escape(what)}: " + "".join(
        f'<span style="{square};background:{fill}"></span> {escape(text)} &nbsp; ' for fill, text in colours
    )


def _key(marker: str, fill: str, name: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, markerfacecolor=fill, markeredgecolor=DARK, label=name)


def _point(x: float, y: float, row: dict[str, object], fills: dict[str, str]) -> str:
    style = ";".join(f"--{kind}:{fill}" for kind, fill in fills.items())
    at = f'style="{style}" stroke="#333" stroke-width=".4" fill-opacity=".85"'
    said = f"<title>{escape(_hover(row))}</title>"
    if isinstance(row["weak"], float) and row["weak"] > 0.5:
        return f'<path d="M{x:.1f} {y - 4.4:.1f}l4 7h-8z" {at}>{said}</path>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.6" {at}>{said}</circle>'


def _hover(row: dict[str, object]) -> str:
    lines = [str(row["id"]), f"weak label {row['weak']:.3g}, probe {row['p']:.3g}"]
    if "truth" in row:
        lines[1] += f", ground truth {row['truth']:.3g}"
    if "kept" in row:
        lines.append("kept by the filter" if row["kept"] else f"dropped: {row['reason']}")
    if "text" in row:
        lines.append(brief(str(row["text"]), HOVER))
    return "\n".join(lines)


def _fills(table: pd.DataFrame, colour: str) -> list[str]:
    if colour in ("label", "truth"):
        return [diverging(p - 0.5, 0.5) for p in table["weak" if colour == "label" else "truth"]]
    if colour == "disagreement":
        most = float(table["disagreement"].max()) or 1.0
        return [STEPS[min(len(STEPS) - 1, int(d / most * len(STEPS)))] for d in table["disagreement"]]
    reasons = {verdicts.KEPT: KEPT, verdicts.OUTSIDE: ORANGE, verdicts.DISAGREES: VERMILION}
    return [reasons.get(str(reason), BLUE) for reason in table["reason"]]


def _weight(table: pd.DataFrame, colour: str) -> NDArray[np.float64]:
    """The rows drawn on top: those that disagree or were dropped; otherwise rows as they come."""
    if colour == "filter":
        return (~table["kept"].to_numpy(dtype=bool)).astype(float)
    return table["disagreement"].to_numpy() if colour == "disagreement" else np.zeros(len(table))


def _pixels(values: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    return first + (values - low) / ((high - low) or 1.0) * (last - first)
