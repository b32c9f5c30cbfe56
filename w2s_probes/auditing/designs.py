"""Draws of a fixed number of rows without replacement, each row with a probability that is known exactly.

- uniform: every row as likely, n / N.
- stratified: simple samples of each stratum; a stratum's share of the n rows goes by the square root of its size
  (Bankier 1988), so that small strata are seen and weights stay moderate.
- disagreement: probability proportional to the probe's P(label is wrong) plus its mean over all rows, so that half of
  the draw is uniform and no row counts more than twice what it would in a uniform one; by systematic sampling of rows
  in random order (Goodman & Kish 1950), which keeps the probabilities exactly.
"""

import heapq
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..metrics.audit_design import LEAST_IN_STRATUM
from ..randomness import stream

DrawnBy = Literal["stratified", "disagreement", "uniform"]
LEAST_ROWS = 2  # of a draw: a single row shows no variance


@dataclass(frozen=True)
class DrawnRows:
    """A draw of n of N rows, and the probabilities with which each of the N could have been drawn.

    >>> drawn = draw_rows("uniform", np.arange(10) % 2 == 0, 4)
    >>> len(drawn.rows), float(drawn.inclusion[0])
    (4, 0.4)
    """

    rows: NDArray[np.intp]  # (n,) drawn, in random order
    inclusion: NDArray[np.float64]  # (N,) adds up to n
    strata: NDArray[np.intp]  # (N,) codes from 0


def draw_rows(
    by: DrawnBy,
    positive: NDArray[np.bool_],
    n: int,
    *,
    f: NDArray[np.float64] | None = None,
    bins: int | None = None,
    seed: int = 0,
) -> DrawnRows:
    """Draw n of the N rows with label sides `positive` (N,), by the probe's P(label is wrong), f (N,), where given.

    Strata are weak class × probe's verdict (whether f is above ½), or weak class × `bins` of f with as many rows each;
    without f the weak classes alone. The draw hangs on the order of the rows: give them in one that is theirs.
    InputError for n out of range, and for strata too many for it.
    """
    if not LEAST_ROWS <= n <= len(positive):
        raise InputError(f"n={n} must be from {LEAST_ROWS} to {len(positive)}, the rows there are")
    if bins is not None and (by != "stratified" or f is None or bins < 1):
        raise InputError(f"bins={bins}: at least 1, and for a stratified draw by a probe's scores")
    rng = stream(seed, "audit", by)
    strata = np.zeros(len(positive), dtype=np.intp)
    if by == "uniform":
        inclusion = np.full(len(positive), n / len(positive))
        rows = rng.permutation(len(positive))[:n]
    elif by == "stratified":
        strata = strata_of(positive, f, bins)
        sizes = np.bincount(strata)
        drawn = allocated(sizes, n)
        inclusion = (drawn / sizes)[strata]
        rows = np.concatenate([rng.permutation(np.flatnonzero(strata == h))[: drawn[h]] for h in range(len(sizes))])
    else:
        if f is None:
            raise InputError("a draw by disagreement needs a probe's scores")
        inclusion = proportional(f + f.mean(), n)
        rows = systematic(inclusion, n, rng)
    return DrawnRows(stream(seed, "audit order").permutation(rows), inclusion, strata)


def strata_of(positive: NDArray[np.bool_], f: NDArray[np.float64] | None, bins: int | None = None) -> NDArray[np.intp]:
    """Strata (N,), coded from 0, by weak class, and by the probe's verdict or by bins of f within the class.

    Rows of equal f share a bin.
    """
    inner = np.zeros(len(positive), dtype=np.intp)
    if f is not None and bins is None:
        inner = (f > 0.5).astype(np.intp)
    elif f is not None and bins is not None:
        for side in (False, True):
            of_class = positive == side
            if of_class.any():
                edges = np.quantile(f[of_class], np.arange(1, bins) / bins)
                inner[of_class] = np.searchsorted(edges, f[of_class], side="left")
    codes = inner + positive * (inner.max(initial=0) + 1)
    return np.unique(codes, return_inverse=True)[1].astype(np.intp)


def allocated(sizes: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Rows to draw of strata with these sizes, n in all, by the square roots of the sizes; two of each at least."""
    drawn = np.minimum(sizes, LEAST_IN_STRATUM)
    if drawn.sum() > n:
        raise InputError(
            f"{len(sizes)} strata need {int(drawn.sum())} rows and {n} are to be drawn: raise n, or take fewer bins"
        )
    # Webster's method: what is next goes where it is most behind.
    behind = [(-math.sqrt(size) / (start + 0.5), h) for h, (size, start) in enumerate(zip(sizes, drawn, strict=True))]
    heapq.heapify(behind)
    for _ in range(n - int(drawn.sum())):
        while drawn[h := heapq.heappop(behind)[1]] == sizes[h]:
            pass
        drawn[h] += 1
        heapq.heappush(behind, (-math.sqrt(sizes[h]) / (drawn[h] + 0.5), h))
    return np.asarray(drawn, dtype=np.intp)


def proportional(size: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Probabilities (N,) proportional to a positive `size` (N,), n in all; rows too large for that are certain."""
    if not (np.isfinite(size) & (size > 0)).all():
        # f of 0 for every row: the probe doubts no label.
        size = np.ones(len(size))
    certain = np.zeros(len(size), dtype=bool)
    while True:
        rest = ~certain
        share = np.ones(len(size))
        share[rest] = (n - certain.sum()) * size[rest] / size[rest].sum() if rest.any() else 1
        beyond = rest & (share >= 1)
        if not beyond.any():
            return share
        certain |= beyond


def systematic(inclusion: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows (n,) drawn with these probabilities (N,): every first point after a random start, rows in random order."""
    certain = np.flatnonzero(inclusion >= 1)
    others = rng.permutation(np.flatnonzero(inclusion < 1))
    wanted = n - len(certain)
    if not wanted:
        return certain
    ends = np.cumsum(inclusion[others])
    ends *= wanted / ends[-1]  # a whole number, but for rounding
    ends[-1] = wanted
    points = np.ceil(ends - rng.random())  # how many of start, start + 1, … lie below each row's end
    return np.concatenate([certain, others[np.diff(points, prepend=0) > 0]])
