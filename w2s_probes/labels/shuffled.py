"""Labels without signal: a label set's own, dealt out anew."""

import numpy as np
from numpy.typing import NDArray


def shuffled_labels(
    p: NDArray[np.float64], groups: NDArray[np.intp] | None, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The labels (n,) dealt out anew; the labels of a group stay together.

    Written down group by group, groups in random order, they are dealt to the rows group by group: where groups are
    of one size each gets another's labels whole, so that rows of a group are as alike as they were.
    """
    if groups is None:
        return rng.permutation(p)
    rows = np.argsort(groups, kind="stable")
    blocks = np.split(p[rows], np.flatnonzero(np.diff(groups[rows])) + 1)
    dealt = np.empty_like(p)
    dealt[rows] = np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])
    return dealt
