"""Dynamic logit fusion: the strong model's logits moved by what a small tuned model has learned.

Source: Fan et al. 2024, "On Giant's Shoulders: Effortless Weak to Strong by Dynamic Logits Fusion" (arXiv 2406.15480).
Its classifiers are ours: the authors fuse next-token logits alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from ..errors import InputError
from ..tensors import as_numpy
from .strengths import Solver, best_alpha, distance
from .tilted import Matrix, Tilt, centred, divergences

TOP = 2.0  # the largest α of the paper
AT_ONCE = 1 << 17  # logits of a model in a block of rows: what fits a processor's cache
LEAST_AT_ONCE = 8  # rows; fewer of a large vocabulary are faster one by one, since they lie side by side


@dataclass(frozen=True, eq=False)
class Fused:
    """Fused distributions of n rows over C classes.

    >>> fused = fuse([[2.0, 0.0, -1.0]], [[0.5, 0.2, 0.0]], [[-0.5, 1.2, 0.3]])
    >>> fused.alpha.round(3).tolist(), fused.p.round(3).tolist()
    ([0.916], [[0.498, 0.421, 0.082]])
    """

    alpha: NDArray[np.float64]  # (n,) how strongly each row was moved
    log_p: NDArray[np.float64]  # (n, C)
    loss: NDArray[np.float64]  # (n,) the squared distance of both divergences from the expert's, summed over experts
    capped: NDArray[np.bool_]  # (n,) whether α is the largest allowed

    @property
    def p(self) -> NDArray[np.float64]:
        """The probabilities (n, C)."""
        return np.exp(self.log_p)


@dataclass(frozen=True, eq=False)
class FusedExperts(Fused):
    """Fused distributions, each row by the expert that serves it best."""

    expert: NDArray[np.intp]  # (n,) its number, from 0


def fuse(strong: ArrayLike, base: ArrayLike, tuned: ArrayLike, *, top: float = TOP, solver: Solver = "exact") -> Fused:
    """softmax(strong + α (tuned - base)), with α of each row by the KL-constrained problem (section 3.2).

    α minimises (KL(P̃‖P) - KL(Q_t‖Q))² + (KL(P‖P̃) - KL(Q‖Q_t))² in [0, `top`]: the strong model is to move as far as
    tuning moved the small one. Logits are (n, C), or log-odds (n,) of label 1. `solver="grid"` takes the best of the 21
    values that the paper tries, "exact" the minimum. Where tuning changed nothing α is 0. InputError for logits that
    are not finite or of unequal shape.
    """
    fused = fuse_experts(strong, base, [tuned], top=top, solver=solver)
    return Fused(fused.alpha, fused.log_p, fused.loss, fused.capped)


def fuse_experts(
    strong: ArrayLike,
    base: ArrayLike,
    tuned: Sequence[ArrayLike],
    *,
    top: float = TOP,
    solver: Solver = "exact",
) -> FusedExperts:
    """As `fuse`, by the one of several tuned models whose α has the least loss, summed over all of them.

    With several experts at once α would not be unique; one a row is what the paper does. The first of equals wins.
    """
    P, Q, experts = _logits(strong, "strong"), _logits(base, "base"), list(tuned)
    if not experts:
        raise InputError("no tuned model: give the logits of one or more")
    if not (np.isfinite(top) and top > 0):
        raise InputError(f"top={top} must be above 0: the largest alpha, {TOP:g} in the paper")
    if solver not in get_args(Solver):
        raise InputError(f"no solver {solver!r}: there are {' and '.join(get_args(Solver))}")
    tuned_logits = [_logits(logits, f"tuned[{number}]") for number, logits in enumerate(experts)]
    for name, logits in [("base", Q), *((f"tuned[{n}]", logits) for n, logits in enumerate(tuned_logits))]:
        if logits.shape != P.shape:
            raise InputError(f"logits of {name} have shape {logits.shape}, those of strong {P.shape}: give equal ones")
    alpha, loss, log_p = np.empty(len(P)), np.empty(len(P)), np.empty_like(P)
    chosen = np.zeros(len(P), dtype=np.intp)
    size = AT_ONCE // P.shape[1]
    size = size if size >= LEAST_AT_ONCE else 1
    for start in range(0, len(P), size):
        block = slice(start, start + size)
        of_block = [np.ascontiguousarray(logits[block].T) for logits in (P, Q, *tuned_logits)]
        alpha[block], loss[block], fused, chosen[block] = _best(of_block[0], of_block[1], of_block[2:], top, solver)
        log_p[block] = fused.T
    return FusedExperts(alpha, log_p, loss, alpha >= top, chosen)


def fuse_static(strong: ArrayLike, base: ArrayLike, tuned: ArrayLike, alpha: ArrayLike = 1.0) -> NDArray[np.float64]:
    """The log-probabilities (n, C) of softmax(strong + α (tuned - base)) at a given α, for all rows or (n,).

    α = 1 is proxy tuning (Liu et al. 2024), the control of `fuse`: on most rows the α of the KL-constrained problem is
    near it. α = 0 is the strong model alone.
    """
    P, Q, T = _logits(strong, "strong"), _logits(base, "base"), _logits(tuned, "tuned")
    if not P.shape == Q.shape == T.shape:
        raise InputError(f"logits of shapes {P.shape}, {Q.shape} and {T.shape}: give equal ones")
    given = np.asarray(as_numpy(alpha), dtype=np.float64)
    if given.shape not in ((), (len(P),)) or not np.isfinite(given).all():
        raise InputError(f"alpha of shape {given.shape} for {len(P)} rows: one finite number is needed, or one a row")
    strengths = np.broadcast_to(given, (len(P),))
    return np.asarray(log_softmax(P + strengths[:, None] * (T - Q), axis=1))


def _best(
    P: Matrix, Q: Matrix, tuned: list[Matrix], top: float, solver: Solver
) -> tuple[NDArray[np.float64], NDArray[np.float64], Matrix, NDArray[np.intp]]:
    """α, loss, fused log-probabilities and the number of the expert of each row of a block; logits are (C, n)."""
    log_p = np.asarray(log_softmax(P, axis=0))
    there, back = np.array([divergences(logits, Q) for logits in tuned]).swapaxes(0, 1)  # (experts, n) each
    # The summed loss is that of the means, as many times, and what no α can change.
    fixed = ((there - there.mean(axis=0)) ** 2 + (back - back.mean(axis=0)) ** 2).sum(axis=0)
    best: tuple[NDArray[np.float64], NDArray[np.float64], Matrix, NDArray[np.intp]] | None = None
    for number, logits in enumerate(tuned):
        delta = centred(log_p, logits - Q)
        alpha = best_alpha(log_p, delta, there.mean(axis=0), back.mean(axis=0), top, solver)
        tilt = Tilt.at(log_p, delta, alpha)
        loss = len(tuned) * distance(tilt, there.mean(axis=0), back.mean(axis=0)) + fixed
        if best is None:
            best = alpha, loss, tilt.log_p, np.zeros(len(loss), dtype=np.intp)
        else:
            better = loss < best[1]
            for kept, new in zip(best, (alpha, loss, tilt.log_p, np.full(len(loss), number)), strict=True):
                kept[..., better] = new[..., better]
    assert best is not None  # of one expert or more
    return best


def _logits(values: ArrayLike, name: str) -> Matrix:
    """Logits (n, C) as float64; log-odds (n,) of label 1 are those of two classes."""
    logits = np.asarray(as_numpy(values), dtype=np.float64)
    if logits.ndim == 1:
        logits = np.column_stack([np.zeros_like(logits), logits])
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise InputError(f"logits of {name} have shape {logits.shape}: (n, classes), or log-odds (n,), are needed")
    if not np.isfinite(logits).all():
        row = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
        raise InputError(f"logits of {name} are not finite in row {row}: a model overflowed, or has no such token")
    return logits
