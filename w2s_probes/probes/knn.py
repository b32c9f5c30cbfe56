"""k nearest neighbours: the mean soft label of the k rows whose activations are closest."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..neighbors import Neighbors, as_int, mean_over, search
from ..rows.groups import group_ids, group_numbers
from .base import Probe
from .validation import check_activations, soft_labels


@dataclass(frozen=True, repr=False)
class NeighborPath:
    """kNN at several k on the same rows, from one search.

    >>> path = KNNProbe.path([[0.0], [1.0], [2.0], [9.0], [10.0], [11.0]], [0, 0, 0, 1, 1, 1], k=[1, 5])
    >>> path.best, path.loss.round(2).tolist()
    (1, [0.0, 0.36])
    """

    k: NDArray[np.int64]  # (K,) as asked for
    out_of_sample: NDArray[np.float64]  # (K, n) P(label = 1) of each row from others that are not related to it
    loss: NDArray[np.float64]  # (K,) mean squared difference to the weak labels, out of sample

    @property
    def best(self) -> int:
        """The k of lowest loss: chosen by weak labels, never by truth."""
        return int(self.k[np.argmin(self.loss)])

    def to_frame(self) -> pd.DataFrame:
        """`k` and `loss`, a row each."""
        return pd.DataFrame({"k": self.k, "loss": self.loss})

    def __repr__(self) -> str:
        return f"NeighborPath({len(self.k)} values of k from {min(self.k)} to {max(self.k)}, best {self.best})"

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>{self.to_frame().to_html(index=False, float_format='{:.4f}'.format)}"


class KNNProbe(Probe):
    """P(label = 1) is the mean soft label of the k nearest training rows (Euclidean, exact).

    Scoring m rows against n costs one search, O(m n d). `out_of_sample_` (n,) scores each training row without
    itself; `predict_proba` on a training row counts that row as its own nearest neighbour, which is how the
    published study scored, and near-perfect by construction at small k.

    >>> probe = KNNProbe(k=2).fit([[0.0], [1.0], [2.0], [9.0]], [0.0, 0.2, 0.4, 1.0])
    >>> probe.out_of_sample_.round(2).tolist()  # each row by its two nearest others
    [0.3, 0.2, 0.1, 0.3]
    """

    def __init__(self, k: int = 50, index: str = "exact") -> None:
        self.k = k  # neighbours; at most n - 1
        self.index = index  # "exact", a torch device such as "cuda" (exact too), or a faiss factory string

    @property
    def graph_k(self) -> int:
        """Neighbours a row to search."""
        return self.k

    def fit(
        self, X: ArrayLike, y: ArrayLike, group_ids: ArrayLike | None = None, graph: Neighbors | None = None
    ) -> Self:
        """Learn from activations X (n, d) and labels y (n,).

        Rows that share a number in `group_ids` (n,) (`rows.groups.group_ids`) are not among each other's neighbours in
        `out_of_sample_`. `graph`: the neighbours of these rows, searched before (`neighbors.search`), with k or more.
        """
        self.X_, self.p_ = self._read(X, y)
        self.group_ids_ = group_numbers(group_ids, len(self.X_))
        self.__dict__.pop("neighbors_", None)
        # Refuses a k that the rows cannot serve before anything is searched.
        search(self.X_[: as_int(self.k, "k") + 1], self.k)
        if graph is not None:
            graph.refuse_other(len(self.X_), self.k, self.group_ids_)
            self.__dict__["neighbors_"] = graph
        return self

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return mean_over(self.p_, search(self.X_, self.k, X, index=self.index).indices)

    def score_near(self, X: ArrayLike, nearest: Neighbors) -> NDArray[np.float64]:
        """P(second class) (m,) of rows X (m, d) from k or more nearest training rows, searched before."""
        nearest.refuse_other_rows(len(self._checked(X)), len(self.p_))
        return mean_over(self.p_, nearest.first(self.k))

    @cached_property
    def neighbors_(self) -> Neighbors:
        """The graph of the training rows, each without itself; searched when first asked for."""
        return search(self.X_, self.k, group_ids=self.group_ids_, index=self.index)

    @property
    def out_of_sample_(self) -> NDArray[np.float64]:
        """P(label = 1) of each training row (n,) from its neighbours, without itself.

        The other labels make up for the balance that a row's own leaves: on labels that are pure noise the AUROC is
        under ½ where k is not small beside n, .49 at k = 50 and 400 rows, .43 at 100 (docs/probes.md).
        """
        return mean_over(self.p_, self.neighbors_.first(self.k))

    @classmethod
    def path(
        cls,
        X: ArrayLike,
        y: ArrayLike,
        *,
        k: Sequence[int],
        index: str = "exact",
        groups: ArrayLike | None = None,
        graph: Neighbors | None = None,
    ) -> NeighborPath:
        """Every k at once, out of sample, on activations X (n, d) and labels y (n,): one search, for the largest.

        A row's exact duplicates and its group (`groups` (n,)) are not among its neighbours. `graph` is as for `fit`.
        """
        if not len(k):
            raise InputError("k is empty: give at least one number of neighbours")
        numbers = [as_int(value, "k") for value in k]
        matrix = check_activations(X)
        p, _ = soft_labels(y, len(matrix))
        ids = group_ids(matrix, groups)
        if graph is None:
            graph = search(matrix, max(numbers), group_ids=ids, index=index)
        graph.refuse_other(len(matrix), max(numbers), ids)
        scores = graph.means(p, numbers)
        return NeighborPath(np.array(numbers), scores, ((scores - p) ** 2).mean(axis=1))
