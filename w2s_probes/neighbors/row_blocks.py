"""Exhaustive search in blocks of rows: no copy of them is made, and what is held at once does not grow with them."""

import numpy as np
from numpy.typing import NDArray

from ..rows.row_parts import row_parts
from .final_order import squared_norms
from .ragged import tables

QUERIES, ROWS = 2048, 4096  # of a block of products: 32 MiB


class BlockIndex:
    """A `RoughIndex` of rows (n, d), from which `center` (d,) is taken a block at a time: they may be a memory map."""

    def __init__(self, rows: NDArray[np.float32], center: NDArray[np.float32]) -> None:
        self.rows, self.center = rows, center

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As `RoughIndex.search`, of centred queries. O(m n d), and O(m k) memory beside a block."""
        distances = np.full((len(queries), k), np.inf, dtype=np.float32)
        indices = np.full((len(queries), k), -1, dtype=np.int64)
        for asked in row_parts(len(queries), 1, QUERIES):
            squares = squared_norms(queries[asked]).astype(np.float32)
            for part in row_parts(len(self.rows), 1, ROWS):
                block = self.rows[part] - self.center
                far = queries[asked] @ block.T
                far *= -2
                far += squared_norms(block).astype(np.float32)
                far += squares[:, None]
                _merge(distances[asked], indices[asked], far, part.start)
            order = np.argsort(distances[asked], axis=1, kind="stable")
            distances[asked] = np.take_along_axis(distances[asked], order, 1)
            indices[asked] = np.take_along_axis(indices[asked], order, 1)
        return distances, indices


def _merge(distances: NDArray[np.float32], indices: NDArray[np.int64], far: NDArray[np.float32], start: int) -> None:
    """Put the distances (m, b) of rows from `start` on among the k smallest (m, k) so far, and their indices."""
    k = distances.shape[1]
    if far.shape[1] > k and np.isinf(distances).any():  # few of a first block stay
        limit = np.partition(far, k - 1, axis=1)[:, k - 1]
        query, row = np.nonzero(far <= np.minimum(limit, distances.max(axis=1))[:, None])
    else:
        query, row = np.nonzero(far < distances.max(axis=1)[:, None])
    near = far[query, row]
    for part, entries, there in tables(query, len(far)):
        both = np.concatenate([distances[part], np.where(there, near[entries], np.float32(np.inf))], axis=1)
        names = np.concatenate([indices[part], np.where(there, row[entries] + start, -1)], axis=1)
        kept = np.argpartition(both, k - 1, axis=1)[:, :k]
        distances[part] = np.take_along_axis(both, kept, 1)
        indices[part] = np.take_along_axis(names, kept, 1)
