"""Labels smoothed on the neighbour graph (Zhou et al. 2004, "Learning with local and global consistency")."""

import math
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, diags_array, eye_array
from scipy.sparse.linalg import cg

from ..errors import InputError
from ..neighbors import Neighbors, as_int, mean_over, search
from ..neighbors.symmetric import symmetric_edges
from ..randomness import stream
from ..rows.groups import group_numbers
from ..ties import above_half
from .base import Probe
from .connectivity import refuse_alpha

ALPHA = 0.9
FOLDS = 5  # rows whose labels are hidden from the scores that they get
TOLERANCE = 1e-10  # of conjugate gradients, times α^HOPS: the residual's norm beside that of the right-hand side
HOPS = 6  # a label that comes over h edges weighs some α^h: one that has come over so many is heard
SMALLEST = float(np.finfo(np.float64).tiny)


class GraphProbe(Probe):
    """P(label = 1) by labels that have spread over the k-nearest-neighbour graph.

    F = (1 - α)(I - αS)⁻¹Y (Zhou et al. 2004), Y = [1 - y, y] a column for each class, S = D^-½ W D^-½ the normalised
    graph: W is 1 where either row is among the k nearest of the other. A row's score is F₁ / (F₀ + F₁), a mean of
    labels in [0, 1] whose side of ½ is the published class. New rows have the mean score of the k nearest training
    rows (Delalleau et al. 2005, "Efficient non-parametric function induction in semi-supervised learning", of equal
    weights). At α near 0 a row hears itself and its neighbours, at α near 1 all rows that a path leads to.

    Solved by conjugate gradients to a residual of α⁶ `TOLERANCE`: I - αS has eigenvalues from 1 - α to 1 + α, so that
    iterations grow with (1 - α)^-½, some 45 at α = .9; O(n k) each, beside a search of O(n² d).

    >>> probe = GraphProbe(k=1).fit([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]], [0.2, 0.0, 0.1, 1.0, 0.7, 0.9])
    >>> probe.predict([[0.3], [4.0]]).tolist()
    [0, 1]
    """

    def __init__(self, k: int = 15, alpha: float = ALPHA, index: str = "exact") -> None:
        self.k = k  # neighbours of each row in the graph; at most n - 1
        self.alpha = alpha  # of a row's score what comes from its neighbours, in (0, 1)
        self.index = index  # as KNNProbe's

    @property
    def graph_k(self) -> int:
        """Neighbours a row to search."""
        return self.k

    def fit(
        self, X: ArrayLike, y: ArrayLike, group_ids: ArrayLike | None = None, graph: Neighbors | None = None
    ) -> Self:
        """Learn from activations X (n, d) and labels y (n,).

        Rows that share a number in `group_ids` (n,) (`rows.groups.group_ids`) are joined by no edge of their own, and
        none of their labels reaches another's `out_of_sample_`. `graph`: the neighbours of these rows, searched before
        with the same `group_ids`, k or more each.
        """
        self.X_, self.p_ = self._read(X, y)
        self.group_ids_ = group_numbers(group_ids, len(self.X_))
        refuse_alpha(self.alpha)
        for made in ("graph_", "smoothed_", "out_of_sample_"):
            self.__dict__.pop(made, None)
        # Refuses a k that the rows cannot serve before anything is searched.
        search(self.X_[: as_int(self.k, "k") + 1], self.k)
        if graph is not None:
            graph.refuse_other(len(self.X_), self.k, self.group_ids_)
            self.__dict__["graph_"] = graph
        return self

    @cached_property
    def graph_(self) -> Neighbors:
        """The neighbours of the training rows, as given or searched."""
        return search(self.X_, self.k, group_ids=self.group_ids_, index=self.index)

    @cached_property
    def smoothed_(self) -> NDArray[np.float64]:
        """The score of each training row (n,) by all labels, its own among them."""
        known = np.ones((len(self.p_), 1), dtype=bool)
        return spread(self.graph_.first(self.k), self.p_, known, self.alpha)[:, 0]

    @cached_property
    def out_of_sample_(self) -> NDArray[np.float64]:
        """P(label = 1) of each training row (n,) by labels of the other folds, which spread over the whole graph.

        Rows are dealt to `FOLDS` folds, each class evenly, those that share a number in `group_ids` to one. The labels
        of a fold are hidden while its rows are scored, so that a row's own comes back to it by no path.
        """
        ids = np.arange(len(self.p_)) if self.group_ids_ is None else self.group_ids_
        return out_of_fold(self.graph_.first(self.k), self.p_, ids, self.alpha)

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return mean_over(self.smoothed_, search(self.X_, self.k, X, index=self.index).indices)

    def score_near(self, X: ArrayLike, nearest: Neighbors) -> NDArray[np.float64]:
        """P(second class) (m,) of rows X (m, d) from k or more nearest training rows, searched before."""
        nearest.refuse_other_rows(len(self._checked(X)), len(self.p_))
        return mean_over(self.smoothed_, nearest.first(self.k))


