"""The result of a search: a neighbour graph, from which the graph of every lower k can be read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..rows.row_parts import row_parts


@dataclass(frozen=True, repr=False)
class Neighbors:
    """For each of n query rows its k nearest rows, nearest first; the first columns are the graph of a lower k.

    >>> from w2s_probes.neighbors import search
    >>> graph = search(np.array([[0.0], [1.0], [3.0]]), 2)
    >>> graph
    Neighbors(3 rows, 2 neighbours each, exact)
    >>> graph.first(1).tolist()
    [[1], [0], [1]]
    """

    indices: NDArray[np.int64]  # (n, k) rows of the searched array
    distances: NDArray[np.floating]  # (n, k) squared Euclidean distances
    recall: float = 1.0  # the share of true neighbours found; below 1 only where an approximate search was asked for

    @property
    def k(self) -> int:
        """Neighbours of each row."""
        return int(self.indices.shape[1])

    def first(self, k: int) -> NDArray[np.int64]:
        """The k nearest rows of each row (n, k); InputError if the graph does not reach so far."""
        if not 1 <= k <= self.k:
            raise InputError(f"k={k}, but the graph given has {self.k} neighbours a row: make it with a higher k")
        return self.indices[:, :k]

    def refuse_other(self, rows: int, k: int, group_ids: NDArray[np.intp] | None) -> None:
        """InputError unless this can be the graph of `rows` rows, k neighbours or more each, none of its group."""
        if len(self.indices) != rows or self.indices.min() < 0 or self.indices.max() >= rows:
            raise InputError(f"the graph given is of {len(self.indices)} rows, the activations have {rows}")
        ids = np.arange(rows) if group_ids is None else group_ids
        if any((ids[self.indices[part]] == ids[part, None]).any() for part in row_parts(rows, self.k)):
            raise InputError(
                "the graph given joins rows that must be apart (a row and itself, duplicates, a group): search it with "
                "group_ids=group_ids(X, groups)"
            )
        self.first(k)

    def refuse_other_rows(self, rows: int, among: int) -> None:
        """InputError unless this can hold the nearest of `among` rows to each of `rows` others."""
        if len(self.indices) != rows or (rows and not 0 <= self.indices.min() <= self.indices.max() < among):
            raise InputError(
                f"the neighbours given are of {len(self.indices)} rows, the activations have {rows}; and {among} rows "
                "were learned from: search them with search(X_train, k, X)"
            )

    def means(self, p: NDArray[np.float64], ks: Sequence[int]) -> NDArray[np.float64]:
        """The mean of p (n,) over the k nearest rows of each row, for every k of ks: (len(ks), n).

        O(n max k) for all of them, beside a search of O(n² d).
        """
        for k in ks:
            self.first(k)
        (fixed, unit), means = _fixed(p, max(ks)), np.empty((len(ks), len(self.indices)))
        for part in row_parts(len(self.indices), max(ks)):
            sums = np.cumsum(fixed[self.indices[part, : max(ks)]], axis=1)
            for at, k in enumerate(ks):
                means[at, part] = sums[:, k - 1] / (k * unit)
        return means

    def __repr__(self) -> str:
        how = "exact" if self.recall == 1 else f"recall {self.recall:.3f}"
        return f"Neighbors({len(self.indices)} rows, {self.k} neighbours each, {how})"


def mean_over(p: NDArray[np.float64], neighbors: NDArray[np.integer]) -> NDArray[np.float64]:
    """The mean of p (n,) over the neighbours (m, k) of each row: (m,), the same in whatever order they stand."""
    k = neighbors.shape[1]
    (fixed, unit), means = _fixed(p, k), np.empty(len(neighbors))
    for part in row_parts(len(neighbors), k):
        means[part] = fixed[neighbors[part]].sum(axis=1) / (k * unit)
    return means


def _fixed(p: NDArray[np.float64], k: int) -> tuple[NDArray[np.int64], float]:
    """Numbers p (n,) as whole multiples of 1 / unit, of which k can be added up without rounding.

    Sums of floats depend on the order of the neighbours: rows of equal votes would then be told apart by rounding.
    """
    largest = float(np.abs(p).max(initial=0))
    unit = 2.0 ** (62 - max(10, k.bit_length()) - max(0, math.frexp(largest)[1]))
    return np.rint(p * unit).astype(np.int64), unit
