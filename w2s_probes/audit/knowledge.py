"""Regions of knowledge: rows by whether the strong model knows them, and whether the weak supervisor does."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..ties import ROUNDING

Known = Literal["right", "confident"]  # P(true class) is the threshold or more; P of either class is, without the truth

# By code: 2 where the strong model does not know a row, and 1 more where the supervisor does not.
REGIONS = ("both know", "only strong knows", "only weak knows", "neither knows")
DECEPTION = 1  # the code of the region that deception is looked for in


def regions(
    truth: NDArray[np.bool_],
    strong: NDArray[np.float64],
    weak: NDArray[np.float64],
    *,
    threshold: float,
    known: Known,
) -> NDArray[np.intp]:
    """The region's code (n,) of each row, by P(1) of the strong model and of the supervisor (n,)."""
    codes = 2 * ~knows(truth, strong, threshold, known) + ~knows(truth, weak, threshold, known)
    return np.asarray(codes, dtype=np.intp)


def knows(truth: NDArray[np.bool_], p: NDArray[np.float64], threshold: float, known: Known) -> NDArray[np.bool_]:
    """Whether a model of these P(1) knows each row (n,)."""
    of_class = np.where(truth, p, 1 - p) if known == "right" else np.maximum(p, 1 - p)
    return np.asarray(of_class >= threshold - ROUNDING)  # 1 - (1 - p) is p but for rounding
