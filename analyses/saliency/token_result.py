"""One text as a probe reads its tokens, and how it is shown: coloured HTML, plain text, and a figure."""

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from extract.forward.trace import Position
from w2s_probes.drawing import drawable
from w2s_probes.errors import shortened

from ..passages import brief, folded
from .colours import BLUE, DARK, GREEN, GREY, ORANGE, legend, swatch
from .drawing import Picture, tidy

LONGEST_TOKEN = 20  # characters of one under an axis
MOST_BARS = 60  # tokens whose names still fit under an axis
STRONG = 0.95  # quantile of sizes from which colours are strongest: first tokens are often far off all others
MARKS = "▁▂▃▄▅▆▇█"
SHOWN = 80  # tokens of a long text that are shown at once, and marks of its curve in a terminal
CHARACTERS = 300  # of the text in a terminal


Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class TokenSaliency:
    """One text as a probe of one layer reads it. Numbers are log-odds of label 1, none of them seen by a label."""

    id: str
    tokens: list[str]  # what each token stands for
    token_ids: NDArray[np.int32]  # (tokens,)
    layer: int
    position: Position
    causal: bool  # whether a token's state knows only what stands before it
    log_odds: float  # of the whole text
    scores: Array  # (tokens,) the probe on each token's own activation
    prefixes: Array  # (tokens,) the probe had the text ended there; NaN unless causal
    gradient_x_input: Array  # (tokens,) what this token's embedding adds to `log_odds`, to first order
    left_out: Array  # (tokens,) `log_odds` less those of the text without this token; NaN unless asked for
    attention: Array | None = None  # (tokens,) the share of it that the probe reads, 1 in all
    contribution: Array | None = None  # (tokens,) what adds up to `log_odds`: attention x score of one head
    integrated: Array | None = None  # (tokens,) integrated gradients: `log_odds` less the baseline's, but for the gap
    integrated_gap: float = float("nan")  # what they lack of that

    def to_frame(self) -> pd.DataFrame:
        """A line a token: `position`, `token`, `token_id`, `score`, `prefix`, `gradient_x_input`, `left_out`,
        `attention`, `contribution`, `integrated`.
        """
        return pd.DataFrame(
            {
                "position": np.arange(len(self.tokens)),
                "token": self.tokens,
                "token_id": self.token_ids,
                "score": self.scores,
                "prefix": self.prefixes,
                "gradient_x_input": self.gradient_x_input,
                "left_out": self.left_out,
                **{
                    name: np.full(len(self.tokens), np.nan) if values is None else values
                    for name, values in (
                        ("attention", self.attention),
                        ("contribution", self.contribution),
                        ("integrated", self.integrated),
                    )
                },
            }
        )

    @property
    def shown(self) -> tuple[str, Array]:
        """The values of the first coloured line: the prefixes' log-odds where these exist, else the tokens' own."""
        if self.causal:
            return "had the text ended there", self.prefixes
        return "of each token's own activation", self.scores

    def figure(self) -> Figure:
        """Log-odds along the text, over bars of gradient x input."""
        return token_figure(self)

    def __repr__(self) -> str:
        return token_text(self)

    def _repr_html_(self) -> str:
        return token_html(self)


class TokenSaliencies(dict[str, TokenSaliency]):
    """Texts by id, each as a probe reads it; shows them all."""

    def to_frame(self) -> pd.DataFrame:
        """A line a token of every text: its `id` before the columns of `TokenSaliency.to_frame`."""
        tables = [found.to_frame() for found in self.values()]
        for name, table in zip(self, tables, strict=True):
            table.insert(0, "id", name)
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.values())) or "TokenSaliencies: no texts"

    def _repr_html_(self) -> str:
        return "<hr>".join(found._repr_html_() for found in self.values()) or "TokenSaliencies: no texts"


def token_html(found: TokenSaliency) -> str:
    """Coloured copies of the text with their scales; tooltips have the numbers. All tokens are escaped.

    The probe's scores are coloured by their distance from the text's own median: of a text that is all one class
    every token would else have one colour. What tokens add is coloured from 0, which is adding nothing.
    """
    what, scores = found.shown
    level = float(np.median(scores))
    head = (
        f"<b>{escape(found.id)}</b>: log-odds {found.log_odds:+.2f} at layer {found.layer}, position {found.position}"
    )
    above = f"{np.mean(scores > 0):.0%} of the tokens are above 0, where the probe says 1"
    added = ("takes from it", "adds to it", "log-odds; 0 moves nothing")
    lines = [
        _line(found, scores, f"the probe {what}: each token against the text's own median", level)
        + f'<div style="font-size:85%">{escape(above)}</div>',
        _line(found, found.gradient_x_input, "gradient × input: what each token does to the log-odds of 1", 0.0, added),
    ]
    if found.integrated is not None:
        what = f"integrated gradients: what each token adds on the way to the text (gap {found.integrated_gap:+.2g})"
        lines.append(_line(found, found.integrated, what, 0.0, added))
    if np.isfinite(found.left_out).all():
        lines.append(_line(found, found.left_out, "log-odds lost without the token", 0.0, added))
    return f'<div style="line-height:1.9;max-width:60em"><div>{head}</div>{"".join(lines)}</div>'