def out_of_fold(
    neighbors: NDArray[np.int64], p: NDArray[np.float64], ids: NDArray[np.intp], alpha: float
) -> NDArray[np.float64]:
    """The score (n,) of each row on a graph (n, k) by labels p (n,) of other folds; equal `ids` share one."""
    sizes = np.bincount(ids)
    positive = above_half(np.bincount(ids, weights=p) / np.maximum(sizes, 1))
    order = np.lexsort((stream(0, "graph folds").permutation(len(sizes)), positive, -sizes))  # large groups first
    place = np.empty(len(sizes), dtype=np.intp)
    place[order] = np.arange(len(sizes)) % FOLDS
    used, fold = np.unique(place[ids], return_inverse=True)
    known = fold[:, None] != np.arange(len(used))
    return spread(neighbors, p, known, alpha)[np.arange(len(p)), fold]


def spread(
    neighbors: NDArray[np.int64], p: NDArray[np.float64], known: NDArray[np.bool_], alpha: float
) -> NDArray[np.float64]:
    """F₁ / (F₀ + F₁) of every row on a graph (n, k) by labels p (n,), for each set of rows whose labels are known.

    `known` is (n, sets), and so is what comes back. A row that no known label reaches has their mean, or ½ where none
    is known. InputError where conjugate gradients do not converge.
    """
    system, n = _system(neighbors, alpha), len(p)
    scores = np.empty((n, known.shape[1]))
    for number, rows in enumerate(known.T):
        weight, toward = (_solved(system, right, alpha) for right in (rows.astype(float), np.where(rows, p, 0.0)))
        mean = float(p[rows].mean()) if rows.any() else 0.5
        scores[:, number] = np.divide(toward, weight, out=np.full(n, mean), where=weight > 0).clip(0, 1)
    return scores


def _system(neighbors: NDArray[np.int64], alpha: float) -> csr_array:
    """I - αS (n, n), S = D^-½ W D^-½ of the graph whose rows are joined where either is the other's neighbour."""
    n, edges = len(neighbors), symmetric_edges(neighbors)
    joined = csr_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n, n))
    root = diags_array(1 / np.sqrt(joined.sum(axis=1)))
    return csr_array(eye_array(n) - alpha * (root @ joined @ root))


def _solved(system: csr_array, right: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """The solution x (n,) of the system, without its factor 1 - α, which ratios do without.

    Rows that no label reaches stay exactly 0. Twice as many iterations are allowed as the condition number
    (1 + α) / (1 - α) asks for.
    """
    condition, close = math.sqrt((1 + alpha) / (1 - alpha)), max(TOLERANCE * alpha**HOPS, SMALLEST)
    most = math.ceil(condition * math.log(2 * condition / close)) + 1
    found: tuple[Any, int] = cg(system, right, rtol=close, maxiter=most)
    if found[1]:
        raise InputError(
            f"conjugate gradients have not converged in {most} iterations at alpha={alpha:g}: give a lower alpha"
        )
    return np.asarray(found[0], dtype=np.float64)
