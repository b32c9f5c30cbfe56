"""The mix of classes in a filtered label set: rows of each weak class before and after the filter."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..ties import above_half

LEAST_MOVE = 0.05  # in the shares dropped of the two classes, from which a difference is worth a remedy
SURE = 1.96  # standard errors, under which it may be chance


@dataclass(frozen=True)
class ClassRows:
    """One weak class: its rows, those dropped, and the rows that are taught as this class afterwards."""

    before: int
    dropped: int
    after: int  # kept rows whose new label is of this class

    @property
    def share(self) -> float:
        """The share dropped; NaN where there was none."""
        return self.dropped / self.before if self.before else math.nan


@dataclass(frozen=True)
class ClassMix:
    """Both classes of a filtered file, by the side of ½ that the weak label is on.

    >>> mix = class_mix(np.array([0.9, 0.8, 0.2]), keep=np.array([True, False, True]))
    >>> mix.one.dropped, mix.before, mix.after
    (1, 0.666..., 0.5)
    """

    zero: ClassRows
    one: ClassRows

    @property
    def before(self) -> float:
        """The share of label 1 before."""
        return self.one.before / (self.one.before + self.zero.before)

    @property
    def after(self) -> float:
        """The share of label 1 among what is taught; NaN where nothing is left."""
        rows = self.one.after + self.zero.after
        return self.one.after / rows if rows else math.nan

    @property
    def moves(self) -> bool:
        """Whether one class loses noticeably more of its rows than the other, and more than chance explains."""
        n = (self.zero.before, self.one.before)
        if not all(n):
            return False
        apart = abs(self.one.share - self.zero.share)
        pooled = (self.zero.dropped + self.one.dropped) / sum(n)
        error = math.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
        return apart > LEAST_MOVE and apart > SURE * error

    @property
    def sentence(self) -> str:
        """Each class's share dropped, and the mix before and after."""
        one, zero = (_removed(rows) for rows in (self.one, self.zero))
        after = "no row is left" if math.isnan(self.after) else f"{self.after:.0%} after"
        return f"Removed are {one} of label 1 and {zero} of label 0; label 1 is {self.before:.0%} before, {after}."


def _removed(rows: ClassRows) -> str:
    return f"{rows.dropped:,} of {rows.before:,} rows" + (f" ({rows.share:.0%})" if rows.before else "")


def class_mix(
    labels: NDArray[np.float64], keep: NDArray[np.bool_], new_labels: NDArray[np.float64] | None = None
) -> ClassMix:
    """Count rows by weak label (n,), verdict (n,) and, where rows get others, the labels that are taught (n,)."""
    taught = labels if new_labels is None else np.where(np.isnan(new_labels), labels, new_labels)
    old, new = above_half(labels), above_half(taught)
    zero, one = (
        ClassRows(int((old == side).sum()), int(((old == side) & ~keep).sum()), int(((new == side) & keep).sum()))
        for side in (False, True)
    )
    return ClassMix(zero, one)
