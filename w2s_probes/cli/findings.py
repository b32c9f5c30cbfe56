"""What a filter and a relabelling found, in sentences: how sure that is, and what it is to be compared with."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..filtering import FilterResult
    from ..label_quality import Change
    from ..neighbors import Neighbors

Truth = NDArray[np.float64] | None


def of_approximation(graph: "Neighbors | None") -> list[str]:
    """What an approximate index missed."""
    if graph is None or graph.recall == 1:
        return []
    return [f"approximate neighbours: {graph.recall:.1%} of the true ones were found, measured on 256 rows"]


def of_filter(
    result: "FilterResult", truth: Truth, groups: NDArray[np.object_] | None, labels: Path, *, per_class: bool = False
) -> list[str]:
    """How many rows go, of which class, and what the truth (n,), NaN where unknown, says of them and of the rest."""
    text = f"kept {int(result.mask.sum())} of {len(result.mask)} rows, removed {len(result.removed)}"
    if result.overshoot:
        text += f" ({result.overshoot} more than asked for: the components alone removed them)"
    if result.in_sample:
        text += "; scored in-sample, which flatters the labels"
    lines = [text, *_of_classes(result, per_class)]
    known = np.zeros(len(result.mask), dtype=bool) if truth is None else ~np.isnan(truth)
    if truth is not None and known.any():
        lines += _of_truth(result, truth, known, groups)
    if result.p is not None and not result.in_sample and not known.all():
        lines.append(_of_wrong_labels(result, result.p, truth, known, groups, labels))
    return lines


def _of_classes(result: "FilterResult", per_class: bool) -> list[str]:
    """The share of each class that goes, and the class mix before and after."""
    if not len(result.removed):
        return []
    mix = result.mix
    text = (
        f"of label 0 {mix.zero.dropped} of {mix.zero.before} go ({mix.zero.share:.0%}), of label 1 "
        f"{mix.one.dropped} of {mix.one.before} ({mix.one.share:.0%}); label 1 is {mix.after:.1%} of the rows kept, "
        f"{mix.before:.1%} of all"
    )
    if mix.moves and not per_class:
        text += "; --per-class drops the same share of each"
    return [text]


def _of_truth(
    result: "FilterResult", truth: NDArray[np.float64], known: NDArray[np.bool_], groups: NDArray[np.object_] | None
) -> list[str]:
    """Whether the removed labels are wrong more often than others; of all rows, also how many labels are wrong."""
    from ..reportcard import report_card
    from ..ties import above_half

    audited = result.of_rows(known)
    wrong = np.mean(above_half(truth[known]) != above_half(result.labels[known]))
    everything = f"by `truth` {wrong:.0%} of all labels are wrong, an oracle's figure" if known.all() else ""
    if not len(audited.removed):
        none = "" if known.all() else f"none of the {int(known.sum())} rows with `truth` was removed"
        return [line for line in (everything, none) if line]
    card = report_card(audited, truth[known], groups=None if groups is None else groups[known])
    chance = f"{card.random.precision:.0%} [{card.random_low.precision:.0%}, {card.random_high.precision:.0%}]"
    compared = f"against {chance} of as many of each class at random (p = {card.p_random:.1g}; "
    if known.all():
        whole = f"by `truth` {wrong:.0%} of all labels are wrong and {card.filter.precision:.0%} of those removed, "
        return [f"{whole}{compared}an oracle's figures)"]
    which = f"by `truth`, known of {int(known.sum())} rows, {card.filter.precision:.0%} of the "
    return [f"{which}{card.removed} removed among them are wrong, {compared}an oracle's figures)"]


def _of_wrong_labels(
    result: "FilterResult",
    p: NDArray[np.float64],
    truth: Truth,
    known: NDArray[np.bool_],
    groups: NDArray[np.object_] | None,
    labels: Path,
) -> str:
    """How many labels are wrong by the rows whose truth is `known` (n,); why that is not said, where they are too few.

    No share is named without an audit, whatever the probe: its AUROC says how well it separates the labels.
    """
    from ..noise import noise_model
    from ..noise.model import LEAST_AUDITED
    from ..ties import above_half

    counts = [int(known[above_half(result.labels) == side].sum()) for side in (False, True)]
    if truth is not None and min(counts) >= LEAST_AUDITED:
        found = noise_model(result.labels, p, audited=(known, truth[known]), groups=groups)
        probe = f"AUROC of the probe against the weak labels {found.auroc:.2f}"
        if found.status == "ok":
            return (
                f"{found.noise:.0%} of all labels are wrong if the {found.audited} rows with `truth` were drawn at "
                f"random within each weak class ({probe}; an oracle's figures)"
            )
        fewest = "groups" if groups is not None else "rows"
        return f"how many labels are wrong is not said: the audit holds too few {fewest} of a class ({probe})"
    found = noise_model(result.labels, p, groups=groups)
    probe = f"AUROC of the probe against the weak labels {found.auroc:.2f}"
    if known.any():
        return (
            f"how many labels are wrong is not said: `truth` is known of {counts[0]} rows of label 0 and {counts[1]} "
            f"of label 1, and takes at least {LEAST_AUDITED} of each, some thirty for a useful interval ({probe})"
        )
    return (
        f"how many labels are wrong is not said: {found.meaning} ({probe}); audit some thirty rows of each "
        f"label, drawn at random: put their `truth` into {labels}, or into a file of `id` and `truth` for --audit"
    )


def of_new_labels(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    truth: Truth,
    groups: NDArray[np.object_] | None,
    labels: Path,
) -> list[str]:
    """Which way labels moved, and whether they became better by the truth (n,); the first ends a sentence."""
    from ..label_quality import label_change

    change = label_change(before, after, truth, groups=groups)
    moved = f"; {change.moved} changed class"
    if change.moved:
        moved += f", {change.to_one} from 0 to 1 and {change.to_zero} from 1 to 0"
    if change.auroc is None or change.accuracy is None:
        return [
            moved,
            f"whether they are better is not said: no row has `truth`; put that of some rows, drawn at random, into "
            f"{labels}, or into a file of `id` and `truth` for --audit",
        ]
    of = "" if change.known == change.n else f", known of {change.known} rows"
    parts = [f"AUROC {_moved(change.auroc)}"] if not np.isnan(change.auroc.before.value) else []
    parts.append(f"accuracy {_moved(change.accuracy)}")
    return [moved, f"by `truth`{of}: {'; '.join(parts)} (an oracle's figures)"]


def _moved(change: "Change") -> str:
    return f"{change.before:.3f} before, {change.after:.3f} after, difference {change.difference:+.3f}"
