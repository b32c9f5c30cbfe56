"""How a text's token saliency is shown: coloured HTML, plain text, and a figure."""

from html import escape
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from w2s_probes.drawing import drawable
from w2s_probes.errors import shortened

from .colours import BLUE, DARK, ORANGE, legend, swatch
from .pictures import Picture, tidy

if TYPE_CHECKING:
    from .tokens import TokenSaliency

LONGEST_TOKEN = 20  # characters of one under an axis
MOST_BARS = 60  # tokens whose names still fit under an axis
STRONG = 0.95  # quantile of sizes from which colours are strongest: first tokens are often far off all others
MARKS = "▁▂▃▄▅▆▇█"


def token_html(found: "TokenSaliency") -> str:
    """Two coloured copies of the text with their scales; tooltips have the numbers. All tokens are escaped."""
    what, scores = found.shown
    head = (
        f"<b>{escape(found.id)}</b>: log-odds {found.log_odds:+.2f} at layer {found.layer}, position {found.position}"
    )
    return (
        f'<div style="line-height:1.9;max-width:60em"><div>{head}</div>'
        + _line(found, scores, f"the probe {what}", "label 0", "label 1", "log-odds")
        + _line(found, found.gradient_x_input, "gradient × input", "towards 0", "towards 1", "log-odds")
        + (
            _line(found, found.left_out, "log-odds lost without the token", "towards 0", "towards 1", "log-odds")
            if np.isfinite(found.left_out).all()
            else ""
        )
        + "</div>"
    )


def token_text(found: "TokenSaliency") -> str:
    """Plain text: the tokens of most weight, and the probe's log-odds along the text in eight steps of height."""
    what, scores = found.shown
    most = np.argsort(-np.abs(found.gradient_x_input), kind="stable")[:6]
    moved = ", ".join(f"{found.tokens[i].strip()!r} {found.gradient_x_input[i]:+.2f}" for i in most)
    return (
        f"TokenSaliency({found.id!r}: {len(found.tokens)} tokens, log-odds {found.log_odds:+.2f} at layer {found.layer}"
        ")\n"
        f"  {''.join(found.tokens)!r}\n"
        f"  probe {what}: {_sparkline(scores)} from {scores[0]:+.2f} to {scores[-1]:+.2f}\n"
        f"  gradient x input: {moved}"
    )


def token_figure(found: "TokenSaliency") -> Figure:
    """The probe's log-odds along the text, over bars of gradient x input."""
    n = len(found.tokens)
    figure = Picture(max(5.5, min(14.0, 0.32 * n + 1.5)), 4.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    what, scores = found.shown
    at = np.arange(n)
    upper.axhline(0, color=DARK, linewidth=0.6)
    upper.plot(at, scores, "o-", color=BLUE, markersize=4)
    tidy(upper, title=f"{shortened(found.id, 40)}: the probe of layer {found.layer}, {what}", y="log-odds")
    moved = found.gradient_x_input
    lower.axhline(0, color=DARK, linewidth=0.6)
    lower.bar(at, moved, color=[ORANGE if value > 0 else BLUE for value in moved])
    tidy(lower, title="gradient × input, on the whole text", y="log-odds")
    if n <= MOST_BARS:
        names = [drawable(token.strip(), LONGEST_TOKEN) or "␣" for token in found.tokens]
        lower.set_xticks(at, names, rotation=90, fontsize=8, parse_math=False)
    else:
        lower.set_xlabel("token")
    return figure


def _line(found: "TokenSaliency", values: NDArray[np.float64], what: str, low: str, high: str, unit: str) -> str:
    extreme = float(np.quantile(np.abs(values), STRONG)) or float(np.abs(values).max()) or 1.0
    words = "".join(
        swatch(token, float(value), extreme, f"{token.strip()}: {value:+.3f} (token {i})")
        for i, (token, value) in enumerate(zip(found.tokens, values, strict=True))
    )
    return (
        f'<div style="margin-top:.5em"><span style="font-size:85%">{escape(what)}</span> &nbsp; '
        f'{legend(extreme, low, high, unit)}<br><span style="white-space:pre-wrap">{words}</span></div>'
    )


def _sparkline(values: NDArray[np.float64]) -> str:
    low, high = float(values.min()), float(values.max())
    steps = np.zeros(len(values), int) if high == low else ((values - low) / (high - low) * 7.999).astype(int)
    return "".join(MARKS[step] for step in steps)
