"""A measure that is to foretell what weak labels will teach: its value, interval, status, and what it has read."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..metrics.intervals import NO_ESTIMATE, Estimate

Needs = Literal["no labels", "weak labels", "truth"]
OK = "ok"
ONE_GROUP = "no interval: the rows are one group"


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

    def __str__(self) -> str:
        return f"{self.measure} {self.estimate:.3f}" if self.is_known else f"{self.measure}: {self.status}"


def unknown(measure: str, needs: Needs, n: int, status: str) -> Foretold:
    """A measure without a number, and why."""
    return Foretold(measure, NO_ESTIMATE, needs, n, status)


def known(measure: str, estimate: Estimate, needs: Needs, n: int) -> Foretold:
    """A measure with its number, and with an interval where the rows are of more than one group."""
    return Foretold(measure, estimate, needs, n, ONE_GROUP if math.isnan(estimate.low) else OK)


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
