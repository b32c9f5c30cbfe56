"""Rows drawn from a store, one of each of equal stretches, and how many wrong rows such a sample finds."""

import math

import numpy as np
from numpy.typing import NDArray

from w2s_probes.randomness import stream

SURE = 0.95  # probability with which a fault is to be found


def stretches(rows: int, count: int) -> NDArray[np.intp]:
    """The places (stretches + 1,) at which `count` stretches of like length begin, and where the last one ends."""
    count = min(count, rows)
    return np.arange(count + 1) * rows // count


def drawn_places(rows: int, count: int, seed: int = 0) -> NDArray[np.intp]:
    """One place of each stretch, drawn at random: no pattern of wrong rows, such as every tenth, is always missed."""
    ends = stretches(rows, count)
    return np.asarray(stream(seed, "examined rows").integers(ends[:-1], ends[1:]), dtype=np.intp)


def least_found(rows: int, count: int) -> int:
    """The least number of wrong rows that are hit with probability `SURE`, wherever they stand; 1 if all are read.

    The product of (1 - wrong share) over stretches is largest where the shares are equal (their geometric mean is no
    larger than the arithmetic one), so wrong rows K among m stretches of at most s rows are missed with probability
    (1 - K / m s)^m at most.
    """
    sizes = np.diff(stretches(rows, count))
    if sizes.max() == 1:
        return 1
    bound: float = len(sizes) * int(sizes.max()) * (1 - (1 - SURE) ** (1 / len(sizes)))
    return min(rows, math.ceil(bound))
