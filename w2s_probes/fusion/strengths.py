"""How strongly each row is tilted: α at which the tilt is as far from P as the tuned model from its base."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import elementwise

from .newton import mild_alpha
from .tilted import Matrix, Tilt, Vector

Solver = Literal["exact", "grid"]
STEPS = 20  # of the published grid, from 0 to the largest α
NO_TILT = 1e-12  # the largest spread of δ, beside the logits' own size, that rounding explains
NEAR = 1e-9  # of α
CLOSE = {"xatol": NEAR}


def distance(tilt: Tilt, there: Vector, back: Vector) -> Vector:
    """(KL(P̃‖P) - a)² + (KL(P‖P̃) - b)² (n,)."""
    return np.asarray((tilt.there - there) ** 2 + (tilt.back - back) ** 2)


def best_alpha(log_p: Matrix, delta: Matrix, there: Vector, back: Vector, top: float, solver: Solver) -> Vector:
    """The α (n,) in [0, `top`] of least `distance` from a and b (`there`, `back`); 0 where δ is the same for all.

    Distributions are (C, n). "grid": the first of 21 values with the least distance, as published. "exact": the minimum
    beside that value, where the slope of the distance is 0; no value of the grid is better. Where tuning was mild
    Newton's method finds that minimum without the grid.
    """
    still = np.ptp(delta, axis=0) <= NO_TILT * (1 + np.abs(delta).max(axis=0))
    alpha = np.full(log_p.shape[1], np.nan)
    if solver == "exact":
        alpha = mild_alpha(log_p, delta, there, back, top)
    alpha[still] = 0
    if len(left := np.flatnonzero(np.isnan(alpha))):
        search = _Search(log_p[:, left], delta[:, left], there[left], back[left])
        alpha[left] = search.of_grid(top * np.arange(STEPS + 1) / STEPS, refined=solver == "exact")
    return alpha


@dataclass(frozen=True)
class _Search:
    """The search for α of rows whose δ is not constant."""

    log_p: Matrix  # (C, n)
    delta: Matrix
    there: Vector  # (n,) a
    back: Vector  # b

    def of_grid(self, values: Vector, *, refined: bool) -> Vector:
        """The best of ascending values for each row, or the minimum beside it."""
        n = len(self.there)
        least, best = np.full(n, np.inf), np.zeros(n, dtype=np.intp)
        slopes = np.empty((len(values), n))
        for at, value in enumerate(values):
            tilt = Tilt.at(self.log_p, self.delta, np.full(n, value))
            slopes[at] = self._slope(tilt, slice(None))
            loss = distance(tilt, self.there, self.back)
            best[loss < least] = at
            least = np.minimum(least, loss)
        return self._refined(values, best, slopes) if refined else np.asarray(values[best])

    def _refined(self, values: Vector, best: NDArray[np.intp], slopes: Matrix) -> Vector:
        """The minima beside the best of these values, given the slopes (values, n) of the distance at each."""
        slopes[0] = -1.0  # at 0 itself it is flat, and falls at once
        alpha, rows, last = values[best], np.arange(len(best)), len(values) - 1
        low = np.where(slopes[best, rows] > 0, best - 1, best)
        left = low.clip(0, last - 1)
        crosses = (low == left) & (slopes[left, rows] <= 0) & (slopes[left + 1, rows] > 0)
        if len(within := np.flatnonzero(crosses)):
            ends = values[low[within]] + (low[within] == 0) * NEAR, values[low[within] + 1]
            self._take(alpha, within, elementwise.find_root(self._slopes, ends, args=(within,), tolerances=CLOSE).x)
        # Of large logits the distance can have more than one minimum between two values.
        if len(within := np.flatnonzero(~crosses & (0 < best) & (best < last))):
            around = values[best[within] - 1], values[best[within]], values[best[within] + 1]
            self._take(alpha, within, elementwise.find_minimum(self._distances, around, args=(within,)).x)
        return np.asarray(alpha)

    def _take(self, alpha: Vector, rows: NDArray[np.intp], found: Vector) -> None:
        """Put what was found for some rows in place of their values, where there is something and it is no worse.

        Of a class that takes all the slope is rounding alone, and has no sign to go by.
        """
        there = np.isfinite(found)
        rows, found = rows[there], found[there]
        better = self._distances(found, rows) <= self._distances(alpha[rows], rows)
        alpha[rows[better]] = found[better]

    def _distances(self, alpha: Vector, rows: NDArray[np.intp]) -> Vector:
        tilt = Tilt.at(self.log_p[:, rows], self.delta[:, rows], alpha)
        return distance(tilt, self.there[rows], self.back[rows])

    def _slopes(self, alpha: Vector, rows: NDArray[np.intp]) -> Vector:
        return self._slope(Tilt.at(self.log_p[:, rows], self.delta[:, rows], alpha), rows)

    def _slope(self, tilt: Tilt, rows: NDArray[np.intp] | slice) -> Vector:
        there, back = tilt.there - self.there[rows], tilt.back - self.back[rows]
        return np.asarray(there * tilt.there_slope + back * tilt.back_slope)
