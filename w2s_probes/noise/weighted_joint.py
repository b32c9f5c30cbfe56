"""Prediction-powered inference where audited rows were drawn with unequal probabilities.

Within each weak class the share of wrong labels is the weighted mean over audited rows of w - λ(f - m), f the probe's
P(label is wrong), m its mean over all rows of the class, known, and λ its power (`prediction_powered`): the difference
estimator of survey sampling (Särndal, Swensson & Wretman 1992, ch. 6). Each row's λ comes from the other audited rows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..metrics.audit_design import AuditDesign
from ..metrics.intervals import NO_ESTIMATE, Estimate
from .prediction_powered import UNTUNED_ROWS


@dataclass(frozen=True)
class WeightedJoint:
    """The corrected P(weak class, true class), (2, 2), and what each audited row adds to the error of its class.

    >>> positive = np.tile([False, True], 20)
    >>> seen, wrong = np.arange(40) < 20, np.arange(40) < 2
    >>> weighted_joint(positive, np.full(40, 0.5), seen, wrong, AuditDesign.of(np.full(20, 0.5))).joint
    array([[0.45, 0.05],
           [0.05, 0.45]])
    """

    joint: NDArray[np.float64]
    design: AuditDesign
    sizes: tuple[float, float]  # share of each weak class, known from all rows
    moves: NDArray[np.float64]  # (2, m) of each class's share of wrong labels, per row that an audited row stands for
    unseen: tuple[float, float]  # of each class's share: an error that was not seen (`AuditDesign.unseen`)

    def ratio(self, top: NDArray[np.bool_], bottom: NDArray[np.bool_]) -> Estimate:
        """The share that the entries `top` (2, 2) have of the entries `bottom`, with its 95 % interval."""
        below = float(self.joint[bottom].sum())
        if below < 1e-12:  # a true class that no audited row has
            return NO_ESTIMATE
        value = float(self.joint[top].sum()) / below
        moved, unseen = np.zeros(len(self.design.inclusion)), 0.0
        for c in (0, 1):
            # Of joint[c, 1 - c] by the class's share of wrong labels: its size; of joint[c, c]: less that.
            slope = self.sizes[c] * (_sign(top, c) - value * _sign(bottom, c)) / below
            moved += slope * self.moves[c]
            unseen += (slope * self.unseen[c]) ** 2
        return self.design.share(value, self.design.variance(moved) + unseen)


def weighted_joint(
    positive: NDArray[np.bool_],
    p: NDArray[np.float64],
    seen: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
    design: AuditDesign,
) -> WeightedJoint:
    """From label sides (n,), probe scores (n,), audited rows (n,), which are wrong (n,), and the design of these (m,).

    The design's rows are the audited ones in the order of the n rows. Both classes must be audited.
    """
    f = np.where(positive, 1 - p, p)
    joint, moves = np.zeros((2, 2)), np.zeros((2, int(seen.sum())))
    sizes, unseen = [], []
    for c in (0, 1):
        of_class = positive == bool(c)
        inside = of_class[seen]
        weight = design.weights[inside]
        opinion, error = f[seen][inside], wrong[seen][inside].astype(np.float64)
        power = _power(error, opinion, design.inclusion[inside], design.strata[inside])
        off = error - power * (opinion - f[of_class].mean())
        rate = float((weight * off).sum() / weight.sum())
        moves[c, inside] = (off - rate) / weight.sum()
        unseen.append(design.unseen(wrong[seen], inside) / float(weight.sum()))
        rate = min(1.0, max(0.0, rate))
        size = float(of_class.mean())
        joint[c, c], joint[c, 1 - c] = size * (1 - rate), size * rate
        sizes.append(size)
    return WeightedJoint(joint, design, (sizes[0], sizes[1]), moves, (unseen[0], unseen[1]))


def _sign(entries: NDArray[np.bool_], c: int) -> int:
    return int(entries[c, 1 - c]) - int(entries[c, c])


def _power(
    wrong: NDArray[np.float64], f: NDArray[np.float64], inclusion: NDArray[np.float64], h: NDArray[np.intp]
) -> NDArray[np.float64]:
    """λ of each audited row (m,) of a class, of least variance by the other ones, and drawn towards 0.

    The covariance of errors and opinions is that of their weighted sums over draws (`AuditDesign.variance`): where
    strata know the probe's opinion already, it has little left to say.
    """
    m = len(f)
    a = (1 - inclusion) / inclusion**2
    without = _sums(a, h)[h] - a

    def without_row(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum (m,) of centred products over all rows but one; of its own stratum without it."""
        sums = [_sums(a * part, h) for part in (first * second, first, second, np.ones(m))]
        whole = sums[0] - sums[1] * sums[2] / np.where(sums[3] > 0, sums[3], 1)
        left = [total[h] - a * part for total, part in zip(sums, (first * second, first, second), strict=False)]
        own = left[0] - left[1] * left[2] / np.where(without > 0, without, 1)
        return np.asarray(whole.sum() - whole[h] + own)

    spread = without_row(f, f)
    power = np.divide(without_row(wrong, f), spread, out=np.zeros(m), where=spread > 1e-12 * (a * f * f).sum())
    return np.asarray(np.clip(power * (m - 1) / (m - 1 + UNTUNED_ROWS), 0, 1))


def _sums(values: NDArray[np.float64], codes: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.asarray(np.bincount(codes, weights=values), dtype=np.float64)
