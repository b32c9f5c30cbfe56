"""Other ways to find candidates than faiss's exhaustive search: on a GPU, or approximately."""

import re
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ..devices import DeviceError, forget_unused, opened, out_of_memory, sent, true_float32
from ..errors import InputError
from ..randomness import stream
from ..rows.row_parts import row_parts
from .exhaustive import RoughIndex
from .far_rows import Spread, centred_squares, lower_norms
from .final_order import LARGE, SearchRows, in_unit, settled

CELLS = 1 << 27  # distances held at once on a device: half a gigabyte
TRAINED = 1 << 18  # rows at most by which an index is trained


def on_device(device: str) -> Callable[[NDArray[np.float32]], RoughIndex]:
    """Exhaustive float32 search through torch on a device such as `cuda`; InputError where it is not there."""
    place = opened(device, "index", "'exact'")
    return lambda rows: _TorchIndex(rows, device, place)


class _TorchIndex:
    """Rows (n, d) on a device. DeviceError where it has no room for them and the distances of one query."""

    def __init__(self, rows: NDArray[np.float32], device: str, place: Any) -> None:
        import torch

        self.device, self.place, self.shape = device, place, rows.shape
        self.cells = CELLS
        try:
            self.rows = sent(rows, place)
            step = max(1, CELLS // rows.shape[1])
            self.squares = torch.cat([part.square().sum(dim=1) for part in torch.split(self.rows, step)])
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            raise self._no_room() from error

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As `RoughIndex.search`. Where distances do not fit into the device's memory, fewer are held at once."""
        distances = np.empty((len(queries), k), dtype=np.float32)
        indices = np.empty((len(queries), k), dtype=np.int64)
        start = 0
        with true_float32():  # with less, neighbours are lost
            while start < len(queries):
                part = slice(start, start + max(1, self.cells // len(self.squares)))
                if self._fits(queries[part], distances[part], indices[part]):
                    start = part.stop
                    continue
                if self.cells <= len(self.squares):
                    raise self._no_room()
                self.cells //= 2
                forget_unused()
        return distances, indices

    def _fits(self, queries: NDArray[np.float32], distances: NDArray[np.float32], indices: NDArray[np.int64]) -> bool:
        """Search for some queries (q, d), whose neighbours are written to (q, k) each; whether memory sufficed."""
        import torch

        try:
            asked = sent(queries, self.place)
            far = torch.addmm(self.squares, asked, self.rows.T, alpha=-2)
            far += asked.square().sum(dim=1)[:, None]
            nearest = far.topk(indices.shape[1], dim=1, largest=False)
            distances[:], indices[:] = nearest.values.cpu().numpy(), nearest.indices.cpu().numpy()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            return False
        return True

    def _no_room(self) -> DeviceError:
        rows, width = self.shape
        return DeviceError(
            f"index={self.device!r}: {rows} rows of {width} numbers ({4e-9 * rows * width:.2g} GB) and their distances "
            "do not fit into its memory: use 'exact'"
        )


class ApproximateIndex:
    """An index that any faiss factory string describes, such as "IVF256,Flat" or "HNSW32", over rows X (n, d).

    The string may be a function of the number of rows in the index. Far rows (`far_rows`) are not among these: they
    would have most of the cells, and all but one of a byte's 256 values. A row or query that is not `beyond` the others
    has no neighbour among the far ones while there are others.
    """

    def __init__(self, X: NDArray[np.float32], described: str | Callable[[int], str]) -> None:
        self.X = X
        rows = SearchRows.of(X, X)
        self.unit = rows.unit
        spread = Spread.of(rows.base)
        self.center, self.radius = spread.center, spread.without(spread.far)
        self.numbers = np.setdiff1d(np.arange(len(X)), spread.far) if len(spread.far) else None
        description = described if isinstance(described, str) else described(self.size)
        try:
            self.index: Any = faiss.index_factory(X.shape[1], description)
            self.index.train(self._training_rows(rows.base))
            for part in row_parts(self.size, X.shape[1]):  # no copy of all rows beside the index's own
                chosen = part if self.numbers is None else self.numbers[part]
                self.index.add(rows.base[chosen] - self.center)
        except RuntimeError as error:
            # faiss puts the place in its source before what it says.
            said = [line for line in str(error).splitlines() if line.strip()]
            reason = re.split(r"' failed: |\.cpp:[0-9]+: ", said[-1])[-1] if said else "no reason given"
            raise InputError(
                f"index={description!r} is neither 'exact', 'cuda', 'approximate' nor a faiss factory string that fits "
                f"{len(X)} rows of {X.shape[1]} numbers: {reason.strip()}"
            ) from error

    @property
    def size(self) -> int:
        """The number of rows in the index."""
        return len(self.X) if self.numbers is None else len(self.numbers)

    def beyond(self, queries: NDArray[np.float32], k: int) -> NDArray[np.bool_]:
        """Whether each query (m, d) may have some of k neighbours outside of the index.

        It is farther out than the rows there, or they are fewer than k.
        """
        if self.numbers is None or k > self.size:
            return np.full(len(queries), k > self.size)
        with np.errstate(over="ignore"):  # a query that is infinite in this unit is beyond
            squares = centred_squares(in_unit(queries, self.unit), self.center)
        return lower_norms(squares, len(self.center)) > self.radius

    def search(self, k: int, queries: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows (m, k) near to each query (m, d), measured again and ordered; -1 where the index found none."""
        plain = self.unit == 1 and np.abs(queries).max(initial=0) <= LARGE
        rows = SearchRows(queries, self.X) if plain else SearchRows.of(queries, self.X)  # which looks at all of X
        _, nearest = self.index.search(self._centred(queries), k)
        if self.numbers is not None:
            nearest = np.where(nearest < 0, -1, self.numbers[nearest])
        far = rows.direct(np.repeat(np.arange(len(queries)), k), np.maximum(nearest, 0).ravel()).reshape(nearest.shape)
        far[nearest < 0] = np.inf
        indices, distances = settled(rows, np.arange(len(queries)), nearest, far)
        return indices, distances * rows.unit**2

    def _training_rows(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows (n, d) of the index, or some of many, without their center."""
        if self.size <= TRAINED:
            return np.asarray((rows if self.numbers is None else rows[self.numbers]) - self.center)
        chosen = np.sort(stream(0, "trained rows").permutation(self.size)[:TRAINED])
        some = rows[chosen if self.numbers is None else self.numbers[chosen]]
        some -= self.center  # no second copy
        return some

    def _centred(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):  # a query beyond all rows by more than float32 holds finds none here
            return np.asarray(in_unit(queries, self.unit) - self.center)


class CellIndex(ApproximateIndex):
    """Rows in cells around the centres of k-means, of which those nearest to a query are searched: faiss's IVF.

    In the index a number of a row takes a byte, so that a million rows of 256 numbers take a quarter of a gigabyte;
    candidates are measured again by the rows themselves.
    """

    def __init__(self, X: NDArray[np.float32]) -> None:
        super().__init__(X, lambda rows: f"IVF{cells_for(rows)},SQ8")

    def recalls(self, queries: NDArray[np.float32], true: NDArray[np.int64]) -> NDArray[np.float64]:
        """The share (cells,) of the true neighbours (m, k) of queries (m, d) in their nearest 1, 2, ... cells."""
        cells = int(self.index.nlist)
        _, order = self.index.quantizer.search(self._centred(queries), cells)
        rank = np.empty(order.shape, dtype=np.intp)
        np.put_along_axis(rank, order, np.arange(cells)[None], axis=1)
        _, home = self.index.quantizer.search(self._centred(self.X[true.ravel()]), 1)
        counts = np.bincount(np.take_along_axis(rank, home.reshape(true.shape), axis=1).ravel(), minlength=cells)
        return np.asarray(np.cumsum(counts) / true.size)

    def probe(self, cells: int) -> None:
        """Search so many cells from here on."""
        self.index.nprobe = cells


def cells_for(rows: int) -> int:
    """The number of cells of a CellIndex: about 4 √n, a power of 2, of at least 39 rows each, as faiss asks."""
    return int(1 << max(0, min(round(np.log2(4 * rows**0.5)), int(np.floor(np.log2(rows / 39))))))
