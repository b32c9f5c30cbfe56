"""Dawid and Skene's model of raters, fitted by expectation-maximisation to soft and missing labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .rules import SMALLEST, posterior
from .vote_patterns import VotePatterns

MOST_ITERATIONS = 5000
TOLERANCE = 1e-8  # of every rate, between two iterations


@dataclass(frozen=True)
class DawidSkene:
    """The share of label 1, and each rater's rates of saying 1 to a true 1 and 0 to a true 0."""

    prior: float
    sensitivity: NDArray[np.float64]  # (r,)
    specificity: NDArray[np.float64]  # (r,)
    iterations: int
    converged: bool


def dawid_skene(p: NDArray[np.float64], known: NDArray[np.float64] | None = None) -> DawidSkene:
    """Fit the two-class model (Dawid and Skene 1979) to labels p (n, r), P(1), NaN where a rater has not judged a row.

    A soft label is a rater who says 1 with probability p (`VotePatterns`); hard labels give the published model. Given
    a row's class, raters are taken to err independently: two that copy each other look as if they agreed on the truth.
    It begins with the mean vote of each row. `known` (n,): 0 or 1 where the truth is known, else NaN; the classes of
    these rows are held there.

    >>> votes = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]], dtype=float)
    >>> dawid_skene(votes).sensitivity.round(2).tolist()
    [1.0, 1.0, 0.67]
    """
    return fit_patterns(VotePatterns.of(p, known), np.ones(len(p)))


def fit_patterns(
    patterns: VotePatterns,
    counts: NDArray[np.float64],
    *,
    start: DawidSkene | None = None,
    tolerance: float = TOLERANCE,
    most: int = MOST_ITERATIONS,
) -> DawidSkene:
    """As `dawid_skene`, of patterns whose rows count so often (n,), from `start` if given. O(m r) an iteration."""
    ones, zeros, weight = patterns.ones, patterns.zeros, patterns.counted(counts)
    held = ~np.isnan(patterns.known)
    if start is None:
        q = ones.sum(axis=1) / (ones + zeros).sum(axis=1)
    else:
        q = posterior(ones, zeros, start.prior, start.sensitivity, start.specificity)
    rates = np.full(1 + 2 * ones.shape[1], np.inf)
    for iteration in range(1, most + 1):  # noqa: B007 - how many there were is said below
        prior, sensitivity, specificity = _rates(np.where(held, patterns.known, q), ones, zeros, weight)
        before, rates = rates, np.concatenate([[prior], sensitivity, specificity])
        if converged := bool(np.abs(rates - before).max() < tolerance):
            break
        q = posterior(ones, zeros, prior, sensitivity, specificity)
    return DawidSkene(float(prior), sensitivity, specificity, iteration, converged)


def _rates(
    q: NDArray[np.float64], ones: NDArray[np.float64], zeros: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """The maximum-likelihood rates where each pattern is of class 1 with probability q (m,)."""
    one, zero = weight * q, weight * (1 - q)
    said = np.maximum(np.stack([one @ ones, one @ zeros, zero @ ones, zero @ zeros]), SMALLEST)
    prior = float(one.sum() / max(one.sum() + zero.sum(), SMALLEST))
    return prior, said[0] / (said[0] + said[1]), said[3] / (said[2] + said[3])
