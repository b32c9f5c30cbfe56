"""Exhaustive search whose rough distances are settled afterwards; the rough ones come from faiss, or from a GPU."""

from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from ..progress import report
from .final_order import SearchRows, settled

SPARE = 8  # candidates searched beyond k, so that rounding at the k-th place can usually be settled among them
BLOCK = 1 << 24  # candidates or numbers held at once
REPORTED = 1 << 14  # queries at most between two reports
ROWS_SEARCHED = "rows whose neighbours are found"  # as progress calls them


class RoughIndex(Protocol):
    """An index that finds candidates among the rows that it was made from."""

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Squared distances (m, k), ascending, and rows (m, k) of the k nearest to each query (m, d)."""


def faiss_index(rows: NDArray[np.float32]) -> RoughIndex:
    """faiss's own exhaustive index, on the processor."""
    index: Any = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    return index  # type: ignore[no-any-return]


class FlatSearch:
    """The k nearest of the rows (n, d) to queries (m, d), by an index of the rows without a center (d,).

    `squares` (m,) are the queries' squared norms without it, and `largest` is the norm of the longest row.
    """

    def __init__(
        self,
        rows: SearchRows,
        center: NDArray[np.float32],
        squares: NDArray[np.float64],
        largest: float,
        index: RoughIndex,
    ) -> None:
        self.rows, self.center, self.index = rows, center, index
        self.n = len(rows.base)
        self.norms, self.largest = np.sqrt(squares), largest

    def run(
        self,
        asked: NDArray[np.intp],
        among_themselves: bool,
        indices: NDArray[np.int64],
        distances: NDArray[np.float64],
    ) -> None:
        """Write the neighbours (m, k) of the queries `asked` and their squared distances, in the rows' unit.

        With `among_themselves`, queries are the rows themselves, left out. A query about which rounding leaves a doubt
        is searched again among more candidates: few are, unless distances differ by less than rounding of the norms.
        """
        queries, k = self.rows.queries, indices.shape[1]
        found, width = len(queries) - len(asked), min(self.n, k + among_themselves + SPARE)
        while len(asked):
            unsettled = []
            step = max(1, min(REPORTED, BLOCK // max(width, queries.shape[1])))
            for part in (asked[start : start + step] for start in range(0, len(asked), step)):
                candidates, far, reach = self._candidates(part, width, among_themselves)
                indices[part], distances[part] = candidates[:, :k], far[:, :k]
                # A row beyond the candidates could still tie with, or in truth precede, the k-th.
                doubtful = far[:, k - 1] * (1 + self.rows.blur) >= reach
                unsettled.append(part[doubtful & (width < self.n)])
                settled_now = len(part) - len(unsettled[-1])
                if settled_now:
                    found += settled_now
                    report(ROWS_SEARCHED, found, len(queries))
            asked = np.concatenate(unsettled)
            width = min(self.n, 4 * width)

    def _candidates(
        self, query: NDArray[np.intp], width: int, among_themselves: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """`width` candidates of some queries in final order, self last, and their distances.

        Beside them, for each of these queries, the distance below which no row outside the candidates lies.
        """
        rough, candidates = self.index.search(self.rows.queries[query] - self.center, width)
        last = rough[:, -1].astype(np.float64)
        # Rounding of the expansion |q|² + |x|² - 2 q·x grows with the norms. Only rows about as near as the last
        # candidate matter, and by the triangle inequality none of those is longer than |q| + its distance. sqrt(d)
        # is how errors of independent sign add up; the largest seen, on 16 to 8192 dimensions with outliers, was
        # .9 of it.
        norms = self.norms[query]
        longest = np.minimum(self.largest, norms + np.sqrt(np.maximum(2 * last, 0)))
        error = 2 * np.finfo(np.float32).eps * np.sqrt(len(self.center)) * (norms**2 + longest**2)
        far = self.rows.direct(np.repeat(query, width), candidates.ravel()).reshape(candidates.shape)
        if among_themselves:
            far[candidates == query[:, None]] = np.inf
        return *settled(self.rows, query, candidates, far), last - error - 4 * self.rows.lost
