"""Systems of all rows and without each fold, Kα = t, from Cholesky factors that share what they have in common."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, solve_triangular
from scipy.linalg.blas import dsyrk, dtrsm

TOGETHER = 16  # sets of one family: of more, most rows are better eliminated anew, at once, than one fold after another


@dataclass(frozen=True, eq=False)
class RowFamily:
    """Sets of rows of which no two leave out the same row, as all rows and those without each fold are.

    Rows are put in blocks: first those that every set has, then those that one set is without, set by set.
    """

    order: NDArray[np.intp]  # (m,) the rows of all sets, block by block
    starts: tuple[int, ...]  # where each block begins in `order`, and m
    left_out: tuple[int | None, ...]  # the block that each set is without; None for a set of all rows

    @classmethod
    def families(cls, sets: Sequence[NDArray[np.intp]]) -> "list[tuple[list[int], RowFamily]]":
        """Sets of rows, by their places in `sets`, in as few such families as the sets one after another allow."""
        families: list[list[int]] = []
        having = np.zeros(1 + max(int(rows.max()) for rows in sets), dtype=np.intp)  # sets of the family with each row
        for at, rows in enumerate(sets):
            having[rows] += 1
            sizes = [len(sets[i]) for i in (families[-1] if families else [])] + [len(rows)]
            counted = having[having > 0]
            disjoint = counted.min() >= len(sizes) - 1 and sizes.count(len(counted)) <= 1  # in what they leave out
            if families and len(sizes) <= TOGETHER and disjoint:
                families[-1].append(at)
            else:
                families.append([at])
                having[:] = 0
                having[rows] = 1
        parted: list[list[int]] = []
        for family in families:  # sets that have few rows in common would share less than the products of them all cost
            each = sum(len(sets[at]) ** 2 for at in family)
            few = each < len(np.unique(np.concatenate([sets[at] for at in family]))) ** 2
            parted += [[at] for at in family] if few else [family]
        return [(family, cls._of([sets[at] for at in family])) for family in parted]

    @classmethod
    def _of(cls, sets: Sequence[NDArray[np.intp]]) -> "RowFamily":
        union = np.unique(np.concatenate(sets))
        without = [np.setdiff1d(union, rows, assume_unique=True) for rows in sets]
        shared = np.setdiff1d(union, np.concatenate(without))
        blocks, left_out = [shared] if len(shared) else [], list[int | None]()
        for rows in without:
            left_out.append(len(blocks) if len(rows) else None)
            blocks += [rows] if len(rows) else []
        starts = np.concatenate([[0], np.cumsum([len(rows) for rows in blocks])])
        return cls(np.concatenate(blocks), tuple(map(int, starts)), tuple(left_out))


@dataclass(frozen=True, eq=False)
class _Eliminated:
    """A block of rows that has been eliminated: its own factor, and that of the rows after it."""

    start: int
    stop: int
    own: NDArray[np.float64]  # (b, b), its lower half
    after: NDArray[np.float64]  # (m - stop, b)


def factored(gram: NDArray[np.float64], sets: RowFamily) -> "Iterator[tuple[int, Factor]]":
    """The factor of each set, by its number: gram (m, m), its lower half, has the rows in `RowFamily.order`.

    Blocks are eliminated one after another. A set without a block shares what was eliminated before it, and needs a
    factor of what is left after it: of five equal folds and all rows, half the products of six factors. A set whose
    products are not positive definite is left out. `gram` is overwritten, and so is a factor by the next one.
    """
    left, begun, end = gram, list[_Eliminated](), sets.starts[-1]
    wanted = {block: at for at, block in enumerate(sets.left_out)}
    # Two buffers in turn: memory that is new costs as much as a third of the products.
    other, free = gram.ravel(order="K"), np.empty((end - sets.starts[1]) ** 2)
    for block, (start, stop) in enumerate(zip(sets.starts[:-1], sets.starts[1:], strict=True)):
        size = stop - start
        if block in wanted:
            try:
                own = cho_factor(_rest(left, size, free), lower=True, overwrite_a=True, check_finite=False)[0]
                yield wanted[block], Factor(tuple(begun), start, stop, own)
            except LinAlgError:
                pass
        if stop == end and None not in wanted:
            return
        try:
            own = cholesky(left[:size, :size], lower=True, check_finite=False)
        except LinAlgError:  # and so is every set that has this block
            return
        panel = np.array(left[size:, :size], order="F")
        after = dtrsm(1.0, own, panel, side=1, lower=1, trans_a=1, overwrite_b=1) if stop < end else panel
        begun.append(_Eliminated(start, stop, own, after))
        if stop < end:
            left = dsyrk(-1.0, after, beta=1.0, c=_rest(left, size, free), lower=1, overwrite_c=1)
            other, free = free, other
    yield wanted[None], Factor(tuple(begun), end, end, np.empty((0, 0)))


def _rest(left: NDArray[np.float64], start: int, buffer: NDArray[np.float64]) -> NDArray[np.float64]:
    """A copy of the rows and columns from `start` on, in a buffer."""
    size = len(left) - start
    out = buffer[: size**2].reshape(size, size, order="F")
    out[:] = left[start:, start:]
    return out


@dataclass(frozen=True, eq=False)
class Factor:
    """A Cholesky factor of the products of all rows but those from `start` up to `stop`."""

    begun: tuple[_Eliminated, ...]
    start: int
    stop: int
    rest: NDArray[np.float64]  # the factor of the rows from `stop` on, once those before `start` are eliminated

    def solve(self, targets: NDArray[np.float64]) -> NDArray[np.float64]:
        """α (m, c) with Kα = targets (m, c); what is given for the rows left out is passed over, and theirs are 0."""
        out = targets.copy()
        for part in self.begun:
            some = slice(part.start, part.stop)
            out[some] = solve_triangular(part.own, out[some], lower=True, check_finite=False)
            out[part.stop :] -= part.after @ out[some]
        out[self.start : self.stop] = 0
        if len(self.rest):
            out[self.stop :] = cho_solve((self.rest, True), out[self.stop :], check_finite=False)
        for part in reversed(self.begun):
            some = slice(part.start, part.stop)
            out[some] -= part.after.T @ out[part.stop :]
            out[some] = solve_triangular(part.own, out[some], lower=True, trans=1, check_finite=False)
        return out
