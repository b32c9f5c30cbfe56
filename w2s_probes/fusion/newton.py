"""Newton's method for α, for rows whose tuning is so mild that one minimum alone is there to be found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .tilted import Matrix, Vector

# Of δ over a row, in nats. Of 2.6 million such rows for which `_Step.lone` held, drawn at many scales, normal and
# heavy-tailed, the grid's search found a better minimum for none; with spreads of 10 it does for some.
MILD = 6.0
FLAT = 1e-6  # slope of KL(P̃‖P) below which its digits are rounding
STEPS = 8  # 3 or 4 do for most rows
CLOSE = 1e-5  # a last step: the one after it would be its square


def mild_alpha(log_p: Matrix, delta: Matrix, there: Vector, back: Vector, top: float) -> Vector:
    """The α (n,) in (0, `top`] of least distance from a and b (`there`, `back`); NaN where a search has to find it.

    Distributions are (C, n), δ centred under P. The distance falls while both divergences are below theirs and rises
    when both are above, so that a row in which both are still below at `top` is capped.
    """
    alpha = np.full(log_p.shape[1], np.nan)
    spread, variance = np.ptp(delta, axis=0), (np.exp(log_p) * delta**2).sum(axis=0)
    rows = np.flatnonzero((spread <= MILD) & (variance > FLAT))
    # Near 0 both divergences are α² Var / 2.
    now = np.minimum(np.sqrt((there + back)[rows] / variance[rows]), top)
    kept = [log_p[:, rows], delta[:, rows], there[rows], back[rows], spread[rows]]
    for _ in range(STEPS):
        if not len(rows):
            break
        step = _Step.at(now, *kept)
        moved = np.clip(now + step.size, 0, top)
        capped = (now == top) & step.below
        found = (np.abs(step.size) < CLOSE) & (moved < top) & step.lone
        alpha[rows[capped]], alpha[rows[found]] = top, moved[found]
        left = step.curved & ~capped & ~found & ((now < top) | (moved < top))
        if left.all():
            now = moved
            continue
        rows, now = rows[left], moved[left]
        kept = [values[..., left] for values in kept]
    return alpha


@dataclass(frozen=True)
class _Step:
    """A step of Newton's method from one α a row to where the slope of half the distance would be 0."""

    size: Vector  # (n,)
    curved: NDArray[np.bool_]  # the distance is convex here
    below: NDArray[np.bool_]  # both divergences are below a and b
    lone: NDArray[np.bool_]  # no other minimum is near: what is left to a and b is short beside where slopes change

    @classmethod
    def at(cls, alpha: Vector, log_p: Matrix, delta: Matrix, there: Vector, back: Vector, spread: Vector) -> "_Step":
        """The step from α (n,)."""
        # As `Tilt.at`, in place and up to the third moment.
        p = alpha * delta
        p += log_p
        p -= (top := p.max(axis=0))
        np.exp(p, out=p)
        total = p.sum(axis=0)
        p /= total
        log_total = top + np.log(total)
        mean = np.einsum("cn,cn->n", p, delta)
        off = delta - mean
        p *= off
        variance = np.einsum("cn,cn->n", p, off)
        p *= off
        skew = np.einsum("cn,cn->n", p, off)
        f, g, f_slope = alpha * mean - log_total - there, log_total - back, alpha * variance
        curve = f_slope**2 + mean**2 + f * (variance + alpha * skew) + g * variance
        curved, below = curve > 0, (f <= 0) & (g <= 0)
        size = np.zeros_like(alpha)
        np.divide(-(f * f_slope + g * mean), curve, out=size, where=curved)
        lone = curved & (f_slope > FLAT) & (mean > FLAT)
        ratio = np.divide(mean, f_slope, out=np.ones_like(alpha), where=lone)
        width = np.abs(f) + np.divide(np.abs(g), ratio, out=np.zeros_like(alpha), where=lone)
        lone &= width * (1 + ratio + alpha * spread) <= f_slope * alpha * (1 + ratio**2)
        return cls(size, curved, below, lone)
