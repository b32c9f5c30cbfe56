"""Controls of a filter: removals of the same size and class mix at random, by confidence, by an oracle.

All work on flags of n rows: `gone` what the filter removes, `positive` the side of the label that is judged, `wrong`
whether that label is wrong by the ground truth.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from ..errors import InputError
from ..metrics.resampling import WEIGHTS_AT_ONCE
from ..randomness import stream
from ..ties import above_half, levels

Flags = NDArray[np.bool_]

NEVER = 1e-30  # a probability not worth convolving: without the tails the cost grows with √n per class, not with n


def matched_pmf(marked: Flags, gone: Flags, positive: Flags) -> NDArray[np.float64]:
    """P(k marked rows go), k = 0, 1, .., where as many rows of each class as in `gone` go at random.

    The sum of one hypergeometric variable a class, exactly.
    """
    pmf, start = np.ones(1), 0
    for side in (~positive, positive):
        taken = int(gone[side].sum())
        if taken:
            first, class_pmf = _hypergeometric(int(side.sum()), int(marked[side].sum()), taken)
            pmf, start = np.convolve(pmf, class_pmf), start + first
    return np.pad(pmf, (start, int(gone.sum()) + 1 - start - len(pmf)))


def _hypergeometric(rows: int, marked: int, taken: int) -> tuple[int, NDArray[np.float64]]:
    """The likely numbers of marked rows among those taken: the first, and P of it and those that follow.

    As scipy's `hypergeom.pmf`, with which comparing 33 filters pair by pair takes 7 s instead of 0.4 s.
    """
    k = np.arange(max(0, taken - (rows - marked)), min(marked, taken) + 1)
    log = _log_choose(marked, k) + _log_choose(rows - marked, taken - k) - _log_choose(rows, np.array(taken))
    pmf = np.exp(log)
    likely = np.flatnonzero(pmf > NEVER)
    return int(k[likely[0]]), pmf[likely[0] : likely[-1] + 1]


def _log_choose(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(-betaln(n - k + 1, k + 1) - np.log(n + 1))


def matched_draws(
    marked: Flags, gone: Flags, positive: Flags, draws: int, seed: int, groups: NDArray[np.intp] | None = None
) -> NDArray[np.int64]:
    """The numbers of marked rows (draws,) that go in random removals that match `gone`.

    Without groups any rows may go, as many of each class as in `gone` (`matched_pmf`). With the group number (n,) of
    each row, what was removed of a group, a number of rows of each class, falls to a random group of the same make-up
    (rows of each class), and which of its rows go is random. That keeps the class mix *and* how far removed rows
    cluster in groups: where labels of a group are wrong together, independent rows would be too easy a rival. A
    group like no other keeps its own numbers, which makes the comparison stricter, never laxer (`comparable`).
    """
    if draws < 1:
        raise InputError(f"draws={draws} must be at least 1 (2000 is usual)")
    rng = stream(seed, "random removal")
    ids = np.arange(len(gone)) if groups is None else groups
    sides = [_per_group(side, ids) for side in (~positive, positive)]
    bad = [_per_group(side & marked, ids) for side in (~positive, positive)]
    taken = [_per_group(side & gone, ids) for side in (~positive, positive)]
    total = np.zeros(draws, dtype=np.int64)
    makeup, of = np.unique(np.column_stack(sides), axis=0, return_inverse=True)
    for number, size in enumerate(makeup):
        members = np.flatnonzero(of.ravel() == number)
        counts = [(int(size[c]), bad[c][members], taken[c][members]) for c in (0, 1) if size[c]]
        if size.sum() == 1:  # groups of one row, exchanged at random: one draw for all of them
            ((_, w, r),) = counts
            total += rng.hypergeometric(w.sum(), len(w) - w.sum(), r.sum(), size=draws)
            continue
        block = max(1, WEIGHTS_AT_ONCE // len(members))
        for start in range(0, draws, block):
            count = min(block, draws - start)
            # One order for both classes: what was removed of a group moves as a whole.
            order = rng.permuted(np.tile(np.arange(len(members)), (count, 1)), axis=1)
            total[start : start + count] += sum(_hits(n, w, r[order], rng) for n, w, r in counts)
    return total


def matched_removal(gone: Flags, positive: Flags, groups: NDArray[np.intp] | None, rng: np.random.Generator) -> Flags:
    """A random removal (n,) that matches `gone` as `matched_draws` does: one draw, as rows.

    As many rows of each class go, from as many groups: what was removed of a group falls to a random group of the
    same make-up, and which of its rows go is random.
    """
    ids = np.arange(len(gone)) if groups is None else groups
    sides = [_per_group(side, ids) for side in (~positive, positive)]
    taken = [_per_group(side & gone, ids) for side in (~positive, positive)]
    _, makeup = np.unique(np.column_stack(sides), axis=0, return_inverse=True)
    # Two random orders of the groups, each sorted by make-up: place by place, one takes the other's numbers.
    order, target = (np.lexsort((rng.permutation(len(sides[0])), makeup.ravel())) for _ in range(2))
    removed = np.zeros(len(gone), dtype=bool)
    for side, counts in zip((~positive, positive), taken, strict=True):
        quota = np.empty_like(counts)
        quota[target] = counts[order]
        rows = np.flatnonzero(side)
        rows = rows[np.lexsort((rng.permutation(len(rows)), ids[rows]))]  # by group, at random within one
        first = np.searchsorted(ids[rows], ids[rows])
        removed[rows[np.arange(len(rows)) - first < quota[ids[rows]]]] = True
    return removed


def comparable(gone: Flags, positive: Flags, groups: NDArray[np.intp] | None) -> float:
    """The share of removed rows whose group has another of the same make-up; near 0 a grouped test can show nothing."""
    if groups is None or not gone.any():
        return 1.0
    makeup = np.column_stack([_per_group(side, groups) for side in (~positive, positive)])
    _, of, like = np.unique(makeup, axis=0, return_inverse=True, return_counts=True)
    return float((like[of.ravel()] > 1)[groups[gone]].mean())


def _per_group(flags: Flags, groups: NDArray[np.intp]) -> NDArray[np.int64]:
    return np.bincount(groups[flags], minlength=int(groups.max(initial=-1)) + 1)


def _hits(n: int, w: NDArray[np.int64], r: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Marked rows (b,) among r (b, g) taken at random from groups of n rows with w (g,) marked."""
    w = np.broadcast_to(w, r.shape)
    hits = np.where(r == n, w, np.where(w == n, r, 0))
    open_ = (w > 0) & (w < n) & (r > 0) & (r < n)  # drawing where nothing is left to chance would be the slow part
    hits[open_] = rng.hypergeometric(w[open_], n - w[open_], r[open_])
    return np.asarray(hits.sum(axis=1), dtype=np.int64)


