"""The noise of weak labels, by class: estimated from a probe's out-of-sample scores, or from an audit."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities
from ..errors import InputError
from ..labels.label_set import ids_of, refuse_other_ids
from ..metrics.audit_design import AuditDesign
from ..metrics.intervals import NO_ESTIMATE, Estimate
from ..metrics.resampling import interval
from ..rows.groups import group_numbers
from ..ties import above_half
from .audits import LEAST_AUDITED, checked_audit, in_row_order
from .calibration import auroc_interval, expected_calibration_error, reliability
from .confident import confident_counts, confident_joint, excess, resampled
from .estimate import Matrix, NoiseEstimate, NoiseStatus
from .prediction_powered import audit_quantile, corrected_joint, with_pseudo_rows
from .weighted_joint import weighted_joint

LEAST_ROWS = 20  # of each weak class, confident rows or groups: below, a bootstrap of means and counts is no guide
# AUROC against the weak labels that a probe must be above, with its interval. Whether right labels are of overlapping
# classes or wrong ones of separated classes, the confident joint says about 1 - AUROC (± .02 in simulations): at .6,
# that four labels in ten are wrong, of which none or all may be. The cut itself is a choice.
LEAST_AUROC = 0.6
MOST_EXCESS = 0.03  # noise by the joint beyond that of the surest rows: more, if beyond chance, is a bias above .015
MOST = 0.499  # contamination stays below ½: from there on labels would better be swapped than dropped
NAN = float("nan")

Entries = NDArray[np.bool_]  # a mask (2, 2) over the joint [weak class, true class]
Ratio = Callable[[Entries, Entries], Estimate]  # the sum of the first entries over that of the second


def noise_model(
    y: ArrayLike,
    p: ArrayLike,
    *,
    audited: tuple[ArrayLike, ArrayLike] | None = None,
    design: AuditDesign | None = None,
    draws: int = 1000,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> NoiseEstimate:
    """Estimate the noise of weak labels y (n,) from out-of-sample scores p (n,), both P(label = 1); classes by ½.

    Without an audit: the confident joint (`confident`), with percentile intervals from `draws` bootstrap resamples
    of rows, or of whole `groups` (n,). It assumes scores that inform and that do not follow a row's own label error:
    an in-sample probe agrees with every error and finds none, and a probe that shares the supervisor's mistakes
    cannot see them. The intervals hold sampling error only, not a failure of that assumption, which labels and scores
    cannot rule out: the status is never "ok". It is "few rows": under 20 rows (groups, confident rows) of a weak
    class; "uninformative": the scores' AUROC against the labels may be .6 or less, so that right labels of
    overlapping classes and wrong ones look alike; "hard rows": labels agree better with the probe where it is sure
    than the estimate says, and the noise may be far off in either direction; else "assumption not checked".

    `audited` = (rows, truth): indices (m,) or a mask (n,) of rows drawn at random within each weak class, and their
    P(label = 1) (m,), in that order; some thirty of each class. Then prediction-powered inference
    (`prediction_powered`) in closed form: it holds whatever the scores, and is more precise where they are good. The
    share of wrong labels is unbiased but for a cut at 0; rates within a true class are ratios of such, biased by few
    rows. It estimates the rate of the source of the rows; for these very rows the intervals are, if anything, wide.
    Status "ok", or "few rows" below 10 audited rows (groups) of a weak class.

    `design`: with what probability each audited row was drawn, in the order of `audited`, where rows of a class were
    not as likely as each other. Then every row counts by its weight (`weighted_joint`), and intervals are of these
    very n rows, over draws, for which rows and not groups count.

    `contamination` says how many labels are wrong, not that dropping as many rows helps anything.

    InputError for numbers that are no probabilities, other lengths, labels of one class, or an audit with rows out
    of range, named twice, or fewer than two of a weak class.
    """
    refuse_other_ids({"labels": ids_of(y), "probe scores": ids_of(p)})
    scores = probabilities(p, "probe scores")
    labels = probabilities(y, "labels")
    if len(labels) != len(scores):
        raise InputError(f"{len(labels)} labels but {len(scores)} probe scores")
    if draws < 2:
        raise InputError(f"draws={draws} must be at least 2 (1000 is usual)")
    positive = above_half(labels)
    if positive.all() or not positive.any():
        raise InputError(f"one class only: all {len(labels)} labels are on the same side of 0.5; noise needs both")
    together = group_numbers(groups, len(labels))
    auroc = Estimate(*auroc_interval(positive, scores, together))
    if audited is None:
        if design is not None:
            raise InputError("a design says how audited rows were drawn, and none is audited: leave it out")
        resamples = resampled(positive, scores, draws, seed, together)
        # Resamples of a single row, or group, are all alike: they would call it certain.
        enough = slice(None) if _fewest(positive, together) > 1 else slice(0)
        ratio = _resampled(confident_joint(positive, scores), resamples.joints[enough])
        beyond = Estimate(excess(positive, scores), *_interval(resamples.excess[enough]))
        status = _status_without_audit(positive, scores, together, auroc, beyond)
        table = reliability(scores, positive.astype(np.float64))
        return _estimate(ratio, status, None, len(labels), auroc, beyond, table)
    seen, true_side = checked_audit(audited, positive)
    wrong = seen & (true_side != positive)
    if design is None:
        ratio = _corrected(positive, scores, seen, wrong, together)
        of_audit = None if together is None else together[seen]
        rates = [seen[positive == side].mean() for side in (False, True)]  # classes may be audited at different rates
        weights = 1 / np.where(positive[seen], rates[1], rates[0])
    else:
        drawn, of_audit = in_row_order(design, audited[0], int(seen.sum())), None
        ratio, weights = weighted_joint(positive, scores, seen, wrong, drawn).ratio, drawn.weights
    status = "ok" if _fewest(positive[seen], of_audit) >= LEAST_AUDITED else "few rows"
    table = reliability(scores[seen], true_side[seen].astype(np.float64), weights)
    return _estimate(ratio, status, int(seen.sum()), len(labels), auroc, NO_ESTIMATE, table)


def _estimate(
    ratio: Ratio,
    status: NoiseStatus,
    audited: int | None,
    n: int,
    auroc: Estimate,
    beyond: Estimate,
    table: pd.DataFrame,
) -> NoiseEstimate:
    everything = np.ones((2, 2), dtype=bool)
    noise = ratio(~np.eye(2, dtype=bool), everything)
    low, value, high = np.clip([noise.low, noise.value, noise.high], 0, MOST).tolist()
    rows, columns = np.indices((2, 2))
    return NoiseEstimate(
        status=status,
        oracle=audited is not None,
        n=n,
        audited=audited or 0,
        noise=noise,
        true_given_weak=_matrix(lambda i, j: ratio((rows == i) & (columns == j), rows == i)),
        weak_given_true=_matrix(lambda j, i: ratio((rows == i) & (columns == j), columns == j)),
        contamination=Estimate(value, low, high) if status == "ok" else NO_ESTIMATE,
        excess=beyond,
        auroc=auroc,
        calibration=table,
        calibration_error=expected_calibration_error(table),
    )


def _matrix(entry: Callable[[int, int], Estimate]) -> Matrix:
    return (entry(0, 0), entry(0, 1)), (entry(1, 0), entry(1, 1))


def _resampled(joint: NDArray[np.float64], resamples: NDArray[np.float64]) -> Ratio:
    """Ratios of a joint, with percentile intervals from resamples (b, 2, 2) of it, NaN where there are none."""

    def ratio(top: Entries, bottom: Entries) -> Estimate:
        drawn = resamples[:, top].sum(axis=1) / resamples[:, bottom].sum(axis=1)
        return Estimate(_share(joint, top, bottom), *_interval(drawn))

    return ratio


def _corrected(
    positive: NDArray[np.bool_],
    p: NDArray[np.float64],
    seen: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
    groups: NDArray[np.intp] | None,
) -> Ratio:
    """Ratios of the prediction-powered joint; intervals from the one with pseudo-rows, around its own value."""
    joint = corrected_joint(positive, p, seen, wrong, groups).joint
    cautious = with_pseudo_rows(positive, p, seen, wrong, groups)
    errors = audit_quantile(int(seen.sum()) if groups is None else len(np.unique(groups[seen])))

    def ratio(top: Entries, bottom: Entries) -> Estimate:
        # A true class that no audited row has: rates within it are unknown, and its share is 0 but for rounding.
        if joint[bottom].sum() < 1e-12:
            return NO_ESTIMATE
        value = _share(joint, top, bottom)
        center = _share(cautious.joint, top, bottom)
        half = errors * cautious.ratio_error(center, top, bottom)
        # The unbiased value may leave [0, 1], or, where hardly an error was seen, the interval.
        value = min(1.0, max(0.0, value))
        return Estimate(value, max(0.0, min(value, center - half)), min(1.0, max(value, center + half)))

    return ratio


def _interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """As `interval`; NaN where no resample had rows of both classes, as may happen with a handful of rows."""
    return interval(drawn) if len(drawn) else (NAN, NAN)


def _share(joint: NDArray[np.float64], top: Entries, bottom: Entries) -> float:
    return float(joint[top].sum() / joint[bottom].sum())


def _status_without_audit(
    positive: NDArray[np.bool_],
    p: NDArray[np.float64],
    groups: NDArray[np.intp] | None,
    auroc: Estimate,
    beyond: Estimate,
) -> NoiseStatus:
    confident = confident_counts(positive, p).sum(axis=1)
    if min(confident.min(), _fewest(positive, groups)) < LEAST_ROWS:
        return "few rows"
    if not auroc.low > LEAST_AUROC:
        return "uninformative"
    return "hard rows" if beyond.value > MOST_EXCESS and beyond.low > 0 else "assumption not checked"


def _fewest(positive: NDArray[np.bool_], groups: NDArray[np.intp] | None) -> int:
    """Rows, or groups, of the smaller class."""
    if groups is None:
        return int(min(positive.sum(), (~positive).sum()))
    return min(len(np.unique(groups[positive])), len(np.unique(groups[~positive])))
