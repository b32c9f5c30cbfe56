"""The judges of labels that are no probes: raters, a noise channel, cleanlab's confident learning, overlap density."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..devices import PROCESSOR
from ..errors import InputError, did_you_mean
from ..filtering.judges import (
    CHANNEL,
    CONFIDENT,
    KEPT_KINDS,
    KINDS,
    LEAST_GAIN,
    OVERLAP,
    RATERS,
    PruneBy,
    Similarity,
    refuse_gain,
    refuse_no_cleanlab,
)

if TYPE_CHECKING:
    from ..filtering.disagreement import FilterResult
    from ..filtering.overlap_rows import OverlapDensity
    from ..noise.channel import ChannelEstimate
    from .labelled_layer import LabelledLayer

NO_PROBE = {
    RATERS: "reads the `disagreement` of LABELS",
    CHANNEL: "has scores out of sample alone",
    CONFIDENT: "has scores out of sample alone",
    OVERLAP: "asks no probe",
}


@dataclass(frozen=True)
class OverlapOptions:
    """The options of `--by overlap`."""

    keep: tuple[str, ...] = KEPT_KINDS
    similarity: Similarity = "cosine"
    least_gain: float = LEAST_GAIN

    @classmethod
    def typed(
        cls, by: str, keep: str | None, similarity: Similarity | None, least_gain: float | None
    ) -> "OverlapOptions":
        """From the options as typed; InputError for one of another judge, and for kinds and gains that are none."""
        for option, value in (("--keep", keep), ("--similarity", similarity), ("--least-gain", least_gain)):
            if value is not None and by != OVERLAP:
                raise InputError(f"{option} is of overlap density: leave it out with --by {by}, or give --by {OVERLAP}")
        kinds = KEPT_KINDS if keep is None else tuple(kind.strip() for kind in keep.split(","))
        for kind in kinds:
            if kind not in KINDS:
                raise InputError(f"--keep: {kind!r} is no kind of row: {did_you_mean(kind, KINDS)}")
        if least_gain is not None:
            refuse_gain(least_gain)
        return cls(kinds, similarity or "cosine", LEAST_GAIN if least_gain is None else least_gain)


def count_is_given(by: str, contamination: float | None) -> bool:
    """Whether a share says how many rows go, and not the judge alone."""
    return by not in (CHANNEL, CONFIDENT, OVERLAP) or contamination is not None


def refuse_other_options(
    by: str, *, in_sample: bool, per_class: bool = False, contamination: float | None = None, prune: Any = None
) -> None:
    """InputError for an option that this judge does not read; for what `confident` needs, where it is missing."""
    if by in NO_PROBE and in_sample:
        raise InputError(f"--in-sample is of a probe: --by {by} {NO_PROBE[by]}")
    if by in (CHANNEL, CONFIDENT) and per_class and contamination is None:
        raise InputError(f"--per-class shares out a --contamination, and --by {by} has none of its own: give one")
    if by == OVERLAP and (per_class or contamination is not None):
        option = "--contamination" if contamination is not None else "--per-class"
        raise InputError(f"{option}: --by {OVERLAP} says itself which rows go: leave it out, or name those that --keep")
    if prune is not None and by != CONFIDENT:
        raise InputError(f"--filter-by is cleanlab's: leave it out with --by {by}, or give --by {CONFIDENT}")
    if by == CONFIDENT:
        refuse_no_cleanlab()


def channel_of(rows: "LabelledLayer", l2: float | None, seed: int, device: str | None) -> "ChannelEstimate":
    """The noise channel of the judged rows' labels, with the logistic probe's own penalty where none is given."""
    from ..noise.channel import channel_model
    from ..probes.registry import PROBES

    penalty = PROBES["logistic"].default if l2 is None else l2
    return channel_model(rows.X, rows.y, l2=penalty, groups=rows.groups, seed=seed, device=device or PROCESSOR)


def of_channel(found: "ChannelEstimate") -> list[str]:
    """What is said of a channel: its rates with their ranges, and what they assume."""
    return [
        f"noise channel: P(weak 1 | true 0) {found.rate_01:.3f}, P(weak 0 | true 1) {found.rate_10:.3f} [95 %]; "
        f"{found.status}: {found.meaning}"
    ]


def of_overlap(found: "OverlapDensity", options: OverlapOptions) -> list[str]:
    """What is said of an overlap density: the kinds of rows and both splits, or the split that is missing."""
    points = {"confidence": found.by_confidence, "similarity": found.by_similarity}
    splits = [f"{name} {point.threshold:.3g}, gain {point.gain:.2f}" for name, point in points.items() if point]
    if found.status == "ok":
        kinds = ", ".join(f"{int((found.kinds == kind).sum())} {kind}" for kind in KINDS)
        return [f"overlap density {found.density:.3f}: {kinds} rows (split at {'; '.join(splits)})"]
    best = f" (best split at {splits[-1]} of at least {options.least_gain:g})" if splits else ""
    return [f"{found.status}{best}: {found.meaning}; all rows stay"]


def judged(
    by: str,
    rows: "LabelledLayer",
    *,
    l2: float | None,
    seed: int,
    device: str | None,
    contamination: float | None,
    per_class: bool,
    prune: PruneBy | None,
    overlaps: OverlapOptions,
) -> "tuple[FilterResult, list[str]]":
    """The filter of one of these judges, with the folds of what scored the rows, and what is to be said of it."""
    if by == RATERS:
        from ..filtering.by_raters import raters_filter

        share = 0.1 if contamination is None else contamination
        return raters_filter(rows.y, rows.disagreement, share, per_class=per_class), []
    if by == OVERLAP:
        from ..filtering import overlap_density, overlap_filter

        found = overlap_density(
            rows.X, rows.y, similarity=overlaps.similarity, least_gain=overlaps.least_gain, groups=rows.groups
        )
        return overlap_filter(found, overlaps.keep), of_overlap(found, overlaps)
    from ..filtering.by_judgement import channel_filter, confident_filter

    if by == CHANNEL:
        channel = channel_of(rows, l2, seed, device)
        result = channel_filter(rows.y, channel.posterior, contamination, per_class=per_class)
        return replace(result, folds=channel.folds), of_channel(channel)
    from ..probes.registry import PROBES
    from ..relabeling import relabel
    from ..rows.folds import fold_numbers

    p = relabel(PROBES["logistic"].make(l2, device=device or PROCESSOR), rows.X, rows.y, groups=rows.groups, seed=seed)
    chosen = prune or "prune_by_noise_rate"
    result = confident_filter(rows.y, p, contamination, filter_by=chosen, per_class=per_class)
    folds = fold_numbers(rows.X, rows.y, groups=rows.groups, seed=seed)
    return replace(result, folds=folds), [f"label issues by cleanlab ({chosen}), on scores of the logistic probe"]
