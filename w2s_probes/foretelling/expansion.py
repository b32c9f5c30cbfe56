"""Whether rows that are rightly labelled reach those that are not, on the neighbour graph: robust expansion."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities, truth_sides
from ..errors import InputError
from ..labels.label_set import ids_of, refuse_other_ids
from ..neighbors import Neighbors
from ..neighbors.symmetric import symmetric_edges
from ..rows.groups import group_numbers
from ..tensors import as_numpy
from ..ties import above_half
from .foretold_measure import NO_TRUTH, Foretold, known, unknown, without_interval
from .jackknife import BLOCKS, jackknifed

EXPANSION = "robust expansion"
ETA = 0.1  # share of the edges that a robust neighbourhood may lack
NEIGHBOURS = 10  # of each row, from which symmetric edges are made


def robust_expansion(
    weak: ArrayLike,
    probe: ArrayLike,
    truth: ArrayLike,
    graph: Neighbors,
    *,
    k: int = NEIGHBOURS,
    eta: float = ETA,
    groups: ArrayLike | None = None,
    blocks: int = BLOCKS,
    seed: int = 0,
) -> Foretold:
    """The factor c by which rows that a probe has right expand into the weakly mislabelled ones of their class.

    Lang, Sontag and Vijayaraghavan 2024 (arXiv 2405.16043): in a true class, B are the rows that the weak label has
    right, A those that it has wrong. A set U of B expands robustly with c if P_{1-η}(U, A) ≥ c P(U | B), where
    P_{1-η}(U, A) is the least P(V | A) of sets V that hold a share 1 - η of the weight of the edges between U and its
    neighbourhood. Their bound on a student's error is the better the larger c is: then the student cannot be right
    on U and fit the mistakes of A. They need it of the sets where some student of the class is right, and estimate it
    by such students; here U is that of one, the out-of-sample probe, and c the smaller of the two classes'. Every row
    has a weak label here, so the other half of the paper, coverage, has no rows.

    Edges join rows of which one is among the `k` nearest of the other, all of one weight. `weak` and `probe` (n,) are
    P(1), `truth` (n,) too, NaN where it is not known: rows of unknown truth are in neither set, and V may hold them, so
    that many of them draw the factor to 0 (`foretell` gives those of known truth alone). The interval is that of the
    jackknife over blocks of rows, or groups (n,). Undefined where no class has rows of both kinds, or the probe has
    none right. No label-free stand-in for it has been published.
    """
    refuse_other_ids({"weak": ids_of(weak), "probe": ids_of(probe), "truth": ids_of(truth)})
    labels, scores = probabilities(weak, "weak"), probabilities(probe, "probe")
    true = np.asarray(as_numpy(truth), dtype=np.float64)
    if not len(labels) == len(scores) == len(true) == len(graph.indices):
        raise InputError(
            f"{len(labels)} weak labels, {len(scores)} scores, {len(true)} truths and a graph of {len(graph.indices)} "
            "rows: one a row is needed"
        )
    if not 0 <= eta < 1:
        raise InputError(f"eta={eta}: a share of the edges is in [0, 1)")
    numbers, rows = group_numbers(groups, len(labels)), ~np.isnan(true)
    n = int(rows.sum())
    if not n:
        return unknown(EXPANSION, "truth", 0, NO_TRUTH)
    side = np.zeros(len(true), dtype=bool)
    side[rows] = truth_sides(true[rows], n)
    right, mistaken = rows & (above_half(labels) == side), rows & (above_half(labels) != side)
    found = right & (above_half(scores) == side)
    edges = symmetric_edges(graph.first(k))
    sides = [(right & own, mistaken & own, found & own) for own in (side, ~side)]

    def least(mask: NDArray[np.bool_]) -> float:
        there = edges[mask[edges].all(axis=1)]
        first, second = (expansion_of(good & mask, bad & mask, u & mask, there, eta) for good, bad, u in sides)
        return float(np.fmin(first, second))

    if np.isnan(least(np.ones(len(labels), dtype=bool))):
        nothing = "no weak label is wrong: there is nothing to expand into"
        one_sided = "no class has rows that the weak label has wrong, and others that it and the probe have right"
        return unknown(EXPANSION, "truth", n, one_sided if mistaken.any() else nothing)
    estimate = jackknifed(least, len(labels), numbers, blocks=blocks, seed=seed)
    if not blocks:
        return Foretold(EXPANSION, without_interval(estimate.value), "truth", n)
    return known(EXPANSION, estimate, "truth", n, numbers, (0, np.inf))


def expansion_of(
    good: NDArray[np.bool_],
    bad: NDArray[np.bool_],
    found: NDArray[np.bool_],
    edges: NDArray[np.int64],
    eta: float,
) -> float:
    """P_{1-η}(U, A) / P(U | B) of A `bad`, B `good` and U `found` (n,), a part of B; NaN where one of them is empty.

    The least V leaves out the rows of A that the fewest edges join to U, as many as a share η of the edges of U allows:
    rows outside A cost nothing and are all in V.
    """
    if not bad.any() or not found.any():
        return float("nan")
    touching = edges[found[edges[:, 1]]]
    weight = np.bincount(touching[:, 0], minlength=len(good))
    reached = np.sort(weight[bad & (weight > 0)])
    spared = int(np.searchsorted(reached.cumsum(), eta * len(touching) + 1e-9, side="right"))
    return float((len(reached) - spared) / bad.sum() / (found.sum() / good.sum()))
