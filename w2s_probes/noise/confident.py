"""Confident learning: the joint distribution of weak and true class, counted where the probe is confident.

Northcutt, Jiang & Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, eq. 1-3, for
two classes. A row counts as truly of class j where its P(j) reaches the mean P(j) of the rows labelled j; where both
classes are reached, the likelier. Rows that reach neither are left out, and the counts of each weak class are scaled
to its size.

Right where every row of a class is as likely to be mislabelled, and the probe separates the classes. Where classes
overlap, hard but rightly labelled rows look like errors (too high: .25 on clean labels of classes 1σ apart); where
errors sit on rows that are hard for the probe too, it learns them (too low: .09 for .24). `excess` shows both.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics.resampling import drawn_counts
from ..randomness import stream

WEIGHTS_AT_ONCE = 1 << 20  # resampling weights in memory: a few arrays of this size stay near the caches
SUREST = 0.1  # share of the rows at each end of the scores where the probe is surest
SLACK = 1e-6  # by which a probability may miss the mean of its class: means of equal numbers are rounded (cleanlab's)


def confident_counts(positive: NDArray[np.bool_], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Confident rows [weak class, true class], (2, 2), from label sides (n,) and out-of-sample P(label = 1), p (n,)."""
    return np.asarray(_counts(positive, p, np.ones((1, len(p))))[0])


def confident_joint(positive: NDArray[np.bool_], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(weak class, true class), (2, 2): rows add up to the shares of the weak classes. Both classes must occur."""
    return np.asarray(_joints(positive, p, np.ones((1, len(p))))[0])


def excess(positive: NDArray[np.bool_], p: NDArray[np.float64]) -> float:
    """The noise by the confident joint less that of the rows of which the probe is surest.

    P(weak 1 | true 0) + P(weak 0 | true 1) by the joint, less the shares of labels 1 among the tenth of the rows with
    the lowest scores and of labels 0 among the highest. 0 where errors do not depend on the row; above, errors sit on
    hard rows or hard rows pass for errors, and the joint is biased, up or down.
    """
    return float(_excess(confident_joint(positive, p)[None], positive, _ends(p), np.ones((1, len(p))))[0])


@dataclass(frozen=True)
class ResampledJoints:
    """Bootstrap resamples (b) of the joint and of its check, `excess`.

    >>> scores = np.linspace(0, 1, 100)
    >>> resamples = resampled(scores > 0.5, scores, draws=20, seed=0)
    >>> resamples.joints.shape, resamples.excess.shape
    ((20, 2, 2), (20,))
    """

    joints: NDArray[np.float64]  # (b, 2, 2)
    excess: NDArray[np.float64]  # (b,)


def resampled(
    positive: NDArray[np.bool_],
    p: NDArray[np.float64],
    draws: int,
    seed: int,
    groups: NDArray[np.intp] | None = None,
) -> ResampledJoints:
    """The joint and its excess on `draws` (or fewer) bootstrap resamples of rows, or of whole groups (n,).

    A resample without one of the classes, or without one of the ends of the scores, is left out. O(draws · n).
    """
    joints, beyond, ends = [], [], _ends(p)
    rng = stream(seed, "noise model")
    size = max(1, WEIGHTS_AT_ONCE // len(p))
    for start in range(0, draws, size):
        drawn = drawn_counts(rng, len(p), min(size, draws - start), groups)
        weights = drawn[(_sums(drawn, ~positive, positive, *ends) > 0).all(axis=1)]
        joints.append(_joints(positive, p, weights))
        beyond.append(_excess(joints[-1], positive, ends, weights))
    return ResampledJoints(np.concatenate(joints), np.concatenate(beyond))


def _ends(p: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    low, high = np.quantile(p, [SUREST, 1 - SUREST])
    return p <= low, p >= high


def _excess(
    joints: NDArray[np.float64],
    positive: NDArray[np.bool_],
    ends: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    low, high = ends
    sums = _sums(weights, low & positive, high & ~positive, low, high)
    totals = joints.sum(axis=1)
    by_joint = joints[:, 1, 0] / totals[:, 0] + joints[:, 0, 1] / totals[:, 1]
    return np.asarray(by_joint - sums[:, 0] / sums[:, 2] - sums[:, 1] / sums[:, 3])


def _joints(positive: NDArray[np.bool_], p: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Joints (b, 2, 2) of weighted rows: every row of the counts scaled to the share of its weak class."""
    counts = _counts(positive, p, weights)
    diagonal = np.einsum("bii->bi", counts)
    np.maximum(diagonal, 1, out=diagonal)  # at least one right row a class (cleanlab's), so that no row of it is empty
    sizes = _sums(weights, ~positive, positive)
    share = sizes / sizes.sum(axis=1, keepdims=True)
    return np.asarray(counts / counts.sum(axis=2, keepdims=True) * share[:, :, None])


def _counts(positive: NDArray[np.bool_], p: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    q = 1 - p
    sizes = _sums(weights, ~positive, positive)
    means = _sums(weights, q * ~positive, p * positive) / sizes
    reached_0, reached_1 = q >= means[:, :1] - SLACK, p >= means[:, 1:] - SLACK
    as_1 = reached_1 & (~reached_0 | (p > q))
    as_0 = reached_0 & ~as_1
    return np.stack([_sums(weights * guess, ~positive, positive) for guess in (as_0, as_1)], axis=2)


def _sums(weights: NDArray[np.float64], *values: NDArray[Any]) -> NDArray[np.float64]:
    """Weighted sums (b, k) of k values a row. Not by BLAS, whose threads take longer to wake than this takes."""
    return np.asarray(np.einsum("bn,kn->bk", weights, np.stack(values).astype(np.float64)))
