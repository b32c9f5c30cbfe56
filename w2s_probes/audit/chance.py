"""How often chance alone puts as many rows into a region: exactly for single rows, by permutations of whole groups."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln


def upper_tail(inside: int, total: int, members: int, drawn: int) -> float:
    """P(H ≥ inside) of H hypergeometric: of `total` rows `members` are in the region, and `drawn` are drawn of all.

    It is the share of all permutations of rows that put as many into the region.

    >>> f"{upper_tail(5, 11, 7, 6):.6f}"
    '0.196970'
    """
    values, shares = hypergeometric(total, members, drawn)
    return float(min(1.0, shares[values >= inside].sum()))


@lru_cache(maxsize=4096)  # groups of one kind meet at every threshold
def hypergeometric(total: int, members: int, drawn: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The values that a hypergeometric variable can have, and their probabilities."""
    values = np.arange(max(0, drawn + members - total), min(members, drawn) + 1)

    def ways(n: int, k: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

    log_p = ways(members, values) + ways(total - members, drawn - values)
    p = np.exp(log_p - log_p.max())
    return values, p / p.sum()


def permuted_counts(
    inside: NDArray[np.bool_],
    marked: NDArray[np.bool_],
    groups: NDArray[np.intp],
    draws: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """How many rows are marked and inside in each permutation of whole groups (draws,).

    A group of m rows takes over how many rows are marked in another group of m, at random, and these lie in it at
    random. So the sizes of groups, and how marks gather in them, stay what they are. `inside`, `marked` and `groups`,
    numbers from 0, are (n,).

    Groups of one size, one count of rows inside and one of marked rows are alike: how many of them meet is drawn, and
    no row is moved, so that the cost hardly depends on n.
    """
    size, members, marks = (
        np.bincount(groups, weights=w).astype(np.intp) for w in (np.ones(len(groups)), inside, marked)
    )
    counts = np.zeros(draws, dtype=np.int64)
    for rows in np.unique(size[(size > 0) & (marks > 0)]):
        of_size = size == rows
        kinds, left = np.unique(members[of_size], return_counts=True)
        pools = np.tile(left, (draws, 1))  # groups of each kind that have not been given marks, in each draw
        for mark, times in zip(*np.unique(marks[of_size & (marks > 0)], return_counts=True), strict=True):
            wanted = np.full(draws, times)
            others = pools.sum(axis=1)
            for place, kind in enumerate(kinds):
                others = others - pools[:, place]
                met = rng.hypergeometric(pools[:, place], others, wanted)
                pools[:, place] -= met
                wanted = wanted - met
                counts += _within(int(rows), int(kind), int(mark), met, rng)
    return np.asarray(counts, dtype=np.intp)


def _within(rows: int, members: int, marks: int, met: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Marked rows inside, over `met` (draws,) groups of `rows` rows of which these are inside and these marked."""
    values, shares = hypergeometric(rows, members, marks)
    if len(values) == 1:
        return met * int(values[0])
    return np.asarray(rng.multinomial(met, shares) @ values)
