"""The quality of labels by the truth, before and after a change: paired, with intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities, truth_sides
from ..errors import InputError
from ..metrics.audit_design import AuditDesign
from ..metrics.intervals import NO_ESTIMATE, Estimate, quantile
from ..metrics.metric_names import Metric
from ..metrics.paired_scores import METRIC_NAMES, difference, estimate
from ..rows.groups import group_numbers
from ..ties import above_half
from .label_set import ids_of, refuse_other_ids


@dataclass(frozen=True)
class Change:
    """One metric of the labels before and after, and the paired difference; each with its 95 % interval."""

    before: Estimate
    after: Estimate
    difference: Estimate  # after - before, on the same rows


@dataclass(frozen=True)
class LabelChange:
    """The move of labels and, where the truth is known, whether they became better: an oracle's figures.

    >>> change = label_change([0.9, 0.8, 0.3, 0.1], [0.9, 0.2, 0.3, 0.1], truth=[1, 0, 0, 0])
    >>> change.moved, change.accuracy.difference.value
    (1, 0.25)
    """

    n: int  # rows
    to_one: int  # rows that moved from class 0 to class 1
    to_zero: int  # rows that moved from class 1 to class 0
    known: int  # rows whose truth is known, on which the metrics are
    auroc: Change | None  # None where no truth is known; NaN where the known rows are of one true class
    accuracy: Change | None

    @property
    def moved(self) -> int:
        """Rows that changed class."""
        return self.to_one + self.to_zero

    def to_frame(self) -> pd.DataFrame:
        """A row for each metric and for before, after and difference: `metric`, `of`, `value`, `low`, `high`, `n`."""
        lines = []
        for metric, change in (("auroc", self.auroc), ("accuracy", self.accuracy)):
            for of in ("before", "after", "difference") if change is not None else ():
                estimate: Estimate = getattr(change, of)
                lines.append((metric, of, estimate.value, estimate.low, estimate.high, self.known, True))
        return pd.DataFrame(lines, columns=["metric", "of", "value", "low", "high", "n", "oracle"])


def label_change(
    before: ArrayLike,
    after: ArrayLike,
    truth: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    design: AuditDesign | None = None,
) -> LabelChange:
    """Compare labels before (n,) and after (n,), P(label = 1), by the truth (n,) where it is known.

    `truth` is P(label = 1), NaN where it is not known. AUROC ranks rows by their label; accuracy takes a label above
    one half as class 1. Differences are paired, and intervals count `groups` (n,) and not rows where rows come in
    groups (DeLong et al. 1988; Obuchowski 1997). `design`: how the rows with a truth were drawn, in their order, where
    not all were as likely; then accuracy is that of all n rows by weights, and AUROC is NaN. InputError for other
    lengths and numbers outside [0, 1].
    """
    refuse_other_ids({"before": ids_of(before), "after": ids_of(after), "truth": ids_of(truth)})
    first, second = probabilities(before, "labels before"), probabilities(after, "labels after")
    if len(first) != len(second):
        raise InputError(f"{len(first)} labels before but {len(second)} after")
    classes, new = above_half(first), above_half(second)
    known = np.zeros(len(first), dtype=bool)
    if truth is not None:
        given = np.asarray(truth, dtype=np.float64)
        if given.shape != first.shape:
            raise InputError(f"{len(first)} labels but the truth of {len(given)} rows")
        known = ~np.isnan(given)
    auroc = accuracy = None
    if known.any():
        side = truth_sides(np.asarray(truth, dtype=np.float64)[known], int(known.sum()))
    if known.any() and design is not None:
        auroc = Change(NO_ESTIMATE, NO_ESTIMATE, NO_ESTIMATE)
        accuracy = _weighted(design, classes[known] == side, new[known] == side)
    elif known.any():
        auroc, accuracy = (_change(metric, side, first, second, known, groups) for metric in METRIC_NAMES)
    return LabelChange(
        n=len(first),
        to_one=int((new & ~classes).sum()),
        to_zero=int((classes & ~new).sum()),
        known=int(known.sum()),
        auroc=auroc,
        accuracy=accuracy,
    )


def _weighted(design: AuditDesign, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Change:
    """Accuracy of all rows from whether labels `before` and `after` (m,) of the audited ones are right."""
    gain, variance = design.mean(after.astype(np.float64) - before)
    half = quantile(max(1, len(before) - 1)) * float(np.sqrt(variance))
    return Change(design.share_of(before), design.share_of(after), Estimate(gain, gain - half, gain + half))


def _change(
    metric: Metric,
    side: NDArray[np.bool_],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    known: NDArray[np.bool_],
    groups: ArrayLike | None,
) -> Change:
    """The metric by the true classes `side` of the known rows, before and after; NaN where they are of one class."""
    truth, old, new = side.astype(np.float64), before[known], after[known]
    codes = group_numbers(groups, len(known))
    of = None if codes is None else codes[known]
    return Change(
        estimate(metric, truth, old, of) or NO_ESTIMATE,
        estimate(metric, truth, new, of) or NO_ESTIMATE,
        difference(metric, truth, new, old, of) or NO_ESTIMATE,
    )
