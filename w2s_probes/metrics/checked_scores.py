"""Truth and scores as arrays, refused where nothing can be measured on them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..labels.label_set import ids_of, refuse_other_ids
from ..tensors import as_numpy
from ..ties import above_half

Classes = NDArray[np.bool_]
Scores = NDArray[np.float64]


def checked(truth: ArrayLike, scores: ArrayLike, *, most: int | None = None) -> tuple[Classes, Scores]:
    """The classes (n,) by the truth, and the scores as (draws, n); InputError for other shapes or one class."""
    refuse_other_ids({"truth": ids_of(truth), "scores": ids_of(scores)})
    t, s = (np.asarray(as_numpy(values), dtype=np.float64) for values in (truth, scores))
    rows = np.atleast_2d(s)
    if t.ndim != 1 or rows.ndim != 2 or t.shape != rows.shape[1:] or (most is not None and s.ndim > most):
        raise InputError(f"truth has shape {t.shape} and scores {s.shape}: one number a row is needed of each")
    if not np.isfinite(t).all() or not np.isfinite(s).all():
        raise InputError("truth and scores must be finite numbers")
    positive = above_half(t)
    if positive.all() or not positive.any():
        raise InputError(f"one class only: the truth of all {len(t)} test rows is the same, so nothing can be ranked")
    return positive, rows
