"""The figure of a steering: how far the probe's direction moves the log-odds, over the band of random ones."""

from typing import TYPE_CHECKING

import numpy as np

from w2s_probes.drawing import drawable

from .movement import Steered
from .steer_files import CONTROLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that the colour-blind can tell apart (Okabe and Ito).
OWN = "#D55E00"
COLORS = {"isotropic": "#0072B2", "covariance": "#009E73", "permuted": "#CC79A7"}


def steer_figure(found: Steered) -> "Figure":
    """Movement against strength with 95 % intervals, beside the band of each kind of random direction.

    Of an ablation, which has no strength, every random direction is a dot.
    """
    from w2s_probes.notebook_figure import NotebookFigure

    kinds: list[str] = [name for name in CONTROLS if name in found.directions.kinds]
    if found.by == "ablate":
        figure = NotebookFigure(figsize=(5.6, 3.4), layout="constrained")
        ax = figure.subplots()
        _dots(ax, found, kinds)
    else:
        figure = NotebookFigure(figsize=(3.6 * len(kinds), 3.4), layout="constrained")
        panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
        for ax, kind in zip(panels, kinds, strict=True):
            _band(ax, found, kind)
        panels[0].set_ylabel("movement of the log-odds")
        panels[0].legend(frameon=False)
    for ax in figure.axes:
        ax.axhline(0, color="0.4", linewidth=1, linestyle="--")
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(drawable(title(found)), fontsize=10, parse_math=False)
    return figure


def title(found: Steered) -> str:
    """The figure's title."""
    how = "adding" if found.by == "add" else "taking out"
    what = "label words" if found.read == "words" else found.read.replace(":", " ")
    return f"{how} the {found.directions.name} direction at layer {found.directions.layer}, read at {what}"


def _band(ax: "Axes", found: Steered, kind: str) -> None:
    strengths = np.asarray(found.strengths)
    beside = [next(one for one in result.beside if one.control == kind) for result in found.results]
    color = COLORS[kind]
    low, high = (np.array([getattr(one, end) for one in beside]) for end in ("low", "high"))
    ax.fill_between(
        strengths, low, high, color=color, alpha=0.2, linewidth=0, label=f"{found.directions.random} random"
    )
    which = [at for at, name in enumerate(found.directions.kinds) if name == kind]
    for direction in which:
        ax.plot(strengths, found.moved[direction].mean(axis=1), color=color, linewidth=0.5, alpha=0.6)
    value = np.array([one.log_odds.value for one in found.results])
    ends = np.array([[one.log_odds.low, one.log_odds.high] for one in found.results]).T
    errors = np.nan_to_num(np.abs(ends - value))
    ax.errorbar(strengths, value, errors, color=OWN, marker="s", markersize=4, linewidth=1.4, label="probe")
    ax.set_title(CONTROLS[kind], fontsize=8)  # type: ignore[index]
    ax.set_xlabel("strength")


def _dots(ax: "Axes", found: Steered, kinds: list[str]) -> None:
    means = found.moved[:, 0].mean(axis=1)
    for place, kind in enumerate(kinds):
        own = means[[at for at, name in enumerate(found.directions.kinds) if name == kind]]
        ax.plot(np.full(len(own), place), own, "o", color=COLORS[kind], markersize=4, alpha=0.6)
    (only,) = found.results
    value = only.log_odds.value
    error = np.nan_to_num([[value - only.log_odds.low], [only.log_odds.high - value]])
    ax.errorbar([len(kinds)], [value], error, fmt="s", color=OWN, markersize=5)
    ax.set_xticks(range(len(kinds) + 1), [*kinds, "probe"])
    ax.set_ylabel("movement of the log-odds")
