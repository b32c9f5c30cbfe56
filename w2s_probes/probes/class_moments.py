"""The means of two soft classes and what is left of each row around them, in float64 about the mean of all rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[np.float64]
BLOCK = 1 << 20  # numbers of the rows that are taken at once
CACHED = 1 << 16  # numbers taken at once where each is used but a few times: in float64 a core's own cache holds them
EQUAL = 1e-13  # of the largest number: differences of means below that are rounding
NONE_LEFT = 1e-9  # rows of a class: less than that is none, to rounding


@dataclass(frozen=True, eq=False)
class ClassMoments:
    """Row i of X (n, d) is of class 1 with the weight p[i], of class 0 with the rest.

    Vectors are less the mean of all rows, so that large means cancel nothing.
    """

    X: NDArray[np.float32]  # (n, d)
    p: Array  # (n,)
    centre: Array  # (d,)
    means: Array  # (2, d) of the classes
    weights: Array  # (2,) their rows, in all n
    scale: float  # the largest number of X; 1 where all are 0

    @classmethod
    def of(cls, X: NDArray[np.float32], p: Array) -> "ClassMoments":
        """The moments of rows X (n, d) with labels p (n,); InputError where the means of the classes are equal."""
        members = np.stack([1 - p, p])
        weights = members.sum(axis=1)
        sums, largest, near = np.zeros((2, X.shape[1])), 0.0, None
        for part in _parts(len(X), X.shape[1], CACHED):
            rows = X[part].astype(np.float64)
            if near is None:
                near = rows.mean(axis=0)  # near enough to the centre for sums around it to cancel nothing
            largest = max(largest, float(X[part].max()), -float(X[part].min()))
            rows -= near
            sums += members[:, part] @ rows
        aside = sums.sum(axis=0) / len(X)
        moments = cls(X, p, near + aside, sums / weights[:, None] - aside, weights, largest or 1.0)
        if np.abs(moments.difference).max() <= EQUAL * moments.scale:
            raise InputError(
                f"the means of both classes are equal over these {len(X)} rows, so no direction lies between them: "
                "choose another layer, or another probe"
            )
        return moments

    @property
    def difference(self) -> Array:
        """Mean of class 1 less mean of class 0 (d,)."""
        return np.asarray(self.means[1] - self.means[0])

    @property
    def prior(self) -> float:
        """The log-odds of class 1 among the rows."""
        return float(np.log(self.weights[1] / self.weights[0]))

    @cached_property
    def spread(self) -> float:
        """Σ p (1 - p): what a row's two halves lie apart, of which only soft labels have any."""
        return float((self.p * (1 - self.p)).sum())

    def rows(self, places: NDArray[np.intp] | slice) -> Array:
        """Some rows (m, d) about the mean of all."""
        rows = self.X[places].astype(np.float64)
        rows -= self.centre
        return rows

    def residuals(self, places: NDArray[np.intp] | slice) -> Array:
        """Some rows (m, d) less the mean of the classes that each is of, in its shares.

        The scatter within the classes is the sum of their squares and `spread` times that of `difference`: sums of
        squares alone, in which nothing cancels.
        """
        p, rows = self.p[places], self.rows(places)
        rows -= np.stack([1 - p, p], axis=1) @ self.means
        return rows

    def parts(self, numbers: int = BLOCK) -> Iterator[slice]:
        """All rows, some at once: at most so many numbers, and a row at least."""
        return _parts(len(self.X), self.X.shape[1], numbers)


@dataclass(frozen=True, eq=False)
class TakenOut:
    """Groups of rows, each taken out of the classes by itself; g groups of m rows in all.

    All that moves lies in the span of the group's rows and of the difference u of the means: without the group the
    difference is (1 + beta) u + Σ alpha x (row less the mean of class 1).
    """

    rows: NDArray[np.intp]  # (m,) places of the rows, group by group
    starts: NDArray[np.intp]  # (g,) where each group begins
    p: Array  # (m,)
    around: Array  # (m, d) the rows less the mean of class 1; u more, and they are around that of class 0
    left: Array  # (2, g) the weight of each class without the group
    alpha: Array  # (m,)
    beta: Array  # (g,)

    @property
    def alone(self) -> bool:
        """Whether every row is a group by itself."""
        return len(self.starts) == len(self.rows)

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Rows of each group (g,)."""
        return np.diff(self.starts, append=len(self.rows))

    @property
    def of_rows(self) -> NDArray[np.intp]:
        """The group (m,) of each row."""
        return np.repeat(np.arange(len(self.starts)), self.sizes)

    def total(self, values: Array) -> Array:
        """The sums of values (..., m) over each group, (..., g)."""
        return totals(values, self.starts)


def left_out(moments: ClassMoments, ids: NDArray[np.intp]) -> Iterator[TakenOut]:
    """Every group of equal codes `ids` (n,), some groups at once; InputError where it is all that is of a class."""
    order = np.argsort(ids, kind="stable").astype(np.intp)
    starts = np.flatnonzero(np.diff(ids[order], prepend=ids[order[0]] - 1)).astype(np.intp)
    ends = np.append(starts[1:], len(order))
    most, first = max(1, BLOCK // moments.X.shape[1]), 0
    while first < len(starts):
        # As many whole groups as fit, one at least.
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + most, side="right")))
        yield _taken(moments, order[starts[first] : ends[last - 1]], starts[first:last] - starts[first])
        first = last


def _taken(moments: ClassMoments, rows: NDArray[np.intp], starts: NDArray[np.intp]) -> TakenOut:
    p = moments.p[rows]
    members = np.stack([1 - p, p])
    taken = totals(members, starts)
    left = moments.weights[:, None] - taken
    for number, least in enumerate(left.min(axis=1)):
        if least <= NONE_LEFT:
            row = int(rows[starts[int(left[number].argmin())]])
            raise InputError(
                f"without row {row} and those equal or related to it no row of class {number} is left: "
                "give more rows of that class"
            )
    shares = members / np.repeat(left, np.diff(starts, append=len(rows)), axis=1)
    around = moments.rows(rows) - moments.means[1]
    return TakenOut(rows, starts, p, around, left, shares[0] - shares[1], taken[0] / left[0])


def totals(values: Array, starts: NDArray[np.intp]) -> Array:
    """Sums of values (..., m) over groups that begin at `starts` (g,)."""
    alone = len(starts) == values.shape[-1]
    return values if alone else np.asarray(np.add.reduceat(values, starts, axis=-1))


def _parts(rows: int, width: int, numbers: int) -> Iterator[slice]:
    step = max(1, numbers // width)
    return (slice(start, start + step) for start in range(0, rows, step))
