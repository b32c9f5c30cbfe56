"""TopoFilter as one would write it down: every distance, every edge, an N x N reachability. The oracle of the tests."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[Any]


def neighbour_order(X: Matrix) -> Matrix:
    """All other rows of each row (n, n-1), nearest first, ties by index."""
    wide = X.astype(np.float64)
    distances = np.stack([((wide - row) ** 2).sum(axis=1) for row in wide])
    np.fill_diagonal(distances, np.inf)
    return np.asarray(np.argsort(distances, axis=1, kind="stable")[:, :-1])


def reachable(edges: Matrix) -> Matrix:
    """Which rows can be reached from which, by repeated squaring of the adjacency matrix."""
    closed = edges | np.eye(len(edges), dtype=bool)
    for _ in range(len(edges).bit_length() + 1):
        closed = (closed.astype(np.float32) @ closed.astype(np.float32)) > 0
    return closed


def together(order: Matrix, positive: Matrix, k: int, connectivity: str) -> Matrix:
    """Which rows are in one component (n, n)."""
    edges = np.zeros((len(order), len(order)), dtype=bool)
    edges[np.arange(len(order))[:, None], order[:, :k]] = True
    edges &= positive[:, None] == positive
    if connectivity == "weak":
        return reachable(edges | edges.T)
    if connectivity == "mutual":
        return reachable(edges & edges.T)
    return reachable(edges) & reachable(edges).T


def core(order: Matrix, positive: Matrix, k: int, connectivity: str) -> Matrix:
    """The rows (n,) of each class's largest component; the one with the lowest row, of equal ones."""
    same, kept = together(order, positive, k, connectivity), np.zeros(len(order), dtype=bool)
    for side in (False, True):
        rows = np.flatnonzero(positive == side)
        if len(rows):
            kept |= same[rows[np.argmax(same[np.ix_(rows, rows)].sum(axis=1))]]
    return kept


def filtered(
    X: Matrix, y: Matrix, k_cc: int, k_zeta: int, contamination: float, connectivity: str, zeta: float | None
) -> Matrix:
    """The mask (n,) of the whole filter, as the paper (with zeta) or EleutherAI (without) defines it."""
    order, positive = neighbour_order(X), y > 0.5
    inside = core(order, positive, k_cc, connectivity)
    near = np.stack([row[inside[row]][:k_zeta] for row in order])
    if zeta is not None:
        return np.asarray(inside & ((positive[near] == positive[:, None]).mean(axis=1) >= (0.5 if zeta > 1 else zeta)))
    far = np.round(np.abs(y - y[near].mean(axis=1)), 12)  # what rounding alone parts is equal
    left = max(0, round(len(y) * contamination) - int((~inside).sum()))
    rows = np.flatnonzero(inside)
    mask = inside.copy()
    mask[rows[np.argsort(far[rows], kind="stable")][len(rows) - left :]] = False
    return mask
