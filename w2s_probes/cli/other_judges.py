"""The judges of labels that are no probes: several raters, a noise channel, cleanlab's confident learning."""

from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..filtering.judges import CHANNEL, CONFIDENT, RATERS, PruneBy, refuse_no_cleanlab

if TYPE_CHECKING:
    from ..filtering.disagreement import FilterResult
    from ..noise.channel import ChannelEstimate
    from .labelled_layer import LabelledLayer

NO_PROBE = {
    RATERS: "reads the `disagreement` of LABELS",
    CHANNEL: "has scores out of sample alone",
    CONFIDENT: "has scores out of sample alone",
}


def refuse_other_options(
    by: str, *, in_sample: bool, per_class: bool = False, contamination: float | None = None, prune: Any = None
) -> None:
    """InputError for an option that this judge does not read; for what `confident` needs, where it is missing."""
    if by in NO_PROBE and in_sample:
        raise InputError(f"--in-sample is of a probe: --by {by} {NO_PROBE[by]}")
    if by in (CHANNEL, CONFIDENT) and per_class and contamination is None:
        raise InputError(f"--per-class shares out a --contamination, and --by {by} has none of its own: give one")
    if prune is not None and by != CONFIDENT:
        raise InputError(f"--filter-by is cleanlab's: leave it out with --by {by}, or give --by {CONFIDENT}")
    if by == CONFIDENT:
        refuse_no_cleanlab()


def channel_of(rows: "LabelledLayer", l2: float | None, seed: int) -> "ChannelEstimate":
    """The noise channel of the judged rows' labels, with the logistic probe's own penalty where none is given."""
    from ..noise.channel import channel_model
    from ..probes.registry import PROBES

    penalty = PROBES["logistic"].default if l2 is None else l2
    return channel_model(rows.X, rows.y, l2=penalty, groups=rows.groups, seed=seed)


def of_channel(found: "ChannelEstimate") -> list[str]:
    """What is said of a channel: its rates with their ranges, and what they assume."""
    return [
        f"noise channel: P(weak 1 | true 0) {found.rate_01:.3f}, P(weak 0 | true 1) {found.rate_10:.3f} [95 %]; "
        f"{found.status}: {found.meaning}"
    ]


def judged(
    by: str,
    rows: "LabelledLayer",
    *,
    l2: float | None,
    seed: int,
    contamination: float | None,
    per_class: bool,
    prune: PruneBy | None,
) -> "tuple[FilterResult, list[str]]":
    """The filter of one of these judges, with the folds of what scored the rows, and what is to be said of it."""
    from dataclasses import replace

    if by == RATERS:
        from ..filtering.by_raters import raters_filter

        share = 0.1 if contamination is None else contamination
        return raters_filter(rows.y, rows.disagreement, share, per_class=per_class), []
    from ..filtering.by_judgement import channel_filter, confident_filter

    if by == CHANNEL:
        found = channel_of(rows, l2, seed)
        result = channel_filter(rows.y, found.posterior, contamination, per_class=per_class)
        return replace(result, folds=found.folds), of_channel(found)
    from ..probes.registry import PROBES
    from ..relabeling import relabel
    from ..rows.folds import fold_numbers

    p = relabel(PROBES["logistic"].make(l2), rows.X, rows.y, groups=rows.groups, seed=seed)
    chosen = prune or "prune_by_noise_rate"
    result = confident_filter(rows.y, p, contamination, filter_by=chosen, per_class=per_class)
    folds = fold_numbers(rows.X, rows.y, groups=rows.groups, seed=seed)
    return replace(result, folds=folds), [f"label issues by cleanlab ({chosen}), on scores of the logistic probe"]
