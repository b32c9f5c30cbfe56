"""How accurate raters are on a few rows whose truth is known."""

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

FEW = 10  # trusted rows of a class, below which a rater's rates are hardly known


def rates_on_trusted(
    p: NDArray[np.float64], known: NDArray[np.float64], counts: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sensitivity and specificity (r,) of labels p (n, r): the mean P of the true class over the `known` rows (n,).

    `known` is 0 or 1, NaN where the truth is not known. NaN for a rater that has judged no such row of a class.
    """
    judged = ~np.isnan(p)
    of_row = np.ones(len(p)) if counts is None else counts
    rates = []
    for side, said in ((1.0, p), (0.0, 1 - p)):
        rows = (of_row * (known == side))[:, None] * judged
        total = rows.sum(axis=0)
        right = (rows * np.where(judged, said, 0.0)).sum(axis=0)
        rates.append(np.where(total > 0, right / np.where(total > 0, total, 1), np.nan))
    return rates[0], rates[1]


def refuse_too_few_trusted(names: tuple[str, ...], p: NDArray[np.float64], known: NDArray[np.float64]) -> None:
    """InputError for a rater that has judged no trusted row of a class."""
    for column, name in enumerate(names):
        judged = ~np.isnan(p[:, column])
        for side in (0, 1):
            if not (judged & (known == side)).any():
                raise InputError(
                    f"{name}: has judged no trusted row of label {side}, by which to say how accurate it is: give "
                    "trusted rows of both classes that every rater has judged"
                )


def fewest_trusted(p: NDArray[np.float64], known: NDArray[np.float64]) -> int:
    """The smallest number of trusted rows of a class that any rater has judged."""
    judged = ~np.isnan(p)
    return int(min((judged & (known == side)[:, None]).sum(axis=0).min() for side in (0, 1)))
