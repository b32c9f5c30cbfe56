"""How far the errors of a supervisor and of a probe are the same ones: CAPA."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities, truth_sides
from ..errors import InputError
from ..labels.label_set import ids_of, refuse_other_ids
from ..metrics.audit_design import AuditDesign
from ..metrics.influence import InfluenceEstimate
from ..metrics.intervals import Estimate, quantile
from ..rows.groups import group_numbers
from ..tensors import as_numpy
from .foretold_measure import NO_TRUTH, Foretold, known, unknown

CAPA = "CAPA"
NO_CHANCE = 1e-12  # below, agreement by chance is 1 but for rounding


def shared_errors(
    weak: ArrayLike,
    probe: ArrayLike,
    truth: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    design: AuditDesign | None = None,
) -> Foretold:
    """Chance-adjusted probabilistic agreement κ_p of P(1) by a supervisor (n,) and by a probe (n,).

    Goel et al. 2025 (arXiv 2502.04313): κ_p = (c_obs - c_exp) / (1 - c_exp), where c_obs is the mean over rows of
    Σ_o p1(o) p2(o), and c_exp = a1 a2 + (1 - a1)(1 - a2) for two classes, a_i the mean probability that i gives the
    true class. 1: the same mistakes, 0: those of independent models of these accuracies, below 0: other ones. They
    find less gain where κ_p is large. Theirs is between the supervisor and a student that truth has taught; here it
    is between the supervisor and a probe of its own labels, which imitates it: κ_p is then larger.

    `truth` (n,) is P(1), of which the side of ½ counts; NaN where it is not known, and such rows are left out. The
    interval is by Student's t on the influence of rows, or of groups (n,): the infinitesimal jackknife. Where the rows
    whose truth is known were drawn with known probabilities, `design` has them, in their order: each row then counts
    for as many as it stands for, and the interval is over draws (Hájek 1964). Undefined where chance agreement is 1:
    both are right, or both wrong, without doubt on every row.
    """
    refuse_other_ids({"weak": ids_of(weak), "probe": ids_of(probe), "truth": ids_of(truth)})
    first, second = probabilities(weak, "weak"), probabilities(probe, "probe")
    true = np.asarray(as_numpy(truth), dtype=np.float64)
    if not len(first) == len(second) == len(true):
        raise InputError(f"{len(first)} weak labels, {len(second)} scores and {len(true)} truths: one a row is needed")
    numbers, rows = group_numbers(groups, len(first)), ~np.isnan(true)
    n = int(rows.sum())
    if not n:
        return unknown(CAPA, "truth", 0, NO_TRUTH)
    if design is not None and len(design.inclusion) != n:
        raise InputError(f"the design is of {len(design.inclusion)} rows but the truth of {n} is known: one each")
    side = truth_sides(true[rows], n)
    value = _kappa(first[rows], second[rows], side, np.ones(n) if design is None else design.weights)
    if value is None:
        return unknown(CAPA, "truth", n, "agreement by chance is 1: κ is undefined")
    own = None if numbers is None else numbers[rows]
    if design is None:
        return known(CAPA, value.estimate(own), "truth", n, own, (-np.inf, 1))
    # The variance takes what a row adds to a sum over all rows, and weighs it itself.
    error = float(np.sqrt(design.variance(value.influence / design.weights)))
    half = quantile(max(1, n - len(np.unique(design.strata)))) * error
    drawn = Estimate(value.value, value.value - half, value.value + half, error)
    return known(CAPA, drawn, "truth", n, within=(-np.inf, 1))


def _kappa(
    first: NDArray[np.float64], second: NDArray[np.float64], side: NDArray[np.bool_], weights: NDArray[np.float64]
) -> InfluenceEstimate | None:
    """κ_p with the influence of each row (n,), of weighted rows (n,); None where agreement by chance is 1."""
    share = weights / weights.sum()
    same = first * second + (1 - first) * (1 - second)
    right1, right2 = (np.where(side, p, 1 - p) for p in (first, second))
    a1, a2, observed = (float(share @ values) for values in (right1, right2, same))
    chance = a1 * a2 + (1 - a1) * (1 - a2)
    if 1 - chance < NO_CHANCE:
        return None
    kappa = (observed - chance) / (1 - chance)
    moved = (2 * a2 - 1) * (right1 - a1) + (2 * a1 - 1) * (right2 - a2)
    influence = ((same - observed) - (1 - kappa) * moved) / (1 - chance)
    return InfluenceEstimate(float(kappa), influence * share)
