"""Filters: which weak labels a probe would drop. A filter says so with a mask; it never moves or drops a row itself."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities, truth_sides
from ..errors import InputError
from ..labels.class_mix import ClassMix, class_mix
from ..labels.label_file import Labels
from ..labels.label_set import ids_of, refuse_other_ids
from ..labels.verdict_export import export_verdicts
from ..labels.verdicts import DISAGREES, KEPT, OUTSIDE
from ..probes import probe_name
from ..probes.validation import check_activations, soft_labels
from ..relabeling import relabel
from ..rows.folds import fold_numbers
from ..ties import above_half, levels
from .shares import refuse_shares, share_of

PER_ROW = ("mask", "scores", "reasons", "labels", "p", "ids", "folds")  # fields with a number a row


@dataclass(frozen=True, repr=False)
class FilterResult:
    """A filter's verdict on n rows, in the order in which they were given.

    >>> result = disagreement_filter([0.9, 0.8, 0.1, 0.2], [0.8, 0.1, 0.2, 0.3], contamination=0.25)
    >>> result, result.removed.tolist()
    (FilterResult(removed 1 of 4 rows), [1])
    """

    mask: NDArray[np.bool_]  # (n,) true where the row is kept
    scores: NDArray[np.float64]  # (n,) how far the label is from the probe's P(label = 1)
    reasons: NDArray[np.object_]  # (n,) why a row goes: "outside component", "disagreement", or "" where kept
    labels: NDArray[np.float64]  # (n,) the labels that were judged, P(label = 1)
    requested: int  # rows that the contamination asked to remove; more are gone where a first step overshot
    in_sample: bool = False  # whether rows were scored by a probe that had seen their own labels
    p: NDArray[np.float64] | None = None  # (n,) the probe's P(label = 1)
    ids: NDArray[np.object_] | None = None  # (n,) of the rows, where the labels were a LabelSet
    probe: str = "given scores"  # what judged: topo, knn, logistic, or module:Class
    folds: NDArray[np.intp] | None = None  # (n,) in which each row was held out, where the probe was cross-fitted

    @property
    def removed(self) -> NDArray[np.intp]:
        """Indices of the rows dropped, ascending."""
        return np.flatnonzero(~self.mask)

    @property
    def overshoot(self) -> int:
        """Rows removed beyond those asked for."""
        return max(0, len(self.removed) - self.requested)

    def of_rows(self, rows: NDArray[np.bool_]) -> "FilterResult":
        """The verdict on some of the rows (n,) alone, say those whose truth is known."""
        gone = int((rows & ~self.mask).sum())
        parts = {name: getattr(self, name)[rows] for name in PER_ROW if getattr(self, name) is not None}
        return replace(self, requested=gone, **parts)

    def to_frame(self) -> pd.DataFrame:
        """One line a row, in the order given: `label`, `keep`, `score`, `reason`, and `id` and `p` where known."""
        columns = {"id": self.ids, "label": self.labels, "keep": self.mask, "score": self.scores}
        columns |= {"reason": self.reasons, "p": self.p}
        return pd.DataFrame({name: values for name, values in columns.items() if values is not None})

    @property
    def verdict_fields(self) -> dict[str, NDArray[Any]]:
        """The fields of a verdict file (n,) that it knows, by name."""
        fields: dict[str, NDArray[Any]] = {"keep": self.mask, "score": self.scores, "reason": self.reasons}
        if self.p is not None:
            fields["p"] = self.p
        if self.folds is not None:
            fields["fold"] = self.folds.astype(object)  # so that whole numbers stay whole on disk
        return fields

    def export(self, path: Path | str, labels: Labels, *, layer: int | None = None, store: str | None = None) -> None:
        """Write the file that `w2s filter` writes, which `w2s student`, `w2s export` and `w2s report` read.

        `labels` are those that were judged, as a path, a DataFrame with a label file's columns, or a LabelSet: every
        row and field of them is written, with `keep`, `score`, `reason`, `p` and the other fields of a verdict beside.
        Rows are joined by id where the filter was made from a LabelSet; else they are all rows of `labels`, or all with
        `split` = train, in that order. `layer` and `store` (`store.key`) say what the probe has read. InputError where
        rows or labels are others than those judged, or the file cannot be written.
        """
        by = f"{self.probe}, in-sample" if self.in_sample else self.probe
        export_verdicts(path, labels, self.ids, self.labels, self.verdict_fields, probe=by, layer=layer, store=store)

    def report(self, truth: ArrayLike | None = None) -> dict[str, float]:
        """Counts; with ground truth (n,) also how well the removed rows match the wrong labels.

        `precision` is the share of removed labels that are wrong, `base_rate` that of all labels (what a random
        filter would reach), `recall` the share of wrong labels removed. Ratios over no rows are NaN. The truth
        makes this an oracle's diagnostic: nothing may be chosen by it. `report_card` sets it beside controls.
        """
        gone = ~self.mask
        report = {
            "n": float(len(gone)),
            "kept": float(self.mask.sum()),
            "removed": float(gone.sum()),
            "requested": float(self.requested),
            "overshoot": float(self.overshoot),
            "in_sample": float(self.in_sample),
            "positive_before": float(above_half(self.labels).mean()),
            "positive_after": _mean(above_half(self.labels[self.mask])),
        }
        if truth is not None:
            refuse_other_ids({"the filter's labels": self.ids, "truth": ids_of(truth)})
            wrong = above_half(self.labels) != truth_sides(truth, len(gone))
            report |= {
                "base_rate": float(wrong.mean()),
                "precision": _mean(wrong[gone]),
                "recall": _mean(gone[wrong]),
                "accuracy_before": float(1 - wrong.mean()),
                "accuracy_after": 1 - _mean(wrong[self.mask]),
            }
        return report

    @property
    def mix(self) -> ClassMix:
        """The rows of each class of the labels (above one half, or not) before and after the filter."""
        return class_mix(self.labels, self.mask)

    def by_class(self) -> pd.DataFrame:
        """The rows that the filter takes from each class: a line for class 0 and one for class 1.

        `label`, `rows`, `removed`, `share_removed` (of the class; NaN where it has no row), `share_before` and
        `share_after` (of the class among all rows, and among those kept).
        """
        mix = self.mix
        return pd.DataFrame(
            {
                "label": [0, 1],
                "rows": [mix.zero.before, mix.one.before],
                "removed": [mix.zero.dropped, mix.one.dropped],
                "share_removed": [mix.zero.share, mix.one.share],
                "share_before": [1 - mix.before, mix.before],
                "share_after": [1 - mix.after, mix.after],
            }
        )

    def __repr__(self) -> str:
        more = f" ({self.overshoot} beyond the {self.requested} asked for)" if self.overshoot else ""
        how = ", scored in-sample" if self.in_sample else ""
        return f"FilterResult(removed {len(self.removed)} of {len(self.mask)} rows{more}{how})"

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>{self.by_class().to_html(index=False, float_format='{:.3f}'.format)}"


def _mean(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def disagreement_filter(
    y: ArrayLike, p: ArrayLike, contamination: float = 0.1, *, per_class: bool = False, in_sample: bool = False
) -> FilterResult:
    """Drop the round(n · contamination) rows whose label y is farthest from the probe's P(label = 1), p (n,).

    `p` should be out-of-sample (`relabel`): a probe that has seen a label agrees with it; `in_sample` marks a
    result for which it was not. `per_class` drops that share of each class (label above one half, or not), so that
    the class mix stays. Of equal distances the later rows go first; distances are equal where rounding alone parts
    them (`ties.levels`), so that no class goes before the other.
    """
    refuse_other_ids({"labels": ids_of(y), "probe scores": ids_of(p)})
    labels, scores = probabilities(y, "labels"), probabilities(p, "probe scores")
    if labels.shape != scores.shape:
        raise InputError(f"{len(labels)} labels but {len(scores)} probe scores")
    everything = np.ones(len(labels), dtype=bool)
    result = verdict(labels, scores, contamination, everything, per_class=per_class, in_sample=in_sample)
    return replace(result, ids=ids_of(y))


def probe_filter(
    probe: Any,
    X: ArrayLike,
    y: ArrayLike,
    contamination: float = 0.1,
    *,
    per_class: bool = False,
    in_sample: bool = False,
    groups: ArrayLike | None = None,
    folds: int = 5,
    seed: int = 0,
) -> FilterResult:
    """The disagreement filter of any probe, or scikit-learn classifier, on activations X (n, d) and labels y (n,).

    `relabel` scores the rows, out of sample unless `in_sample`; `disagreement_filter` drops them.
    """
    p = relabel(probe, X, y, in_sample, groups=groups, folds=folds, seed=seed)
    labels, _ = soft_labels(y, len(p))
    result = disagreement_filter(labels, p, contamination, per_class=per_class, in_sample=in_sample)
    held_out = None
    if not in_sample and not hasattr(type(probe), "out_of_sample_"):
        held_out = fold_numbers(check_activations(X), labels, groups=groups, folds=folds, seed=seed)
    return replace(result, ids=ids_of(y), probe=probe_name(probe), folds=held_out)


def verdict(
    labels: NDArray[np.float64],
    p: NDArray[np.float64],
    contamination: float,
    core: NDArray[np.bool_],
    *,
    max_removed: float | None = None,
    per_class: bool = False,
    in_sample: bool = False,
) -> FilterResult:
    """Rows outside the core go first; of those inside, the ones farthest from p, up to the contamination in all.

    Of the rows outside at most the share `max_removed` goes, the farthest first; the others are as if inside.
    """
    refuse_shares(contamination, max_removed)
    scores = np.abs(labels - p)
    order = levels(scores)
    outside = capped(labels, scores, core, max_removed, per_class)
    reasons = np.where(outside, OUTSIDE, KEPT).astype(object)
    requested = 0
    for rows in class_parts(labels, per_class):
        budget = share_of(len(rows), contamination)
        requested += budget
        inside = rows[~outside[rows]]
        left = max(0, budget - (len(rows) - len(inside)))
        reasons[farthest(inside, order, left)] = DISAGREES
    return FilterResult(reasons == KEPT, scores, reasons, labels, requested, in_sample, p)


def capped(
    labels: NDArray[np.float64],
    scores: NDArray[np.float64],
    core: NDArray[np.bool_],
    max_removed: float | None,
    per_class: bool,
) -> NDArray[np.bool_]:
    """The rows outside the core (n,), or the farthest of them where they are more than the cap."""
    if max_removed is None:
        return ~core
    order, outside = levels(scores), np.zeros(len(core), dtype=bool)
    for rows in class_parts(labels, per_class):
        beyond = rows[~core[rows]]
        outside[farthest(beyond, order, min(len(beyond), share_of(len(rows), max_removed)))] = True
    return outside


def farthest(rows: NDArray[np.intp], order: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """The `count` rows of highest level (`ties.levels`), later ones first where they are equal."""
    return rows[np.argsort(order[rows], kind="stable")][len(rows) - count :]


def class_parts(labels: NDArray[np.float64], per_class: bool) -> list[NDArray[np.intp]]:
    """All rows, or those of each class."""
    if not per_class:
        return [np.arange(len(labels))]
    return [np.flatnonzero(above_half(labels) == side) for side in (False, True)]
