"""Findings of a filter and of a relabelling, in sentences: their certainty, and what they are to be compared with."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..filtering.disagreement import FilterResult
    from ..labels.quality import Change
    from ..metrics.audit_design import AuditDesign
    from ..neighbors import Neighbors

Truth = NDArray[np.float64] | None
FEW = 10  # rows, below which a share of wrong labels is no comparison


def of_approximation(graph: "Neighbors | None") -> list[str]:
    """The neighbours that an approximate index missed."""
    return of_shares_found(None if graph is None or graph.recall == 1 else (graph.recall, graph.recall))


def of_shares_found(found: tuple[float, float] | None) -> list[str]:
    """The least and the largest share of the true neighbours that approximate indexes found; None: there were none."""
    if found is None:
        return []
    from ..neighbors.approximate import SAMPLE

    low, high = (f"{share:.1%}" for share in found)
    share = low if low == high else f"{low} to {high}"
    return [f"approximate neighbours: {share} of the true ones were found, measured on {SAMPLE} rows"]


def of_filter(
    result: "FilterResult",
    truth: Truth,
    groups: NDArray[np.object_] | None,
    labels: Path,
    *,
    design: "AuditDesign | None" = None,
    dropped: NDArray[np.bool_] | None = None,
    advise: bool = True,
) -> list[str]:
    """The rows that go, by class, and what the truth (n,), NaN where unknown, says of them and of the rest.

    `design`: how the rows with a truth were drawn, where not all were as likely. `dropped` (n,): rows that an earlier
    filter has dropped. `advise`: whether --per-class could keep the class mix.
    """
    text = f"kept {int(result.mask.sum())} of {len(result.mask)} rows, removed {len(result.removed)}"
    if result.overshoot:
        text += f" ({result.overshoot} more than asked for: the components alone removed them)"
    if result.in_sample:
        text += "; scored in-sample, which flatters the labels"
    lines = [text, *_of_classes(result, advise), *_of_both_filters(result, dropped)]
    known = np.zeros(len(result.mask), dtype=bool) if truth is None else ~np.isnan(truth)
    if truth is not None and design is not None:
        lines += _of_drawn_truth(result, truth, known, design)
    elif truth is not None and known.any():
        lines += _of_truth(result, truth, known, groups)
    if known.all():
        return lines
    if result.in_sample:
        lines.append("how many labels are wrong is not said of in-sample scores: leave --in-sample out")
    elif result.p is not None:
        lines.append(_of_wrong_labels(result, result.p, truth, known, groups, labels, design))
    return lines


def teaches(result: "FilterResult", dropped: NDArray[np.bool_]) -> bool:
    """Whether rows of both classes are kept, without those that an earlier filter has `dropped` (n,)."""
    from ..ties import above_half

    kept = above_half(result.labels[result.mask & ~dropped])
    return bool(kept.any() and not kept.all())


def _of_classes(result: "FilterResult", advise: bool) -> list[str]:
    """The share of each class that goes, and the class mix before and after."""
    if not len(result.removed):
        return []
    mix = result.mix
    text = (
        f"of label 0 {mix.zero.dropped} of {mix.zero.before} go ({_share(mix.zero.share)}), of label 1 "
        f"{mix.one.dropped} of {mix.one.before} ({_share(mix.one.share)}); label 1 is {mix.after:.1%} of the rows "
        f"kept, {mix.before:.1%} of all"
    )
    if mix.moves and advise:
        text += "; --per-class drops the same share of each"
    return [text]


def _of_both_filters(result: "FilterResult", dropped: NDArray[np.bool_] | None) -> list[str]:
    """The rows dropped in all where an earlier filter has dropped some, too."""
    if dropped is None or not dropped.any():
        return []
    from ..labels.class_mix import class_mix

    keep, both = result.mask & ~dropped, int((dropped & ~result.mask).sum())
    return [
        f"{int(dropped.sum())} rows had `keep` false before and stay out, {both} of them "
        f"removed by this filter, too: {int((~keep).sum())} of {len(keep)} are out in all, and label 1 is "
        f"{class_mix(result.labels, keep).after:.1%} of the rows kept"
    ]


def _of_truth(
    result: "FilterResult", truth: NDArray[np.float64], known: NDArray[np.bool_], groups: NDArray[np.object_] | None
) -> list[str]:
    """Whether the removed labels are wrong more often than others; of all rows, also the number of wrong labels."""
    from ..filtering import report_card
    from ..ties import above_half

    audited = result.of_rows(known)
    wrong = above_half(truth[known]) != above_half(result.labels[known])
    removed, rows = len(audited.removed), int(known.sum())
    everything = f"by `truth` {_share(wrong.mean())} of all labels are wrong" if known.all() else ""
    if removed < FEW:
        wrong_removed = int(wrong[audited.removed].sum())
        which = f"by `truth`, known of {rows} rows, " if not known.all() else f"{everything}; "
        few = f"{wrong_removed} of the {removed} removed among them are wrong: too few to compare with chance"
        return [f"{which}{few} (an oracle's figures)"]
    card = report_card(audited, truth[known], groups=None if groups is None else groups[known])
    chance = f"{card.random.precision:.0%} [{card.random_low.precision:.0%}, {card.random_high.precision:.0%}]"
    compared = f"against {chance} of as many of each class at random (p = {card.p_random:.1g}; an oracle's figures)"
    share = _share(card.filter.precision)
    if known.all():
        return [f"{everything} and {share} of those removed, {compared}"]
    return [f"by `truth`, known of {rows} rows, {share} of the {removed} removed among them are wrong, {compared}"]


def _of_drawn_truth(
    result: "FilterResult", truth: NDArray[np.float64], known: NDArray[np.bool_], design: "AuditDesign"
) -> list[str]:
    """The share of wrong labels among the rows removed and among those kept, each row by its weight."""
    from ..ties import above_half

    wrong = above_half(truth[known]) != above_half(result.labels[known])
    removed = ~result.mask[known]
    count = int(removed.sum())
    if min(count, int((~removed).sum())) < FEW:
        few = f"{count} of the {int(known.sum())} rows with `truth` are removed: too few to compare with those kept"
        return [f"{few} (an oracle's figures)"]
    shares = [design.share_of(wrong, rows) for rows in (removed, ~removed)]
    return [
        f"by `truth` of {int(known.sum())} rows, each by the probability with which it was drawn, {shares[0]:.0%} of "
        f"the rows removed are wrong and {shares[1]:.0%} of those kept (an oracle's figures)"
    ]


def _of_wrong_labels(
    result: "FilterResult",
    p: NDArray[np.float64],
    truth: Truth,
    known: NDArray[np.bool_],
    groups: NDArray[np.object_] | None,
    labels: Path,
    design: "AuditDesign | None",
) -> str:
    """The number of wrong labels by the rows whose truth is `known` (n,); why that is not said, where they are too few.

    No share is named without an audit, whatever the probe: its AUROC says how well it separates the labels.
    """
    from ..noise import noise_model
    from ..noise.audits import LEAST_AUDITED
    from ..ties import above_half

    sides = [above_half(result.labels) == side for side in (False, True)]
    counts = [int(known[side].sum()) for side in sides]
    if truth is not None and min(counts) >= LEAST_AUDITED:
        model = noise_model(result.labels, p, audited=(known, truth[known]), design=design, groups=groups)
        probe = f"AUROC of the probe against the weak labels {model.auroc:.2f}"
        if model.status == "ok":
            drawn = "if the {} rows with `truth` were drawn at random within each weak class"
            if design is not None:
                drawn = "by the {} rows with `truth`, each by the probability with which it was drawn"
            how = drawn.format(model.audited)
            return f"{model.noise:.0%} of all labels are wrong {how} ({probe}; an oracle's figures)"
        fewest = "groups" if groups is not None else "rows"
        return f"how many labels are wrong is not said: the audit holds too few {fewest} of a class ({probe})"
    model = noise_model(result.labels, p, groups=groups)
    probe = f"AUROC of the probe against the weak labels {model.auroc:.2f}"
    if known.any():
        return (
            f"how many labels are wrong is not said: `truth` is known of {counts[0]} rows of label 0 and {counts[1]} "
            f"of label 1, and takes at least {LEAST_AUDITED} of each, some thirty for a useful interval ({probe})"
        )
    rare = [f"all {side.sum()} of label {name}" for name, side in enumerate(sides) if side.sum() <= 3 * LEAST_AUDITED]
    which = f"{' and '.join(rare)} and some thirty of the other" if len(rare) == 1 else "some thirty rows of each label"
    return (
        f"how many labels are wrong is not said: {model.meaning} ({probe}); audit {which}, drawn at random: put their "
        f"`truth` into {labels}, or into a file of `id` and `truth` for --audit"
    )


def of_new_labels(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    truth: Truth,
    groups: NDArray[np.object_] | None,
    labels: Path,
    design: "AuditDesign | None" = None,
) -> list[str]:
    """Which way labels moved, and whether they became better by the truth (n,); the first ends a sentence."""
    from ..labels.quality import label_change
    from ..metrics.recovery import hard_labels

    change = label_change(before, after, truth, groups=groups, design=design)
    moved = f"; {change.moved} changed class"
    if change.moved:
        moved += f", {change.to_one} from 0 to 1 and {change.to_zero} from 1 to 0"
    if change.auroc is None or change.accuracy is None:
        return [
            moved,
            f"whether they are better is not said: no row has `truth`; put that of some rows, drawn at random, into "
            f"{labels}, or into a file of `id` and `truth` for --audit",
        ]
    if change.known < 2 * FEW:
        return [
            moved,
            f"whether they are better is not said: `truth` is known of {change.known} rows, and takes at least "
            f"{2 * FEW}, some sixty for a useful interval",
        ]
    of = "" if change.known == change.n else f", known of {change.known} rows"
    of += ", each by the probability with which it was drawn" if design is not None else ""
    ranked = not np.isnan(change.auroc.before.value) and not hard_labels(before)  # hard labels rank nothing
    parts = [f"AUROC {_moved(change.auroc)}"] if ranked else []
    parts.append(f"accuracy {_moved(change.accuracy)}")
    return [moved, f"by `truth`{of}: {'; '.join(parts)} (an oracle's figures)"]


def _moved(change: "Change") -> str:
    from ..metrics.paired_scores import with_interval

    difference = with_interval(change.difference, "+.3f")
    return f"{with_interval(change.before)} before, {with_interval(change.after)} after, difference {difference}"


def _share(share: float) -> str:
    """A percentage that is 0 % or 100 % only where it is."""
    if np.isnan(share):
        return "none there"
    text = f"{share:.0%}"
    return ">99%" if text == "100%" and share < 1 else "<1%" if text == "0%" and share > 0 else text