def least_confident(labels: NDArray[np.float64], gone: Flags) -> Flags:
    """Remove of each class as many rows as `gone` does, those of smallest |y - ½|; of equal ones the earlier."""
    confidence, chosen = levels(np.abs(labels - 0.5)), np.zeros(len(gone), dtype=bool)
    for rows in _by_class(labels):
        order = rows[np.argsort(confidence[rows], kind="stable")]
        chosen[order[: int(gone[rows].sum())]] = True
    return chosen


def chosen_by_row_order(labels: NDArray[np.float64], chosen: Flags) -> int:
    """The number of rows that `least_confident` removed although an equally confident row of the class stayed."""
    count = 0
    confidence = levels(np.abs(labels - 0.5))
    for rows in _by_class(labels):
        taken, left = confidence[rows[chosen[rows]]], confidence[rows[~chosen[rows]]]
        if len(taken) and len(left):
            count += int((taken == left.min()).sum())
    return count


def _by_class(labels: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.flatnonzero(~above_half(labels)), np.flatnonzero(above_half(labels))


def true_errors_first(wrong: Flags, gone: Flags) -> Flags:
    """Remove as many rows as `gone` does, wrong ones first; of equal ones the earlier."""
    chosen = np.zeros(len(gone), dtype=bool)
    chosen[np.argsort(~wrong, kind="stable")[: int(gone.sum())]] = True
    return chosen