def token_text(found: TokenSaliency) -> str:
    """Plain text: the tokens of most weight, and the probe's log-odds along the text in eight steps of height.

    The lowest mark is the text's own lowest score and the highest its own highest.
    """
    what, scores = found.shown
    moved = [f"gradient x input: {_most(found, found.gradient_x_input)}"]
    if found.integrated is not None:
        moved.append(f"integrated gradients: {_most(found, found.integrated)}; gap {found.integrated_gap:+.2g}")
    marks, each = _sparkline(scores)
    return (
        f"TokenSaliency({found.id!r}: {len(found.tokens)} tokens, log-odds {found.log_odds:+.2f} at layer {found.layer}"
        ")\n"
        f"  {brief(''.join(found.tokens), CHARACTERS)}\n"
        f"  probe {what}: {marks} from {scores[0]:+.2f} to {scores[-1]:+.2f}{each}, lowest {scores.min():+.2f}, "
        f"highest {scores.max():+.2f}\n" + "\n".join(f"  {line}" for line in moved)
    )


def _most(found: TokenSaliency, values: Array) -> str:
    """The tokens of the largest values, in either direction."""
    most = np.argsort(-np.abs(values), kind="stable")[:6]
    return ", ".join(f"{found.tokens[i].strip()!r} {values[i]:+.2g}" for i in most)


def token_figure(found: TokenSaliency) -> Figure:
    """The probe's log-odds along the text, over bars of gradient x input."""
    n = len(found.tokens)
    figure = Picture(max(5.5, min(14.0, 0.32 * n + 1.5)), 4.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    what, scores = found.shown
    at = np.arange(n)
    upper.axhline(0, color=DARK, linewidth=0.6)
    level = float(np.median(scores))
    upper.axhline(level, color=GREY, linewidth=0.8, linestyle=":", label=f"the text's own median, {level:+.2f}")
    upper.plot(at, scores, "o-", color=GREEN, markersize=4)
    upper.legend(frameon=False, fontsize=8)
    tidy(upper, title=f"{shortened(found.id, 40)}: the probe of layer {found.layer}, {what}", y="log-odds")
    moved = found.gradient_x_input
    lower.axhline(0, color=DARK, linewidth=0.6)
    lower.bar(at, moved, color=[ORANGE if value > 0 else BLUE for value in moved])
    tidy(lower, title="gradient × input, on the whole text: orange adds to label 1, blue takes from it", y="log-odds")
    if n <= MOST_BARS:
        names = [drawable(token.strip(), LONGEST_TOKEN) or "␣" for token in found.tokens]
        lower.set_xticks(at, names, rotation=90, fontsize=8, parse_math=False)
    else:
        lower.set_xlabel("token")
    return figure


def _line(
    found: TokenSaliency,
    values: NDArray[np.float64],
    what: str,
    centre: float,
    ends: tuple[str, str, str] = ("nearer to label 0", "nearer to label 1", "log-odds, its median"),
) -> str:
    sizes = np.abs(values - centre)
    extreme = float(np.quantile(sizes, STRONG)) or float(sizes.max())
    words = [
        swatch(_seen(token), float(value - centre), extreme, f"{token.strip()}: {value:+.3f} (token {i})")
        for i, (token, value) in enumerate(zip(found.tokens, values, strict=True))
    ]
    scale = legend(extreme, *ends, centre) if extreme else f"every token has {centre:+.2f}, so none is coloured"
    return (
        f'<div style="margin-top:.5em"><div style="font-size:85%">{escape(what)}</div><div>{scale}</div>'
        f'<div style="white-space:pre-wrap">{folded(words, SHOWN, "token")}</div></div>'
    )


def _seen(token: str) -> str:
    """The token with its line ends marked, which alone would have no place for a colour."""
    return token.replace("\n", "⏎\n")


def _sparkline(values: NDArray[np.float64]) -> tuple[str, str]:
    """Marks for the values, in order, and what a mark stands for where it is more than one token."""
    n = len(values)
    if n > SHOWN:
        values = np.array([part.mean() for part in np.array_split(values, SHOWN)])
    low, high = float(values.min()), float(values.max())
    steps = np.zeros(len(values), int) if high == low else ((values - low) / (high - low) * 7.999).astype(int)
    each = f" (a mark is the mean of about {n / SHOWN:.0f} tokens)" if n >= 1.5 * SHOWN else ""
    return "".join(MARKS[step] for step in steps), each
