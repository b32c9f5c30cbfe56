"""A measure that is to foretell what weak labels will teach: its value, interval, status, and what it has read."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..metrics.intervals import NO_ESTIMATE, Estimate

Needs = Literal["no labels", "weak labels", "truth"]
OK = "ok"
NO_TRUTH = "no truth: give that of some rows"
NO_STORE = "no representation of the supervisor: give its store"
ONE_GROUP = "no interval: the rows are one group"
ALIKE = "no interval: all rows, or blocks of rows, say the same"
GONE = "no interval: without some of the rows there is nothing to measure"
SAME = 1e-12  # an error below is 0 but for rounding


@dataclass(frozen=True)
class Foretold:
    """A measure of n rows.

    >>> print(Foretold("misfit", Estimate(0.031, 0.028, 0.034), "weak labels", 1000))
    misfit 0.031 [0.028, 0.034]
    """

    measure: str
    estimate: Estimate  # NaN where it is not defined; 95 %
    needs: Needs  # what it has read
    n: int  # rows that it is of
    status: str = OK  # or why there is no number, or no interval
    chance: float = math.nan  # the same of permuted labels, or permuted rows: the mean of a few draws
    draws: int = 0  # permutations that `chance` is the mean of

    @property
    def is_known(self) -> bool:
        """Whether there is a number."""
        return not math.isnan(self.estimate.value)

    @property
    def is_given(self) -> bool:
        """Whether what it reads was given, so that it could have a number."""
        return self.status not in (NO_TRUTH, NO_STORE)

    def __str__(self) -> str:
        return f"{self.measure} {self.estimate:.3f}" if self.is_known else f"{self.measure}: {self.status}"


def unknown(measure: str, needs: Needs, n: int, status: str) -> Foretold:
    """A measure without a number, and why."""
    return Foretold(measure, NO_ESTIMATE, needs, n, status)


def known(
    measure: str,
    estimate: Estimate,
    needs: Needs,
    n: int,
    groups: NDArray[np.intp] | None = None,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Foretold:
    """A measure of n rows with its number, and its interval cut to the values that there are, `within`.

    No interval where the rows are of one group (n,), and where nothing varies over rows: an interval without width
    would say that the number is certain, where it is seen only that no row, or block of rows, would have changed it.
    """
    if math.isnan(estimate.low):
        alone = n < 2 or (groups is not None and len(np.unique(groups)) < 2)
        return Foretold(measure, estimate, needs, n, ONE_GROUP if alone else GONE)
    if estimate.error < SAME:
        return Foretold(measure, without_interval(estimate.value), needs, n, ALIKE)
    ends = np.clip([estimate.low, estimate.high], *within)
    return Foretold(measure, replace(estimate, low=float(ends[0]), high=float(ends[1])), needs, n)


def without_interval(value: float) -> Estimate:
    """A number of which no interval was asked for."""
    return Estimate(value, math.nan, math.nan)


def blocks_of(groups: NDArray[np.intp] | None, rows: int, blocks: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The block (n,) of each row, about equally many rows in each; rows of one group (n,) are in one block.

    Fewer blocks than asked for where there are fewer groups.
    """
    numbers = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    sizes = np.bincount(numbers)
    count = min(blocks, len(sizes))
    order = rng.permutation(len(sizes))
    if sizes.max(initial=1) > 1:  # large groups first, each into the emptiest block
        order = order[np.argsort(-sizes[order], kind="stable")]
        filled, block = np.zeros(count), np.empty(len(sizes), dtype=np.intp)
        for group in order:
            block[group] = filled.argmin()
            filled[block[group]] += sizes[group]
    else:
        block = np.empty(len(sizes), dtype=np.intp)
        block[order] = np.arange(len(sizes)) % count
    return np.asarray(block[numbers])
