"""Accuracy by question: is the highest-scored candidate of a question the right one?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, preview


def question_hits(
    question_ids: Sequence[str] | NDArray[np.object_], right: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Each question's id, in order of appearance, and its hit: 1 if its highest-scored candidate is the right one.

    One row a candidate: `question_ids` (n,), `right` (n,) above ½ for a right one, `scores` (n,). Where several
    candidates share the highest score, the hit is the share of right ones among them, so that constant scores get
    what guessing gets. InputError for scores that are not finite, and for a question without a right or without a
    wrong candidate.
    """
    ids = np.asarray(question_ids, dtype=object)
    is_right, s = np.asarray(right, dtype=np.float64) > 0.5, np.asarray(scores, dtype=np.float64)
    if not ids.ndim == is_right.ndim == s.ndim == 1 or not len(ids) == len(is_right) == len(s):
        shapes = f"{ids.shape}, {is_right.shape} and {s.shape}"
        raise InputError(f"question_ids, right and scores must be of one length, a candidate each, but are {shapes}")
    if not len(ids):
        raise InputError("there are no candidates to score")
    if not np.isfinite(s).all():
        raise InputError(f"the score of candidate {int((~np.isfinite(s)).argmax()) + 1} is not a finite number")
    codes, names = pd.factorize(ids)
    if (codes < 0).any():
        raise InputError(f"candidate {int((codes < 0).argmax()) + 1} has no question id")
    size, n_right = np.bincount(codes), np.bincount(codes, weights=is_right)
    empty = (n_right == 0) | (n_right == size)
    if empty.any():
        raise InputError(
            f"{int(empty.sum())} of {len(names)} questions have no right or no wrong candidate: "
            f"{preview(list(names[empty]))}"
        )
    highest = np.full(len(names), -np.inf)
    np.maximum.at(highest, codes, s)
    top = s == highest[codes]
    return names, np.bincount(codes, weights=top & is_right) / np.bincount(codes, weights=top)


def question_accuracy(question_ids: Sequence[str] | NDArray[np.object_], right: ArrayLike, scores: ArrayLike) -> float:
    """The share of questions whose highest-scored candidate is the right one (see `question_hits`)."""
    return float(question_hits(question_ids, right, scores)[1].mean())
