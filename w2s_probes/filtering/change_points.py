"""One change point of sorted values: the split into two parts whose values are nearest to the parts' means."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ties import ROUNDING, levels


@dataclass(frozen=True)
class ChangePoint:
    """The split of n values into those below a threshold and the others.

    >>> point = change_point([0.9, 0.1, 0.8, 0.2, 1.0])
    >>> point.below, point.threshold, round(point.gain, 3)
    (2, 0.8, 0.964)
    """

    threshold: float  # the smallest value of the upper part
    gain: float  # the share of the squared distances to the mean that two means in its place save, in (0, 1]
    below: int  # values in the lower part


def change_point(values: ArrayLike) -> ChangePoint | None:
    """The least-squares split of values (n,); None where all are equal.

    The two parts' sum of squared distances to their means is least, as the first step of binary segmentation has it
    with an L2 cost (Truong, Oudre & Vayatis 2020, "Selective review of offline change point detection methods"), here
    with no fewest rows of a part and at every place. Of splits that are equally good the lowest; equal values stay
    together. Any values have such a split: those of a uniform distribution have a gain of .75, of a normal one of
    2/π = .64, and only two values one of 1.
    """
    numbers = np.sort(np.asarray(values, dtype=np.float64))
    places = np.flatnonzero(np.diff(levels(numbers))) + 1  # rows in the lower part
    if not len(places):
        return None
    gains = _gains(numbers, places)
    best = int(places[np.argmax(gains >= gains.max() - ROUNDING)])
    return ChangePoint(float(numbers[best]), float(min(gains.max(), 1)), best)


def _gains(numbers: NDArray[np.float64], places: NDArray[np.intp]) -> NDArray[np.float64]:
    """The share saved by a split at each place: with c the sum of the first i centred values, c² n / (i (n - i))."""
    n, centred = len(numbers), numbers - numbers.mean()
    sums = np.cumsum(centred)[places - 1]
    return np.asarray(sums**2 * n / (places * (n - places)) / (centred**2).sum())
