"""The bootstrap over test rows or their groups: counts of each row in a resample, and the AUROC of many resamples."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..randomness import stream

LEVEL = 0.95  # of every interval
WEIGHTS_AT_ONCE = 1 << 22  # resampling weights held in memory


def interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95 % of bootstrap draws."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def resamples(
    positive: NDArray[np.bool_],
    n_boot: int,
    seed: int,
    groups: NDArray[np.intp] | None = None,
    *,
    both_classes: bool = True,
) -> Iterator[NDArray[np.float64]]:
    """Blocks of resamples as counts (b, n) of how often each row was drawn; `both_classes` are in each.

    With `groups` (n,), numbered from 0, whole groups are drawn, as many as there are.
    """
    n, rng = len(positive), stream(seed, "bootstrap")
    left = n_boot
    while left:
        counts = drawn_counts(rng, n, min(left, max(1, WEIGHTS_AT_ONCE // n)), groups)
        if both_classes:
            n_pos = counts @ positive
            counts = counts[(n_pos > 0) & (n_pos < counts.sum(axis=1))]
        left -= len(counts)
        yield counts


def drawn_counts(
    rng: np.random.Generator, n: int, size: int, groups: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Counts (size, n) of how often each of n rows is drawn, with replacement, in each of `size` resamples.

    Each resample draws as many rows as there are or, with `groups` (n,) numbered from 0, as many groups.
    """
    units = n if groups is None else int(groups.max()) + 1
    drawn = rng.integers(units, size=(size, units)) + units * np.arange(size)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)
    return counts if groups is None else counts[:, groups]


@dataclass(frozen=True)
class ResampleBlock:
    """Counts of b resamples, also by class with resamples side by side, as `Ranking.auroc` reads them.

    >>> positive = np.array([True, False, False])
    >>> block = ResampleBlock.of(np.array([[1.0, 2.0, 0.0], [2.0, 0.0, 1.0]]), positive)
    >>> block.pairs
    array([2., 2.])
    """

    counts: NDArray[np.float64]  # (b, n)
    positives: NDArray[np.float64]  # (rows of the class, b) counts
    negatives: NDArray[np.float64]
    pairs: NDArray[np.float64]  # (b,) of a positive and a negative row

    @classmethod
    def of(cls, counts: NDArray[np.float64], positive: NDArray[np.bool_]) -> "ResampleBlock":
        positives, negatives = counts.T[positive], counts.T[~positive]
        return cls(counts, positives, negatives, positives.sum(axis=0) * negatives.sum(axis=0))


@dataclass(frozen=True)
class Ranking:
    """Scores sorted once, so that a resample's AUROC is a sum over its positive rows.

    The sum runs row by row over all resamples of a block, which is much faster than resample by resample and as
    exact, for counts are whole numbers.

    >>> positive = np.array([True, False, False])
    >>> block = ResampleBlock.of(np.array([[1.0, 2.0, 0.0], [2.0, 0.0, 1.0]]), positive)
    >>> Ranking.of(np.array([0.5, 0.2, 0.8]), positive).auroc(block)
    array([1., 0.])
    """

    order: NDArray[np.intp]  # (negatives,) by ascending score
    below: NDArray[np.intp]  # (positives,) negatives that score lower
    not_above: NDArray[np.intp]  # (positives,) negatives that score lower or the same

    @classmethod
    def of(cls, scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> "Ranking":
        rivals = scores[~positive]
        order = np.argsort(rivals, kind="stable")
        rivals = rivals[order]
        heights = scores[positive]
        return cls(order, np.searchsorted(rivals, heights, "left"), np.searchsorted(rivals, heights, "right"))

    def auroc(self, block: ResampleBlock) -> NDArray[np.float64]:
        """AUROC (b,) of each resample, ties counting one half."""
        lower = np.zeros((len(self.order) + 1, len(block.pairs)))  # counts of the first i negatives
        for i, row in enumerate(self.order):
            np.add(lower[i], block.negatives[row], out=lower[i + 1])
        won = np.zeros(len(block.pairs))
        for counts, below, not_above in zip(block.positives, self.below, self.not_above, strict=True):
            won += counts * (lower[below] + lower[not_above])
        return np.asarray(won / 2 / block.pairs)
