"""The page's figures as SVG in the colour of the text around them: intervals by method, and lines over a setting."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from .cells import shown
from .svg import Scale, around, line, marker, tag, text, tick_label

WIDTH, LABELS, RIGHT = 372.0, 158.0, 12.0
ROW, TOP, BOTTOM = 19.0, 8.0, 40.0  # heights in a forest
HEIGHT, LEFT = 230.0, 56.0  # of line figures
SHAPES = ("dot", "square", "diamond", "triangle", "cross")
CHARACTERS = 25  # of a method's name that fit beside a forest


@dataclass(frozen=True)
class Bar:
    """One line of a forest: a value with its interval, or the words that stand for it."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    kind: str = "method"  # method, control or oracle, each with its own marker
    note: str = ""  # beside the name's end: unstable, or why there is no value


@dataclass(frozen=True)
class FigureLine:
    """One line of a figure: values over a setting, with their intervals where there are any."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    style: int = 0  # which colour, marker and dashes; the same for the same thing in several figures


@dataclass(frozen=True)
class Figure:
    """A drawing, with the heading above it and what those read who do not see it."""

    title: str
    svg: Markup


def forest(
    key: str,
    title: str,
    axis: str,
    bars: Sequence[Bar],
    *,
    references: Sequence[float] = (0.0,),
    within: tuple[float, float] | None = None,
    spec: str = ".2f",
) -> Figure:
    """Values with intervals, a row each. `within` are the farthest ends of the axis; arrows go beyond."""
    known = [x for bar in bars if bar.value is not None for x in (bar.value, bar.low, bar.high) if x is not None]
    low, high = around([*known, *references], least=0.02)
    if within is not None:
        low, high = max(low, within[0]), min(high, within[1])
    x = Scale(low, high, LABELS, WIDTH - RIGHT)
    base = TOP + ROW * len(bars)
    parts = [horizontal_axis(x, base)]
    parts += [line(x(at), TOP, x(at), base, "reference") for at in references if low <= at <= high]
    for number, bar in enumerate(bars):
        parts.append(_row(bar, x, TOP + ROW * (number + 0.5)))
    parts.append(text(axis, WIDTH - 4, base + 34, "name", "end"))
    said = "; ".join(_said(bar, spec) for bar in bars)
    return Figure(title, framed(key, title, f"{axis}. {said}.", base + BOTTOM, parts))


def _fitting(name: str) -> str:
    """A name that fits beside a forest: a control's without that word, which its marker says, and by its two ends.

    >>> _fitting("control-random:filter-logistic"), _fitting("control-gate-average:gate-variance")
    ('random:filter-logistic', 'gate-average…ate-variance')
    """
    if len(name) > CHARACTERS:
        name = name.removeprefix("control-")
    half = CHARACTERS // 2
    return name if len(name) <= CHARACTERS else f"{name[:half]}…{name[-half:]}"


def _row(bar: Bar, x: Scale, y: float) -> Markup:
    parts = [text(_fitting(bar.name), LABELS - 8, y + 4, "label", "end")]
    if bar.value is None or math.isnan(bar.value):
        return Markup("").join([*parts, text(bar.note or "no value", x.start + 4, y + 4, "note")])
    if bar.low is not None and bar.high is not None and not math.isnan(bar.low):
        parts.append(line(x(bar.low), y, x(bar.high), y, "interval"))
        parts += [_arrow(x(end), y, side) for end, side in ((bar.low, -1), (bar.high, 1)) if _beyond(end, x)]
    if not _beyond(bar.value, x):
        shape = {"control": "square", "oracle": "diamond"}.get(bar.kind, "dot")
        parts.append(marker(shape, x(bar.value), y, "hollow" if bar.note or bar.kind != "method" else "solid"))
    return Markup("").join(parts)


def _beyond(value: float, x: Scale) -> bool:
    return not x.low <= value <= x.high


def _arrow(at: float, y: float, side: int) -> Markup:
    return tag("path", d=f"M{at - side * 5:.1f} {y - 4:.1f}l{side * 5} 4l{-side * 5} 4", class_="interval")


def _said(bar: Bar, spec: str) -> str:
    if bar.value is None or math.isnan(bar.value):
        return f"{bar.name} {bar.note or 'no value'}"
    ends = ""
    if bar.low is not None and bar.high is not None and not math.isnan(bar.low):
        ends = f" [{shown(bar.low, spec)}, {shown(bar.high, spec)}]"
    return f"{bar.name} {shown(bar.value, spec)}{ends}" + (f" ({bar.note})" if bar.note else "")


def lines(
    key: str,
    title: str,
    x_axis: str,
    y_axis: str,
    drawn: Sequence[FigureLine],
    *,
    log: bool = False,
    reference: float | None = None,
) -> Figure:
    """Lines over a setting, with a legend; each style has its own colour, marker and dashes.

    On a logarithmic axis 0 stands a decade below the smallest other value.
    """
    zero = min(v for one in drawn for v in one.x if v > 0) / 10 if log else None
    if zero is not None:
        drawn = [replace(one, x=[v or zero for v in one.x]) for one in drawn]
    xs = [v for one in drawn for v in one.x]
    ys = [v for one in drawn for part in (one.y, one.low or (), one.high or ()) for v in part]
    low, high = around(ys if reference is None else [*ys, reference])
    ends = (min(xs), max(xs)) if min(xs) < max(xs) else (min(xs) * 0.5, max(xs) * 2) if log else (xs[0] - 1, xs[0] + 1)
    legend = 18.0 * len(drawn)
    x = Scale(*ends, LEFT + 10, WIDTH - RIGHT - 8, log)
    y = Scale(low, high, HEIGHT - BOTTOM + legend, TOP + legend + 6)
    parts = [horizontal_axis(x, y.start, zero), *vertical_axis(y, x)]
    if reference is not None:
        parts.append(line(LEFT, y(reference), WIDTH - RIGHT, y(reference), "reference"))
    for number, one in enumerate(drawn):
        again, colour = divmod(one.style, len(SHAPES))  # a sixth line has the first's colour and the second's marker
        shape, class_ = SHAPES[(colour + again) % len(SHAPES)], f"s{colour}"
        at = TOP + 18 * number + 6
        parts += [line(LEFT, at, LEFT + 26, at, f"line {class_}"), marker(shape, LEFT + 13, at, f"mark {class_}")]
        parts.append(text(one.name, LEFT + 34, at + 4, "label"))
        parts += _line(one, x, y, shape, class_)
    parts.append(text(x_axis, (x.start + x.end) / 2, y.start + 34, "name", "middle"))
    parts.append(tag("text", y_axis, class_="name", text_anchor="middle", transform=turned(13, (y.start + y.end) / 2)))
    said = "; ".join(f"{one.name}: {_course(one)}" for one in drawn)
    return Figure(title, framed(key, title, f"{y_axis} over {x_axis}. {said}.", HEIGHT + legend, parts))


def _line(one: FigureLine, x: Scale, y: Scale, shape: str, class_: str) -> list[Markup]:
    points = [(x(a), y(b), i) for i, (a, b) in enumerate(zip(one.x, one.y, strict=True)) if math.isfinite(b)]
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b, _ in points)
    parts = [tag("path", d=path, class_=f"line {class_}")]
    for a, b, i in points:
        if one.low is not None and one.high is not None and math.isfinite(one.low[i]):
            parts.append(line(a, y(one.low[i]), a, y(one.high[i]), f"error {class_}"))
        parts.append(marker(shape, a, b, f"mark {class_}"))
    return parts


def _course(one: FigureLine) -> str:
    known = [(x, y) for x, y in zip(one.x, one.y, strict=True) if math.isfinite(y)]
    best = max(known, key=lambda point: point[1])
    return (
        f"{shown(known[0][1])} at {tick_label(known[0][0])}, {shown(known[-1][1])} at {tick_label(known[-1][0])}, "
        f"highest {shown(best[1])} at {tick_label(best[0])}"
    )


def horizontal_axis(x: Scale, base: float, zero: float | None = None) -> Markup:
    """The horizontal axis with its ticks, of which the one at `zero` stands for 0."""
    parts = [line(x.start - (10 if x.start < LABELS else 0), base, x.end + 8, base, "axis")]
    for tick in x.ticks():
        parts += [
            line(x(tick), base, x(tick), base + 4, "axis"),
            text(
                "0" if zero and math.isclose(tick, zero) and x.low == zero else tick_label(tick),
                x(tick),
                base + 17,
                "",
                "middle",
            ),
        ]
    return Markup("").join(parts)


def vertical_axis(y: Scale, x: Scale) -> list[Markup]:
    """The vertical axis: a faint line across and a number for each tick."""
    parts = []
    for tick in y.ticks(5):
        parts += [
            line(LEFT, y(tick), x.end + 8, y(tick), "grid"),
            text(tick_label(tick), LEFT - 5, y(tick) + 4, "", "end"),
        ]
    return parts


def turned(x: float, y: float) -> str:
    """The place of a text that is read from below."""
    return f"translate({x:.0f} {y:.0f}) rotate(-90)"


def framed(key: str, title: str, said: str, height: float, parts: Sequence[Markup]) -> Markup:
    """A drawing with its title and what is said to those who do not see it."""
    told = tag("title", title, id=f"{key}-t") + tag("desc", said, id=f"{key}-d")
    return tag(
        "svg",
        told + Markup("").join(parts),
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        aria_labelledby=f"{key}-t {key}-d",
    )
