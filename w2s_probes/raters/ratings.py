"""The labels of several raters as one matrix: rows joined by id, NaN where a rater has not judged a row."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, preview
from ..labels.label_set import LabelSet
from ..tensors import as_numpy
from ..ties import ROUNDING

LEAST_RATERS = 2


@dataclass(frozen=True)
class Ratings:
    """P(label = 1) of n rows by each of r raters.

    >>> a = LabelSet(np.array(["x", "y", "z"], dtype=object), np.array([0.9, 0.8, 0.2]))
    >>> b = LabelSet(np.array(["z", "x"], dtype=object), np.array([0.1, 0.6]))
    >>> ratings = Ratings.of({"a": a, "b": b})
    >>> ratings.p.tolist(), ratings.judged.tolist()
    ([[0.9, 0.6], [0.8, nan], [0.2, 0.1]], [2, 1, 2])
    """

    names: tuple[str, ...]  # (r,) of the raters
    ids: NDArray[np.object_]  # (n,) in the order in which the raters bring them up
    p: NDArray[np.float64]  # (n, r) P(label = 1); NaN where a rater has not judged a row
    groups: NDArray[np.object_] | None = None  # (n,) related rows share one; intervals draw groups

    @classmethod
    def of(cls, raters: Mapping[str, LabelSet], groups: ArrayLike | None = None) -> "Ratings":
        """Join label sets by id; InputError for fewer than two, for ground truth, and as `refuse_useless` says."""
        for name, labels in raters.items():
            if labels.role == "truth":
                raise InputError(f"{name}: ground truth is no rater: give it as `trusted`")
        ids = np.array(list(dict.fromkeys(row for labels in raters.values() for row in labels.ids)), dtype=object)
        place = {row: at for at, row in enumerate(ids.tolist())}
        p = np.full((len(ids), len(raters)), np.nan)
        for column, labels in enumerate(raters.values()):
            p[[place[row] for row in labels.ids.tolist()], column] = labels.p
        ratings = cls(tuple(raters), ids, p, None if groups is None else np.asarray(groups, dtype=object))
        refuse_useless(ratings.names, p)
        return ratings

    @property
    def judged(self) -> NDArray[np.intp]:
        """The number of raters (n,) that have judged each row."""
        return np.asarray((~np.isnan(self.p)).sum(axis=1), dtype=np.intp)

    @property
    def disagreement(self) -> NDArray[np.float64]:
        """The raters' disagreement about each row (n,), see `disagreement`."""
        return disagreement(self.p)


def disagreement(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard deviation (n,) of P(label = 1) (n, r) between the raters of each row, over r and not r - 1.

    It lies in [0, ½]: ½ where half of the raters say 0 and half say 1. NaN where fewer than two raters have judged a
    row, about which nothing is known: not 0.
    """
    p = np.asarray(as_numpy(p), dtype=np.float64)
    judged = ~np.isnan(p)
    count = judged.sum(axis=1)
    few = count < LEAST_RATERS
    filled = np.where(judged, p, 0.0)
    mean = filled.sum(axis=1) / np.maximum(count, 1)
    squares = (np.where(judged, p - mean[:, None], 0.0) ** 2).sum(axis=1)
    return np.where(few, np.nan, np.sqrt(squares / np.maximum(count, 1)))


def refuse_useless(names: tuple[str, ...], p: NDArray[np.float64]) -> None:
    """InputError for fewer than two raters, for one of a single label, and for raters whose rows no others have."""
    if len(names) < LEAST_RATERS:
        raise InputError(
            f"{', '.join(names) or 'no rater'}: combining takes two raters or more: give another label file"
        )
    for column, name in enumerate(names):
        own = p[~np.isnan(p[:, column]), column]
        if not len(own) or np.ptp(own) <= ROUNDING:
            said = f"{own[0]:g} of every row" if len(own) else "nothing of these rows"
            raise InputError(f"{name}: says {said}, which tells no row from another: leave this rater out")
    if len(apart := _apart(p)):
        others = [name for at, name in enumerate(names) if at not in apart]
        raise InputError(
            f"{preview([names[at] for at in apart])}: shares no row with {preview(others)}: raters are joined by `id`, "
            "so that these are of other rows or under other ids"
        )


def _apart(p: NDArray[np.float64]) -> list[int]:
    """The raters that no chain of common rows links to the first; [] where all are linked."""
    judged = (~np.isnan(p)).astype(np.float64)
    common = judged.T @ judged > 0
    linked = {0}
    while more := {int(other) for at in linked for other in np.flatnonzero(common[at])} - linked:
        linked |= more
    return [at for at in range(p.shape[1]) if at not in linked]
