"""Filters: which weak labels a probe would drop. A filter says so with a mask; it never moves or drops a row itself."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError
from .probes import Connectivity, TopoProbe
from .probes.validation import soft_labels

KEPT, OUTSIDE, DISAGREES = "", "outside component", "disagreement"


@dataclass(frozen=True)
class FilterResult:
    """A filter's verdict on n rows, in the order in which they were given."""

    mask: NDArray[np.bool_]  # (n,) true where the row is kept
    scores: NDArray[np.float64]  # (n,) how far the label is from the probe's out-of-sample P(label = 1)
    reasons: NDArray[np.object_]  # (n,) why a row goes: "outside component", "disagreement", or "" where kept
    labels: NDArray[np.float64]  # (n,) the labels that were judged, P(label = 1)
    requested: int  # rows that the contamination asked to remove; more are gone where a first step overshot

    @property
    def removed(self) -> NDArray[np.intp]:
        """Indices of the rows dropped, ascending."""
        return np.flatnonzero(~self.mask)

    @property
    def overshoot(self) -> int:
        """Rows removed beyond those asked for."""
        return max(0, len(self.removed) - self.requested)

    def report(self, truth: ArrayLike | None = None) -> dict[str, float]:
        """Counts; with ground truth (n,) also how well the removed rows match the wrong labels.

        `precision` is the share of removed labels that are wrong, `base_rate` that of all labels (what a random
        filter would reach), `recall` the share of wrong labels removed. Ratios over no rows are NaN. The truth
        makes this an oracle's diagnostic: nothing may be chosen by it.
        """
        gone = ~self.mask
        report = {
            "n": float(len(gone)),
            "kept": float(self.mask.sum()),
            "removed": float(gone.sum()),
            "requested": float(self.requested),
            "overshoot": float(self.overshoot),
            "positive_before": float((self.labels > 0.5).mean()),
            "positive_after": _mean(self.labels[self.mask] > 0.5),
        }
        if truth is not None:
            wrong = (self.labels > 0.5) != (soft_labels(truth, len(gone))[0] > 0.5)
            report |= {
                "base_rate": float(wrong.mean()),
                "precision": _mean(wrong[gone]),
                "recall": _mean(gone[wrong]),
                "accuracy_before": float(1 - wrong.mean()),
                "accuracy_after": 1 - _mean(wrong[self.mask]),
            }
        return report


def _mean(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def disagreement_filter(y: ArrayLike, p: ArrayLike, contamination: float = 0.1) -> FilterResult:
    """Drop the round(n · contamination) rows whose label y is farthest from the probe's P(label = 1), p (n,).

    `p` should be out-of-sample (`relabel`): a probe that has seen a label agrees with it. Of equal distances the
    later rows go first.
    """
    labels, scores = _probabilities(y, "labels"), _probabilities(p, "probe scores")
    if labels.shape != scores.shape:
        raise InputError(f"{len(labels)} labels but {len(scores)} probe scores")
    return _without(labels, np.abs(labels - scores), contamination, np.ones(len(labels), dtype=bool))


def topo_filter(
    X: ArrayLike,
    y: ArrayLike,
    k_cc: int = 50,
    k_zeta: int = 50,
    contamination: float = 0.1,
    connectivity: Connectivity = "strong",
    zeta: float | None = None,
) -> FilterResult:
    """TopoFilter: keep each class's largest component (`topo_cc`), then drop rows that disagree with their neighbours.

    Neighbours are the k_zeta nearest rows among those kept, self left out. With `zeta=None` (EleutherAI's form)
    the rows farthest from their neighbours' mean soft label go until round(n · contamination) are gone in all;
    where the first step has already removed more, none goes (`overshoot`). With `zeta` (the paper's form) a row
    stays if at least that share of its neighbours has its class; a zeta above 1 means majority vote. Related rows
    are not kept apart: where rows come in groups, a row may be judged by its own group.
    """
    if zeta is not None and not zeta >= 0:
        raise InputError(f"zeta={zeta} must be at least 0: the share of agreeing neighbours (above 1: majority vote)")
    probe = TopoProbe(k_cc, k_zeta, connectivity).fit(X, y)
    agreed = np.abs(probe.p_ - probe.out_of_sample_)
    if zeta is None:
        return _without(probe.p_, agreed, contamination, probe.core_)
    positive = probe.p_ > 0.5
    share = (positive[probe.core_neighbors_] == positive[:, None]).mean(axis=1)
    mask = probe.core_ & (share >= (0.5 if zeta > 1 else zeta))
    reasons = np.where(mask, KEPT, np.where(probe.core_, DISAGREES, OUTSIDE)).astype(object)
    return FilterResult(mask, agreed, reasons, probe.p_, requested=int((~mask).sum()))


def _without(
    labels: NDArray[np.float64], scores: NDArray[np.float64], contamination: float, core: NDArray[np.bool_]
) -> FilterResult:
    """Rows outside the core go first; of those inside, the highest scores, up to round(n · contamination) in all."""
    if not 0 <= contamination < 1:
        raise InputError(f"contamination={contamination} must be in [0, 1): the share of rows to remove")
    requested = round(len(labels) * contamination)
    left = max(0, requested - int((~core).sum()))
    inside = np.flatnonzero(core)
    worst = inside[np.argsort(scores[inside], kind="stable")][len(inside) - left :]
    reasons = np.where(core, KEPT, OUTSIDE).astype(object)
    reasons[worst] = DISAGREES
    return FilterResult(reasons == KEPT, scores, reasons, labels, requested)


def _probabilities(values: ArrayLike, name: str) -> NDArray[np.float64]:
    p = np.asarray(values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise InputError(f"{name} must be a vector of probabilities in [0, 1]")
    return p
