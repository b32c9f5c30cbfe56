"""How strongly each row is tilted: α for which the tilt is as far from P as the tuned model from its base."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import elementwise

from .tilted import Matrix, Tilt, Vector

Solver = Literal["exact", "grid"]
STEPS = 20  # of the published grid, from 0 to the largest α
NO_TILT = 1e-12  # the largest spread of δ, beside the logits' own size, that rounding explains
NEAR = 1e-9  # of α


def distance(tilt: Tilt, there: Vector, back: Vector) -> Vector:
    """(KL(P̃‖P) - a)² + (KL(P‖P̃) - b)² (n,)."""
    return np.asarray((tilt.there - there) ** 2 + (tilt.back - back) ** 2)


def best_alpha(log_p: Matrix, delta: Matrix, there: Vector, back: Vector, top: float, solver: Solver) -> Vector:
    """The α (n,) in [0, `top`] of least `distance` from a and b (`there`, `back`); 0 where δ is the same for all."""
    alpha = np.zeros(log_p.shape[1])
    tilted = np.ptp(delta, axis=0) > NO_TILT * (1 + np.abs(delta).max(axis=0))
    if tilted.any():
        solve = _on_grid if solver == "grid" else _exactly
        alpha[tilted] = solve(log_p[:, tilted], delta[:, tilted], there[tilted], back[tilted], top)
    return alpha


def _on_grid(log_p: Matrix, delta: Matrix, there: Vector, back: Vector, top: float) -> Vector:
    """The first of 21 values with the least distance."""
    values = top * np.arange(STEPS + 1) / STEPS
    losses = [distance(Tilt.at(log_p, delta, np.full(len(there), value)), there, back) for value in values]
    return np.asarray(values[np.argmin(losses, axis=0)])


def _exactly(log_p: Matrix, delta: Matrix, there: Vector, back: Vector, top: float) -> Vector:
    """The best of three points: where either divergence is met, and where between them the distance is flat.

    Neither divergence falls as α grows: below both points the distance falls, and above both it rises. Where logits are
    so large that a class takes all, it can have one minimum near each point.
    """

    def over(value: Callable[[Tilt, NDArray[np.intp]], Vector]) -> Callable[[Vector, NDArray[np.intp]], Vector]:
        return lambda alpha, rows: value(Tilt.at(log_p[:, rows], delta[:, rows], alpha), rows)

    def slope(tilt: Tilt, rows: NDArray[np.intp]) -> Vector:
        return (tilt.there - there[rows]) * tilt.there_slope + (tilt.back - back[rows]) * tilt.back_slope

    none, most = np.zeros(len(there)), np.full(len(there), top)
    met = [
        _root(over(lambda tilt, rows: tilt.there - there[rows]), none, most),
        _root(over(lambda tilt, rows: tilt.back - back[rows]), none, most),
    ]
    points = np.array([_root(over(slope), np.minimum(*met), np.maximum(*met)), *met])
    losses = [distance(Tilt.at(log_p, delta, alpha), there, back) for alpha in points]
    return np.asarray(points[np.argmin(losses, axis=0), np.arange(len(there))])


def _root(value: Callable[[Vector, NDArray[np.intp]], Vector], low: Vector, high: Vector) -> Vector:
    """Where a rising function of α is 0, for each row; the end beyond which it would be, where it is not between."""
    rows = np.arange(len(low))
    falls, rises = value(low, rows) < 0, value(high, rows) > 0
    root = np.where(rises, low, high)
    if len(inside := np.flatnonzero(falls & rises)):
        within = low[inside], high[inside]
        root[inside] = elementwise.find_root(value, within, args=(inside,), tolerances={"xatol": NEAR}).x
    return root
