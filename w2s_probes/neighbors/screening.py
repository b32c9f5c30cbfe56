"""The k nearest rows of every row of a matrix from half of its products, at low precision, proven to miss none.

The product of two rows serves both of them, so only pairs i < j are looked at. Rows are centred and rounded to a
lower precision (bfloat16, where the processor multiplies it faster), with x' = x + r: by Cauchy and Schwarz

    |x·y - S| <= |r_x||y| + |x'||r_y| + g |x||y| + rho |S|        S: the product as computed

with g for its sums in float32 and rho for the rounding of the result. With e >= |r|/|x| for every row, and
2|x||y| <= |x|² + |y|², the squared distance then lies between L and U = (1 -+ c)(|x|² + |y|²) - 2 S -+ 2 rho |S|,
c = 2e + e² + g: two sums of one number a row and the product. The k-th smallest U of a row seen so far is an upper
bound t of its k-th distance, and a pair whose L is above the t of both its rows can be forgotten. The pairs left
are measured again from the differences of the rows.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..progress import report
from .final_order import LEAST, UNIT
from .ragged import tables

ROWS, COLUMNS = 512, 2048  # of a block of products: it, and what is computed from it, stays in a processor's cache
DEAR = 33  # products that cost as much as measuring one pair again, whose rows come from memory
MOST = 16  # candidates a row, for each neighbour asked for, that memory is given to
LOST = (1 << 20) * LEAST  # of sums of up to a hundred thousand squares and products
LOW_PAYS = 2e12  # multiplications from which loading torch, for bfloat16, is worth its second or two

Product = Callable[[slice, slice], NDArray[np.float32]]


@dataclass(frozen=True)
class Precision:
    """The arithmetic of the products, and the bounds of its errors in the notation above."""

    product: Product
    rounding: float  # e
    sums: float  # g
    result: float  # rho


def full_precision(rows: NDArray[np.float32], squares: NDArray[np.float64]) -> Precision:
    """float32 products of rows (n, d); the rounding is that of the centring."""
    return Precision(lambda i, j: rows[i] @ rows[j].T, UNIT, (rows.shape[1] + 16) * UNIT, 0.0)


def low_precision(rows: NDArray[np.float32], squares: NDArray[np.float64]) -> Precision | None:
    """bfloat16 products of rows (n, d), with `squares` (n,) their squared norms, with float32 sums, through torch.

    None where torch or the processor's instructions are missing.
    """
    if importlib.util.find_spec("torch") is None:
        return None
    if "torch" not in sys.modules and len(rows) ** 2 * rows.shape[1] < LOW_PAYS:
        return None
    import torch

    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return None
    original = torch.from_numpy(rows)
    words = original.bfloat16()
    lost = 0.0
    for part in _parts(0, len(rows), ROWS):
        squared = (words[part].float() - original[part]).square_().sum(dim=1).double().numpy()
        lost = max(lost, float((squared / np.maximum(squares[part], 1e-60)).max()))

    def product(i: slice, j: slice) -> NDArray[np.float32]:
        return np.asarray((words[i] @ words[j].T).float().numpy())

    # The sum of squares itself has errors in float32, a thousandth at the very most.
    return Precision(product, 1.001 * lost**0.5 + 2 * UNIT, (rows.shape[1] + 16) * UNIT, 2.0**-8)


@dataclass
class _Pairs:
    """Pairs i < j that may be neighbours of one or the other, with their products."""

    first: list[NDArray[np.int32]] = field(default_factory=list)
    second: list[NDArray[np.int32]] = field(default_factory=list)
    product: list[NDArray[np.float32]] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self.first))

    def add(self, first: NDArray[np.int32], second: NDArray[np.int32], product: NDArray[np.float32]) -> None:
        self.first.append(first)
        self.second.append(second)
        self.product.append(product)

    def since(self, part: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        """Those of the parts from number `part` on."""
        return (
            np.concatenate(self.first[part:]),
            np.concatenate(self.second[part:]),
            np.concatenate(self.product[part:]),
        )


class Screen:
    """The search for candidate pairs among rows, given their squared norms (n,) and products.

    Neighbours are found for the first `wanted` rows, or for all; the others are candidates alone, and keep no pair.
    """

    def __init__(self, squares: NDArray[np.float64], k: int, precision: Precision, wanted: int | None = None) -> None:
        self.n, self.k, self.precision = len(squares), k, precision
        self.wanted = self.n if wanted is None else wanted
        self.height = max(256, 4 * k)  # of the first strip, which has to hold k neighbours for every row
        slack = 2 * precision.rounding + precision.rounding**2 + precision.sums + 512 * UNIT
        # What sums lose of numbers that are too small for float32; beside those of ordinary rows it is nothing.
        self.low = (squares * (1 - slack) - LOST).astype(np.float32)
        self.high = (squares * (1 + slack) + LOST).astype(np.float32)
        self.nearest = np.empty((self.n, k), dtype=np.float32)  # the k smallest U of each row so far
        self.limit = np.empty(self.n, dtype=np.float32)  # t
        self.pairs = _Pairs()

    def run(self) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
        """Pairs i < j among which are all of k nearest neighbours; None where the bound does not pay."""
        if self._first_strip() > min(self.n / DEAR, MOST * self.k):
            return None
        merged, fresh, kept = len(self.pairs.first), 0, len(self.pairs)
        for start in range(self.height, self.wanted, ROWS):
            rows = slice(start, min(start + ROWS, self.wanted))
            for columns in _parts(start, self.n, COLUMNS):
                fresh += self._collect(rows, columns, self.precision.product(rows, columns))
            if fresh * 8 > self.n * self.k:
                self._tighten(*self.pairs.since(merged))
                if len(self.pairs) > 2 * kept:
                    self._prune()
                    kept = len(self.pairs)
                merged, fresh = len(self.pairs.first), 0
            left = self.n - rows.stop  # rows are compared with those after them
            unwanted = self.n - self.wanted
            report("pairs of rows compared", self.n**2 - left**2, self.n**2 - unwanted**2)
        if merged < len(self.pairs.first):
            self._tighten(*self.pairs.since(merged))
        self._prune()
        first, second, _ = self.pairs.since(0)
        return first, second

    def _first_strip(self) -> float:
        """Every row against the first ones, which gives each a limit to begin with; candidates a row in the end.

        The first rows have met all others: theirs are the final limits, and tell how many pairs will be left.
        """
        strip = slice(0, self.height)
        products = np.concatenate([self.precision.product(strip, part) for part in _parts(0, self.n, COLUMNS)], axis=1)
        above = self._upper(np.arange(self.height)[:, None], np.arange(self.n)[None], products)
        above[np.arange(self.height), np.arange(self.height)] = np.inf
        for rows, bounds in (
            (np.arange(self.height), above),
            (np.arange(self.height, self.n), above[:, self.height :].T),
        ):
            for part in _parts(0, len(rows), ROWS):
                smallest = np.partition(bounds[part], self.k - 1, axis=1)[:, : self.k]
                self.nearest[rows[part]] = smallest
                self.limit[rows[part]] = smallest[:, -1]
        self.nearest[self.wanted :], self.limit[self.wanted :] = -np.inf, -np.inf
        candidates = 0
        for part in _parts(0, self.n, COLUMNS):
            self._collect(strip, part, products[:, part])
            lower = self.low[strip, None] + self.low[None, part] - 2 * self._reached(products[:, part])
            candidates += int((lower <= self.limit[strip, None]).sum())
        return candidates / self.height

    def _upper(
        self, first: NDArray[np.integer], second: NDArray[np.integer], product: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """U of pairs."""
        bound = product - np.float32(self.precision.result) * np.abs(product)
        bound *= -2
        bound += self.high[first]
        bound += self.high[second]
        return np.asarray(bound)

    def _reached(self, product: NDArray[np.float32]) -> NDArray[np.float32]:
        """The largest product that the computed one may stand for."""
        if not self.precision.result:
            return product
        reached = np.abs(product)
        reached *= np.float32(self.precision.result)
        reached += product
        return np.asarray(reached)

    def _collect(self, rows: slice, columns: slice, product: NDArray[np.float32]) -> int:
        """Keep the pairs of a block whose L is not above both limits; the number of them."""
        # L <= t, with everything but the product on the other side and halved.
        reached = self._reached(product)
        low_i, low_j = self.low[rows, None] / 2, self.low[None, columns] / 2
        below = reached - low_j
        possible = below >= low_i - self.limit[rows, None] / 2
        np.subtract(reached, low_i, out=below)
        possible |= below >= low_j - self.limit[None, columns] / 2
        if columns.start < rows.stop:
            possible &= np.arange(columns.start, columns.stop)[None] > np.arange(rows.start, rows.stop)[:, None]
        at = np.flatnonzero(possible)
        first, second = np.divmod(at.astype(np.int32), np.int32(columns.stop - columns.start))
        self.pairs.add(first + np.int32(rows.start), second + np.int32(columns.start), product.ravel()[at])
        return len(at)

    def _tighten(self, first: NDArray[np.int32], second: NDArray[np.int32], product: NDArray[np.float32]) -> None:
        """Lower the limits by new pairs."""
        upper = self._upper(first, second, product)
        for rows, entries, there in tables(np.concatenate([first, second]), self.n):
            bounds = np.where(there, upper[entries % len(upper)], np.float32(np.inf))
            both = np.concatenate([self.nearest[rows], bounds], axis=1)
            both.partition(self.k - 1, axis=1)
            self.nearest[rows] = both[:, : self.k]
            self.limit[rows] = both[:, self.k - 1]

    def _prune(self) -> None:
        """Forget pairs that later limits rule out."""
        first, second, product = self.pairs.since(0)
        lower = self.low[first] + self.low[second] - 2 * self._reached(product)
        kept = lower <= np.maximum(self.limit[first], self.limit[second])
        self.pairs = _Pairs([first[kept]], [second[kept]], [product[kept]])


def _parts(start: int, stop: int, step: int) -> Iterator[slice]:
    for at in range(start, stop, step):
        yield slice(at, min(at + step, stop))
