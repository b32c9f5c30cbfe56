"""A filter's report card: what it removed, by the ground truth, beside controls that any filter has to beat."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from ..checks import truth_sides
from ..labels.label_set import ids_of, refuse_other_ids
from ..metrics.resampling import interval
from ..rows.groups import group_numbers
from ..ties import above_half
from .disagreement import FilterResult
from .matched_controls import Flags, chosen_by_row_order, comparable, least_confident, matched_draws, true_errors_first
from .overlap import Overlap, overlap, refuse_other_rows


@dataclass(frozen=True)
class RemovalMeasures:
    """A removal judged by the ground truth. Ratios over no rows are NaN.

    >>> from w2s_probes.filtering import disagreement_filter
    >>> result = disagreement_filter([0.9, 0.8, 0.1, 0.2], [0.8, 0.1, 0.2, 0.3], contamination=0.25)
    >>> report_card(result, [1, 0, 0, 0], draws=100).filter.accuracy_kept
    1.0
    """

    wrong: float  # wrong labels removed; of the random control the mean or an end of its interval
    precision: float  # share of the removed labels that are wrong
    recall: float  # share of the wrong labels that are removed
    lift: float  # precision / share of wrong labels among all rows
    accuracy_kept: float  # label accuracy of the rows kept
    accuracy_removed: float  # and of those removed
    positive_after: float  # share of positive labels (above ½) among the rows kept


@dataclass(frozen=True)
class ReportCard:
    """A filter beside its controls. All that needs the ground truth is an oracle's: nothing may be chosen by it.

    >>> from w2s_probes.filtering import disagreement_filter
    >>> result = disagreement_filter([0.9, 0.8, 0.1, 0.2], [0.8, 0.1, 0.2, 0.3], contamination=0.25)
    >>> card = report_card(result, [1, 0, 0, 0], draws=100)
    >>> card.filter.precision, card.base_rate, card.oracle.recall
    (1.0, 0.25, 1.0)
    """

    n: int  # rows judged
    requested: int  # rows the filter was asked to remove
    removed: int  # rows it removed, as many as each control does
    overshoot: int  # rows removed beyond those asked for
    in_sample: bool  # whether its scores had seen the labels
    positive_before: float  # share of positive labels among all rows
    base_rate: float  # share of wrong labels among all rows: the precision of removing at random. Oracle
    filter: RemovalMeasures
    random: RemovalMeasures  # mean over random removals of as many rows of each class
    random_low: RemovalMeasures  # and the central 95 % of the draws
    random_high: RemovalMeasures
    oracle: RemovalMeasures  # as many rows, true errors first
    confidence: RemovalMeasures  # as many rows of each class, those whose weak label is nearest to ½
    p_random: float  # (1 + draws that remove as many wrong rows or more) / (1 + draws), one-sided. Oracle
    p_confidence: float  # exact two-sided sign (McNemar) test of the next two. Oracle
    found_by_filter: int  # wrong rows that the filter removes and the confidence control keeps; groups, if grouped
    found_by_confidence: int  # the other way round
    confidence_ties: int  # rows of the confidence control that only their place in the file chose; all if hard labels
    comparable: float  # share of removed rows that the random control could place elsewhere (1 without groups)
    draws: int  # random removals
    overlaps: Mapping[str, Overlap]  # with other filters, by name

    def to_frame(self) -> pd.DataFrame:
        """Tidy: `of` (who removed), `measure`, `value`, `low`, `high` (95 %, NaN where none), `oracle`."""
        nan = float("nan")
        rows: list[tuple[str, str, float, float, float, bool]] = [
            ("labels", "positive_before", self.positive_before, nan, nan, False),
            ("labels", "base_rate", self.base_rate, nan, nan, True),
            ("filter", "requested", self.requested, nan, nan, False),
            ("filter", "removed", self.removed, nan, nan, False),
            ("filter", "overshoot", self.overshoot, nan, nan, False),
        ]
        for name in ("filter", "random", "confidence", "oracle"):
            removal: RemovalMeasures = getattr(self, name)
            for field in fields(RemovalMeasures):
                ends = (nan, nan)
                if name == "random":
                    low, high = (float(getattr(end, field.name)) for end in (self.random_low, self.random_high))
                    ends = (min(low, high), max(low, high))  # accuracy_removed falls as precision rises
                # Only the oracle's own class mix needs the truth.
                oracle = field.name != "positive_after" or name == "oracle"
                rows.append((name, field.name, getattr(removal, field.name), *ends, oracle))
        rows += [
            ("random", "p_value", self.p_random, nan, nan, True),
            ("random", "comparable", self.comparable, nan, nan, False),
            ("confidence", "p_value", self.p_confidence, nan, nan, True),
            ("confidence", "found_by_filter", self.found_by_filter, nan, nan, True),
            ("confidence", "found_by_confidence", self.found_by_confidence, nan, nan, True),
            ("confidence", "ties", self.confidence_ties, nan, nan, False),
        ]
        for name, shared in self.overlaps.items():
            rows.append((name, "jaccard", shared.jaccard, nan, nan, False))
            rows.append((name, "jaccard_by_chance", shared.expected, shared.low, shared.high, False))
        table = pd.DataFrame(rows, columns=["of", "measure", "value", "low", "high", "oracle"])
        return table.astype({"value": float, "low": float, "high": float})

    def __repr__(self) -> str:
        return (
            f"ReportCard(removed {self.removed} of {self.n}; oracle's figures: precision {self.filter.precision:.3f}, "
            f"at random {self.random.precision:.3f} [{self.random_low.precision:.3f}, "
            f"{self.random_high.precision:.3f}] (p = {self.p_random:.2g}), by confidence "
            f"{self.confidence.precision:.3f} (p = {self.p_confidence:.2g}), best {self.oracle.precision:.3f})"
        )

    def _repr_html_(self) -> str:
        table = self.to_frame()
        shown = table[table["of"].isin(["filter", "random", "confidence", "oracle"])]
        measures = [field.name for field in fields(RemovalMeasures)]
        wide = shown.pivot_table(index="measure", columns="of", values="value").reindex(measures)
        wide = wide.reindex(columns=["filter", "random", "confidence", "oracle"])
        return (
            f"<p>Removed {self.removed} of {self.n} rows ({self.requested} asked for). By the ground truth (oracle): "
            f"p = {self.p_random:.2g} against random, {self.p_confidence:.2g} against confidence.</p>"
            + wide.to_html(float_format="{:.3f}".format, na_rep="")
        )


def report_card(
    result: FilterResult,
    truth: ArrayLike,
    *,
    others: Mapping[str, FilterResult] | None = None,
    groups: ArrayLike | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> ReportCard:
    """Judge a filter by the truth (n,), P(label = 1), beside random, confidence-only and oracle removals of its size.

    A label is wrong where it is on the other side of ½ than the truth. The random control removes as many rows of
    each weak class; with `groups` (n,) it also keeps how far removed rows cluster in related rows
    (`controls.matched_draws`), and the test against the confidence control counts groups, by which of the two finds
    more of their wrong rows. With all labels hard the confidence control is the order of the rows
    (`confidence_ties`) and says nothing. One-sided p for random: fewer wrong rows than by chance is no finding.

    O(n log n + draws), with groups O(draws · groups). InputError where lengths or rows differ.
    """
    gone, labels = ~result.mask, result.labels
    positive = above_half(labels)
    refuse_other_rows({"this": result, **(others or {})})
    refuse_other_ids({"the filter's labels": result.ids, "truth": ids_of(truth)})
    true_side = truth_sides(truth, len(gone))
    ids = group_numbers(groups, len(gone))
    wrong = positive != true_side
    by_confidence = least_confident(labels, gone)
    drawn = matched_draws(wrong, gone, positive, draws, seed, ids)
    low, high = interval(drawn.astype(np.float64))
    by_filter, by_control = _found_by_one_only(wrong & gone & ~by_confidence, wrong & by_confidence & ~gone, ids)

    def judged(chosen: Flags, hits: float | None = None) -> RemovalMeasures:
        return _removal(chosen, positive, wrong, hits)

    return ReportCard(
        n=len(gone),
        requested=result.requested,
        removed=int(gone.sum()),
        overshoot=result.overshoot,
        in_sample=result.in_sample,
        positive_before=float(positive.mean()),
        base_rate=float(wrong.mean()),
        filter=judged(gone),
        random=judged(gone, float(drawn.mean())),
        random_low=judged(gone, low),
        random_high=judged(gone, high),
        oracle=judged(true_errors_first(wrong, gone)),
        confidence=judged(by_confidence),
        p_random=float((1 + (drawn >= (wrong & gone).sum()).sum()) / (1 + draws)),
        p_confidence=float(binomtest(by_filter, by_filter + by_control).pvalue) if by_filter + by_control else 1.0,
        found_by_filter=by_filter,
        found_by_confidence=by_control,
        confidence_ties=chosen_by_row_order(labels, by_confidence),
        comparable=comparable(gone, positive, ids),
        draws=draws,
        overlaps={name: overlap(gone, ~other.mask, positive) for name, other in (others or {}).items()},
    )


def _removal(chosen: Flags, positive: Flags, wrong: Flags, hits: float | None) -> RemovalMeasures:
    """Measures of a removal with `hits` wrong rows (those chosen unless given): linear in it, but for the class mix."""
    hits = float((chosen & wrong).sum()) if hits is None else hits
    removed, bad = int(chosen.sum()), int(wrong.sum())
    precision = _ratio(hits, removed)
    return RemovalMeasures(
        wrong=hits,
        precision=precision,
        recall=_ratio(hits, bad),
        lift=_ratio(precision * len(wrong), bad),
        accuracy_kept=1 - _ratio(bad - hits, len(wrong) - removed),
        accuracy_removed=1 - precision,
        positive_after=_ratio(float(positive[~chosen].sum()), len(wrong) - removed),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _found_by_one_only(ours: Flags, theirs: Flags, groups: NDArray[np.intp] | None) -> tuple[int, int]:
    """Wrong rows that only one of two removals finds, or the groups in which one finds more than the other.

    Groups and not rows where rows come in groups: a sign test needs independent pairs.
    """
    if groups is None:
        return int(ours.sum()), int(theirs.sum())
    lead = np.bincount(groups, weights=ours.astype(float) - theirs)
    return int((lead > 0).sum()), int((lead < 0).sum())
