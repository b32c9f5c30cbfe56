"""A reliability diagram: the share of label 1 over mean score, bin by bin, beside the diagonal, with rows below."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from .cells import shown
from .figures import LEFT, SHAPES, TOP, Figure, framed, horizontal_axis, turned, vertical_axis
from .svg import Scale, line, marker, tag, text

STRIP = 26.0  # height of a line's bars of rows
LEGEND = 18.0
SIDE = 250.0  # of the square


@dataclass(frozen=True)
class ReliabilityLine:
    """One line of a diagram: the table of `reliability_bins`, and what is said beside its name."""

    name: str
    bins: pd.DataFrame
    style: int  # colour, marker and dashes, as of `FigureLine`


def reliability_figure(key: str, title: str, drawn: Sequence[ReliabilityLine]) -> Figure:
    """Lines with intervals on a square, the diagonal between them; below, each bin's rows at its mean score."""
    top = TOP + LEGEND * len(drawn) + 6
    x, y = Scale(0, 1, LEFT + 10, LEFT + 10 + SIDE), Scale(0, 1, top + SIDE, top)
    below = y.start + 42
    height = below + (STRIP + 8) * len(drawn) + 22
    parts = [horizontal_axis(x, y.start), *vertical_axis(y, x), line(x(0), y(0), x(1), y(1), "reference")]
    most = max(int(one.bins["rows"].max()) for one in drawn)
    for number, one in enumerate(drawn):
        shape, class_, at = SHAPES[one.style % len(SHAPES)], f"s{one.style % len(SHAPES)}", TOP + LEGEND * number + 6
        parts += [line(LEFT, at, LEFT + 26, at, f"line {class_}"), marker(shape, LEFT + 13, at, f"mark {class_}")]
        parts.append(text(one.name, LEFT + 34, at + 4, "label"))
        points = one.bins.to_dict(orient="records")
        path = "M" + "L".join(f"{x(point['mean_score']):.1f} {y(point['share']):.1f}" for point in points)
        parts.append(tag("path", d=path, class_=f"line {class_}"))
        base = below + (STRIP + 8) * number + STRIP
        parts.append(line(x(0), base, x(1), base, "grid"))
        for point in points:
            across = x(point["mean_score"])
            parts.append(line(across, y(point["low"]), across, y(point["high"]), f"error {class_}"))
            parts.append(marker(shape, across, y(point["share"]), f"mark {class_}"))
            parts.append(line(across, base, across, base - STRIP * point["rows"] / most, f"bar {class_}"))
    parts.append(text("mean P(label = 1) of a bin", (x.start + x.end) / 2, y.start + 32, "name", "middle"))
    middle = (y.start + y.end) / 2
    parts.append(tag("text", "share of label 1", class_="name", text_anchor="middle", transform=turned(13, middle)))
    parts.append(text(f"rows of each bin, at most {most:,}", (x.start + x.end) / 2, height - 8, "name", "middle"))
    said = "; ".join(f"{one.name}: {_said(one.bins)}" for one in drawn)
    return Figure(title, framed(key, title, f"Share of label 1 over mean P(label = 1). {said}.", height, parts))


def _said(bins: pd.DataFrame) -> str:
    ends = (bins.iloc[0], bins.iloc[-1]) if len(bins) > 1 else (bins.iloc[0],)
    return ", ".join(f"{shown(float(one['share']))} at {shown(float(one['mean_score']))}" for one in ends)
