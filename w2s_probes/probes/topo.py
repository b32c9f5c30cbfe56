"""TopoFilter's parts (Wu et al. 2020, "A Topological Filter for Learning with Label Noise"): TopoCC and its probe."""

from functools import cached_property
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ..errors import InputError, did_you_mean
from ..memory_limit import empty_rows
from ..neighbors import Neighbors, as_int, first_of, mean_over, nearest, search, search_some
from ..randomness import stream
from ..rows.groups import group_numbers, most_neighbors
from ..rows.row_parts import row_parts
from ..ties import above_half
from .base import Probe
from .connectivity import Connectivity
from .validation import check_activations, soft_labels

SPARE = 16  # neighbours searched beyond what the scores average, since some are not kept
FOLDS = 5  # rows whose labels have no part in the components by which they are scored


def topo_cc(X: ArrayLike, y: ArrayLike, k: int = 50, connectivity: Connectivity = "strong") -> NDArray[np.bool_]:
    """The rows (n,) in their class's largest connected component of the k-nearest-neighbour graph.

    The directed graph of all rows X (n, d), self left out, is cut to the edges inside a class (class 1: label
    above one half). Connectivity `weak` ignores directions (the paper); `strong` asks for a directed path both
    ways (EleutherAI's variant: it drops rows that no row points to, so it removes far more at a low k); `mutual`
    keeps only edges that run both ways. Each component of `mutual` lies in one of `strong`, and each of those in
    one of `weak`; the largest ones need not nest. Of components of equal size the one with the lowest row is kept.
    """
    matrix = check_activations(X)
    p, _ = soft_labels(y, len(matrix))
    return components(nearest(matrix, k).indices, above_half(p), connectivity)


