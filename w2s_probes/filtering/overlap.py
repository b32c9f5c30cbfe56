"""Overlap of two filters: the share of rows that both remove, beside what chance gives."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..metrics.resampling import LEVEL
from .disagreement import FilterResult
from .matched_controls import Flags, matched_pmf


@dataclass(frozen=True)
class Overlap:
    """The Jaccard index of two removed sets: rows that both remove / rows that either removes; NaN if none does.

    >>> first, second = np.array([True, True, False, False]), np.array([True, False, True, False])
    >>> shared = overlap(first, second, positive=np.ones(4, dtype=bool))
    >>> round(shared.jaccard, 3), round(shared.expected, 3)
    (0.333, 0.389)
    """

    jaccard: float
    expected: float  # its mean where each filter removes as many rows of each class at random
    low: float  # and the central 95 % of that
    high: float


def overlap(first: Flags, second: Flags, positive: Flags) -> Overlap:
    """Of two removals, flags (n,), of labels on these sides (n,). Exact, in O(n)."""
    pmf = matched_pmf(second, first, positive)
    both = np.arange(len(pmf))
    either = first.sum() + second.sum() - both
    if not either[0]:
        return Overlap(float("nan"), float("nan"), float("nan"), float("nan"))
    values = both / np.maximum(either, 1)  # impossible counts, of probability 0, must not divide by 0 either
    cumulative = np.cumsum(pmf)
    tail = (1 - LEVEL) / 2
    low, high = values[np.searchsorted(cumulative, [tail, 1 - tail]).clip(max=len(pmf) - 1)]
    return Overlap(float((first & second).sum() / (first | second).sum()), float(pmf @ values), float(low), float(high))


def refuse_other_rows(results: Mapping[str, FilterResult]) -> None:
    """InputError unless all filters judged the same labels, one or more, in the same order."""
    (first, reference), *others = results.items()
    if not len(reference.mask):
        raise InputError(f"filter {first!r} judged no rows")
    for name, result in others:
        if len(result.mask) != len(reference.mask):
            raise InputError(
                f"filter {name!r} judged {len(result.mask)} rows but {first!r} {len(reference.mask)}: "
                "only filters of the same rows can be compared"
            )
        if not np.array_equal(result.labels, reference.labels):
            raise InputError(
                f"filters {first!r} and {name!r} judged different labels, first in row "
                f"{int((result.labels != reference.labels).argmax())}: give the same rows in the same order"
            )
