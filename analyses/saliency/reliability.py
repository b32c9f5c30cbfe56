"""A reliability diagram in a notebook: scores before and after calibration, or of several models."""

from collections.abc import Mapping

from matplotlib.gridspec import GridSpec
from numpy.typing import ArrayLike

from w2s_probes.calibration import reliability_bins
from w2s_probes.drawing import drawable
from w2s_probes.errors import InputError
from w2s_probes.metrics import METRICS

from .colours import DARK
from .drawing import Picture, tidy

COLOURS = ("#1f5fa8", "#b5541c", "#157a55", "#7a3d96", "#8a6d00")
MARKS = ("o", "s", "D", "^", "x")


def reliability_diagram(
    truth: ArrayLike, scores: Mapping[str, ArrayLike], *, bins: int = 10, groups: ArrayLike | None = None
) -> Picture:
    """The share of label 1 over mean score, bin by bin with 95 % intervals, of scores (n,) by name; below, bins' rows.

    `truth` (n,), class 1 above ½, may be a label set, and so may scores: rows must then be the same. `groups` (n,) as
    of `reliability_bins`. The legend has each one's calibration error, debiased. InputError for no scores, more than
    five, and as of `reliability_bins`.
    """
    if not 0 < len(scores) <= len(COLOURS):
        raise InputError(f"{len(scores)} scores: a diagram shows one to {len(COLOURS)}, by name")
    tables = {name: reliability_bins(truth, p, bins=bins, groups=groups) for name, p in scores.items()}
    picture = Picture(4.6, 5.2)
    grid = GridSpec(2, 1, figure=picture, height_ratios=(5, 1))
    upper, lower = picture.add_subplot(grid[0]), picture.add_subplot(grid[1])
    upper.plot([0, 1], [0, 1], color=DARK, linewidth=0.8, linestyle=(0, (4, 3)))
    for (name, table), colour, mark in zip(tables.items(), COLOURS, MARKS, strict=False):
        mean, share = table["mean_score"].to_numpy(), table["share"].to_numpy()
        ends = [(share - table["low"]).clip(0), (table["high"] - share).clip(0)]
        error = METRICS["ece"](truth, scores[name])
        known = drawable(f"{name}: calibration error {error:.3f}").replace("$", r"\$")
        upper.errorbar(
            mean, share, yerr=ends, color=colour, marker=mark, markersize=4, linewidth=1.4, elinewidth=0.8, label=known
        )
        lower.vlines(mean, 0, table["rows"], color=colour, linewidth=3, alpha=0.6)
    tidy(upper, y="share of label 1")
    tidy(lower, x="mean P(label = 1) of a bin", y="rows")
    for axes in (upper, lower):
        axes.set_xlim(-0.02, 1.02)
    upper.set_ylim(-0.02, 1.02)
    lower.set_ylim(0)
    upper.legend(fontsize=8, frameon=False, loc="upper left")
    return picture
