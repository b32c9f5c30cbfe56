"""Prediction-powered inference: a probe's opinion of every row, corrected on a few rows that were audited.

Angelopoulos et al. 2023, "Prediction-powered inference", Science 382, with the power tuning of Angelopoulos, Duchi &
Zrnic 2023, "PPI++" (arXiv 2311.01453), within each weak class. The audited rows of a class must be a random sample
of it; the classes may be audited at different rates.

Power that is tuned on the rows it is then applied to shrinks small rates: an error that the probe suspected raises
both the power and the mean opinion of the audited rows, which is subtracted (the mean estimate of .03 is .024 at 60
audited rows). `corrected_joint` therefore tunes the power of each audited row on the other ones, as cross-prediction
does with whole predictors (Zrnic & Candès 2024, arXiv 2309.16598): the share of wrong labels is then unbiased. For
intervals, `with_pseudo_rows` keeps one power for all rows: they are shorter for it, and cover.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..metrics.intervals import quantile

# Power tuned on few audited rows is noisy: λ is drawn towards a value as if this many more rows of a class had it.
UNTUNED_ROWS = 20
# The value in the estimate: an unearned power sends small rates below 0, and cutting those off is a bias of its own
# (+20 % at a rate of .01 and 60 audited rows).
UNPROVEN = 0.0
# The value in the interval: power tuned to "no error seen, no weight" would make it too sure.
TRUSTED = 1.0


# λ of each audited row of a class, from errors (m,), opinions f (m,), groups (m,), the variance of f over the class and
# the number of its rows that were not audited
PowerRule = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp], float, int], NDArray[np.float64]]


@dataclass(frozen=True)
class CorrectedJoint:
    """The corrected P(weak class, true class), (2, 2), and the influence of each row on it.

    >>> positive = np.tile([False, True], 20)
    >>> audited, wrong = np.arange(40) < 20, np.arange(40) < 2
    >>> corrected_joint(positive, np.where(positive, 0.8, 0.2), audited, wrong).joint
    array([[0.45, 0.05],
           [0.05, 0.45]])
    """

    joint: NDArray[np.float64]
    influence: NDArray[np.float64]  # (n, 2, 2); adds up to 0
    groups: NDArray[np.intp] | None  # (n,) rows that vary together

    def ratio_error(self, ratio: float, top: NDArray[np.bool_], bottom: NDArray[np.bool_]) -> float:
        """Standard error (delta method) of the share that the entries `top` (2, 2) have of the entries `bottom`."""
        moved = (self.influence[:, top].sum(axis=1) - ratio * self.influence[:, bottom].sum(axis=1)) / self.joint[
            bottom
        ].sum()
        if self.groups is not None:
            moved = np.bincount(self.groups, weights=moved)
        return float(np.sqrt((moved**2).sum()))


def corrected_joint(
    positive: NDArray[np.bool_],
    p: NDArray[np.float64],
    audited: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
    groups: NDArray[np.intp] | None = None,
) -> CorrectedJoint:
    """From label sides (n,), probe scores (n,), which rows were audited (n,) and which of those are wrong (n,).

    Within weak class c the share of wrong labels is the mean over audited rows of w - λ(f - m), f the probe's P(label
    is wrong), m its mean over the rows that were not audited, and λ its power, for each audited row as the audit
    without this row (or its group) has it; the class's own share of all rows is known from all rows.
    """
    f = np.where(positive, 1 - p, p)
    return _corrected(positive, f, audited, wrong, np.ones(len(p), dtype=bool), groups, _left_out_power)


def with_pseudo_rows(
    positive: NDArray[np.bool_],
    p: NDArray[np.float64],
    audited: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
    groups: NDArray[np.intp] | None = None,
) -> CorrectedJoint:
    """`corrected_joint` with one right and one wrong pseudo-row audited in each weak class, for intervals.

    The binomial interval's correction by Agresti & Caffo (2000). Without it an audit that saw hardly an error calls
    itself certain: 95 % intervals cover 80 % at 100 audited rows and 2 % noise. Rows of a group may be wrong as one
    or each by itself, which few errors do not show; with groups of s audited rows a pseudo-row is a pseudo-group of
    √s rows, halfway between the 1 and the s that the two ask for (1 covers 69 % of errors in whole groups of 5).
    """
    size = 1
    if groups is not None:
        size = max(1, round(float(np.sqrt(audited.sum() / len(np.unique(groups[audited]))))))
    f = np.where(positive, 1 - p, p)
    classes = np.repeat([False, False, True, True], size)
    mean_f = np.array([f[~positive].mean(), f[positive].mean()])[classes.astype(int)]
    yes = np.ones(len(classes), dtype=bool)
    if groups is not None:
        groups = np.r_[groups, groups.max() + 1 + np.repeat(np.arange(4), size)]
    return _corrected(
        np.r_[positive, classes],
        np.r_[f, mean_f],
        np.r_[audited, yes],
        np.r_[wrong, np.repeat([False, True, False, True], size)],
        np.r_[np.ones(len(p), dtype=bool), ~yes],
        groups,
        _common_power,
    )


def _corrected(
    positive: NDArray[np.bool_],
    f: NDArray[np.float64],
    audited: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
    real: NDArray[np.bool_],
    groups: NDArray[np.intp] | None,
    power_of: PowerRule,
) -> CorrectedJoint:
    together = np.arange(len(f)) if groups is None else groups
    joint, influence = np.zeros((2, 2)), np.zeros((len(f), 2, 2))
    for c in (0, 1):
        of_class = positive == bool(c)
        share = float(of_class[real].mean())
        seen, unseen = of_class & audited, of_class & ~audited
        spread = float(f[of_class & real].var())
        power = np.zeros(int(seen.sum()))  # no use where no row is left unaudited, or the probe says the same of all
        if unseen.any() and spread:
            power = power_of(wrong[seen].astype(np.float64), f[seen], together[seen], spread, int(unseen.sum()))
        off = wrong[seen] - power * (f[seen] - (f[unseen].mean() if unseen.any() else 0))
        rate = float(off.mean())
        # Of the rate: audited rows through w - λf, the others through λf. Of the share: every real row.
        moves = np.zeros(len(f))
        moves[seen] = (off - rate) / seen.sum()
        if unseen.any():
            moves[unseen] = power.mean() * (f[unseen] - f[unseen].mean()) / unseen.sum()
        moves_share = np.where(real, of_class - share, 0) / real.sum()
        joint[c] = share * (1 - rate), share * (1 - rate)
        joint[c, 1 - c] = share * rate
        influence[:, c, c] = (1 - rate) * moves_share - share * moves
        influence[:, c, 1 - c] = rate * moves_share + share * moves
    return CorrectedJoint(joint, influence, groups)


def _left_out_power(
    wrong: NDArray[np.float64], f: NDArray[np.float64], groups: NDArray[np.intp], spread: float, unseen: int
) -> NDArray[np.float64]:
    """λ of each audited row (m,) from the audited rows of other groups, drawn towards 0."""
    number = np.unique(groups, return_inverse=True)[1]

    def without_group(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(values.sum() - np.bincount(number, weights=values)[number])

    m = without_group(np.ones(len(f)))
    products = without_group(wrong * f) - without_group(wrong) * without_group(f) / np.maximum(m, 1)
    return _power(products / np.maximum(m - 1, 1), m, spread, unseen, UNPROVEN)


def _common_power(
    wrong: NDArray[np.float64], f: NDArray[np.float64], groups: NDArray[np.intp], spread: float, unseen: int
) -> NDArray[np.float64]:
    """The same λ for every audited row (m,), from all of them, drawn towards 1."""
    m = np.full(len(f), float(len(f)))
    shared = ((wrong - wrong.mean()) * (f - f.mean())).sum() / np.maximum(m - 1, 1)
    return _power(shared, m, spread, unseen, TRUSTED)


def _power(
    shared: NDArray[np.float64], m: NDArray[np.float64], spread: float, unseen: int, towards: float
) -> NDArray[np.float64]:
    """λ in [0, 1] of PPI++ (least variance) from the covariance of m audited rows, drawn `towards` a value."""
    power = (m * shared + UNTUNED_ROWS * spread * towards) / (spread * (m * (1 + m / unseen) + UNTUNED_ROWS))
    return np.asarray(np.clip(power, 0, 1))


def audit_quantile(groups_audited: int) -> float:
    """Standard errors on each side of a 95 % interval from this number of independent audited rows or groups."""
    return quantile(max(1, groups_audited - 1))
