"""Distances between vectors as shares of those between rows: activations share a large mean that tells nothing."""

import numpy as np
from numpy.typing import NDArray

from .candidates import Candidate, Candidates

TIE = 2.0  # -fold: what differs no more than this from another candidate cannot be told from it
CLEAR = 5.0  # -fold nearer must come what is to explain a difference: half precision lets other guesses come near
EXACT = 0.04  # of what is allowed: as close as this is never called another candidate


def spread(vectors: NDArray[np.float32]) -> float:
    """The median distance between two of the vectors (n, width); their size, where all are alike."""
    wide = vectors.astype(np.float64)
    pairs = np.linalg.norm(wide[:, None] - wide[None], axis=2)[np.triu_indices(len(wide), 1)]
    scale, size = float(np.median(pairs)), float(np.linalg.norm(wide, axis=1).max())
    return scale if scale > 1e-6 * size else size or 1.0


def shares(stored: NDArray[np.float32], other: NDArray[np.float32], scale: float) -> NDArray[np.float64]:
    """The distance (n,) of each vector from its partner, as a share of `scale`."""
    return np.asarray(np.linalg.norm(stored.astype(np.float64) - other, axis=1) / scale)


def nearest(
    stored: NDArray[np.float32], candidates: Candidates, partners: dict[int, NDArray[np.intp]], scale: float
) -> tuple[float, Candidate, int]:
    """What comes nearest to the stored vectors (n, width): the median row's difference, the candidate, its shift.

    `partners` are by shift the places (n,) of the candidates' rows, -1 where a row has none.
    """
    best = (np.inf, candidates.kinds[0], 0)
    for shift, places in partners.items():
        there = places >= 0
        if not there.any():
            continue
        for at, kind in enumerate(candidates.kinds):
            difference = float(np.median(shares(stored[there], candidates.vectors[places[there], at], scale)))
            if difference < best[0]:
                best = (difference, kind, shift)
    return best


def is_told_apart(expected: float, best: float, allowed: float) -> bool:
    """Whether something comes so much nearer than what was expected that it is that."""
    return not (expected <= EXACT * allowed or expected <= TIE * best)