def components(
    neighbors: NDArray[np.int64],
    positive: NDArray[np.bool_],
    connectivity: Connectivity,
    among: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """`topo_cc` on a given graph: neighbour indices (n, k) and the class of each row (n,).

    With `among` (n,) on the part of the graph between those rows: the others are in no component, and their classes
    are not looked at.
    """
    if connectivity not in get_args(Connectivity):
        raise InputError(f"connectivity={connectivity!r}: {did_you_mean(connectivity, get_args(Connectivity))}")
    n, k = neighbors.shape
    rows_among = np.ones(n, dtype=bool) if among is None else among
    counts, targets = np.zeros(n + 1, dtype=np.int64), []
    for part in row_parts(n, k):
        target = neighbors[part]
        inside = (positive[target] == positive[part, None]) & rows_among[target] & rows_among[part, None]
        counts[part.start + 1 : part.stop + 1] = inside.sum(axis=1)
        targets.append(target[inside].astype(np.int32 if n < 1 << 31 else np.int64))
    ends = np.cumsum(counts)
    edges = csr_array((np.ones(ends[-1], dtype=np.int8), np.concatenate(targets), ends), shape=(n, n))
    del targets
    if connectivity == "mutual":
        edges = edges.multiply(edges.T)
    kind = "strong" if connectivity == "strong" else "weak"
    _, component = connected_components(edges, directed=True, connection=kind)
    kept = np.zeros(n, dtype=bool)
    for side in (False, True):
        rows = np.flatnonzero((positive == side) & rows_among)
        if len(rows):
            names, first, sizes = np.unique(component[rows], return_index=True, return_counts=True)
            largest = names[np.lexsort((first, -sizes))[0]]
            kept |= component == largest  # edges never leave a class, so neither does a component
    return kept


class TopoProbe(Probe):
    """P(label = 1) is the mean soft label of the k_zeta nearest rows among those that TopoCC keeps.

    One search serves the components and the rows' neighbours among those kept; only rows with too few of these in
    it are searched again. `out_of_sample_` (n,) scores each training row by components that its label had no part in:
    rows are dealt to `FOLDS` folds, those that share a number in `group_ids` to one, and those of a fold scored by the
    components of the graph's edges among the others, which are on average four fifths of k_cc a row: at a low k_cc such
    components are smaller than `core_`. `core_scores_` rest on `core_`, for which a row's own label picks its
    neighbours: on labels that are pure noise their AUROC is .55 at k = 5 (.51 at 20, ½ at 50) and 400 to 2,000 rows.

    >>> X = [[0.0], [0.1], [0.2], [5.0], [5.1], [5.2], [9.0]]
    >>> TopoProbe(k_cc=1, k_zeta=1, connectivity="weak").fit(X, [0, 0, 0, 1, 1, 1, 0]).core_.tolist()
    [True, True, True, True, True, True, False]
    """

    def __init__(
        self, k_cc: int = 50, k_zeta: int = 50, connectivity: Connectivity = "strong", index: str = "exact"
    ) -> None:
        self.k_cc = k_cc  # neighbours in the graph whose components are taken
        self.k_zeta = k_zeta  # neighbours, among the rows kept, that a score averages
        self.connectivity = connectivity
        self.index = index  # as KNNProbe's

    @classmethod
    def with_value(cls, value: float, **options: Any) -> Self:
        """A probe with this number of neighbours in the components and in the scores."""
        return cls(int(value), int(value), **options)

    def fit(
        self, X: ArrayLike, y: ArrayLike, group_ids: ArrayLike | None = None, graph: Neighbors | None = None
    ) -> Self:
        """Learn from activations X (n, d) and labels y (n,).

        Rows that share a number in `group_ids` (n,) (`rows.groups.group_ids`) are not neighbours, in the components
        as in the scores. `graph`: the neighbours of these rows, searched before with the same `group_ids`, k_cc or
        more each; from `graph_k` on hardly a row is searched again.
        """
        self.X_, self.p_ = self._read(X, y)
        self.group_ids_ = group_numbers(group_ids, len(self.X_))
        for searched in ("graph_", "core_neighbors_", "out_of_sample_"):
            self.__dict__.pop(searched, None)
        if as_int(self.k_cc, "k_cc") < 1 or as_int(self.k_zeta, "k_zeta") < 1:
            raise InputError(f"k_cc={self.k_cc} and k_zeta={self.k_zeta} must be at least 1")
        if graph is not None:
            graph.refuse_other(len(self.X_), self.k_cc, self.group_ids_)
            self.__dict__["graph_"] = graph
        self.core_ = components(self.graph_.first(self.k_cc), above_half(self.p_), self.connectivity)
        self._refuse_few(self.core_, len(self.X_))
        return self

    def _refuse_few(self, core: NDArray[np.bool_], rows: int) -> None:
        if core.sum() <= self.k_zeta:
            raise InputError(
                f"k_zeta={self.k_zeta} needs at least {self.k_zeta + 1} rows in the components, but TopoCC "
                f"(k_cc={self.k_cc}, {self.connectivity}) kept {core.sum()} of {rows}: lower k_zeta, raise k_cc or use "
                "weak connectivity"
            )

    @property
    def graph_k(self) -> int:
        """Neighbours a row to search: k_zeta of them are then nearly always among the rows kept of other folds."""
        return max(self.k_cc, self.k_zeta + self.k_zeta // 2 + SPARE)

    @cached_property
    def graph_(self) -> Neighbors:
        """The neighbours of the training rows, as given or searched."""
        # k_cc at least, so that too few rows are refused by that.
        k = max(self.k_cc, min(self.graph_k, most_neighbors(self.group_ids_, len(self.X_))))
        return search(self.X_, k, group_ids=self.group_ids_, index=self.index)

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        neighbors = search(self.X_[self.core_], self.k_zeta, X, index=self.index, inner=True)
        return np.asarray(mean_over(self.p_[self.core_], neighbors.indices))

    def score_near(self, X: ArrayLike, nearest: Neighbors) -> NDArray[np.float64]:
        """P(second class) (m,) of rows X (m, d) from their nearest training rows, searched before.

        Rows with fewer than k_zeta of these in the components are searched again, among the components alone.
        """
        matrix = self._checked(X)
        nearest.refuse_other_rows(len(matrix), len(self.p_))
        kept = self.core_[nearest.indices]
        scores, enough = np.empty(len(matrix)), kept.sum(axis=1) >= self.k_zeta
        scores[enough] = mean_over(self.p_, first_of(nearest, kept, self.k_zeta).indices[enough])
        if not enough.all():
            scores[~enough] = self._score(matrix[~enough])
        return scores

    @cached_property
    def core_neighbors_(self) -> NDArray[np.int64]:
        """For each training row its k_zeta nearest rows (n, k_zeta) among those kept, never itself."""
        return self._neighbors(np.arange(len(self.X_)), self.core_)

    @property
    def core_scores_(self) -> NDArray[np.float64]:
        """As TopoFilter scores a training row (n,): by its neighbours among the rows kept of all, without itself."""
        return np.asarray(mean_over(self.p_, self.core_neighbors_))

    @cached_property
    def out_of_sample_(self) -> NDArray[np.float64]:
        """P(label = 1) of each training row (n,) from its neighbours among the rows kept of the other folds.

        On labels that are pure noise their AUROC is a little under ½, as kNN's. InputError where the others of a fold
        keep too few rows for k_zeta.
        """
        ids = np.arange(len(self.X_)) if self.group_ids_ is None else self.group_ids_
        fold = stream(0, "topo folds").permutation(int(ids.max()) + 1)[ids] % FOLDS
        scores = np.empty(len(self.X_))
        for number in range(FOLDS):
            rows = np.flatnonzero(fold == number)
            core = components(self.graph_.first(self.k_cc), above_half(self.p_), self.connectivity, fold != number)
            if len(rows):
                self._refuse_few(core, len(self.X_) - len(rows))
                scores[rows] = mean_over(self.p_, self._neighbors(rows, core))
        return scores

    def _neighbors(self, rows: NDArray[np.intp], core: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The k_zeta rows of a core that are nearest to each of some rows (r, k_zeta)."""
        indices = empty_rows((len(rows), self.k_zeta), np.int64)
        enough = np.empty(len(rows), dtype=bool)
        for part in row_parts(len(rows), self.graph_.k):
            graph = Neighbors(self.graph_.indices[rows[part]], self.graph_.distances[rows[part]])
            kept = core[graph.indices]
            nearest = first_of(graph, kept, self.k_zeta).indices
            indices[part, : nearest.shape[1]] = nearest
            enough[part] = kept.sum(axis=1) >= self.k_zeta
        short = np.flatnonzero(~enough)
        if len(short):
            inside = np.flatnonzero(core)
            indices[short] = search_some(
                self.X_, rows[short], self.k_zeta, among=inside, group_ids=self.group_ids_
            ).indices
        return indices
