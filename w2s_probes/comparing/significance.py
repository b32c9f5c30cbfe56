"""The test of a paired difference that belongs to its interval: p is below .05 where the interval leaves 0 out."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtr

from ..metrics.influence import MeasuredValue
from ..metrics.intervals import LEAST_P, quantile


def paired_test(measured: MeasuredValue, groups: NDArray[np.intp] | None) -> tuple[float, float]:
    """z and the two-sided p of no difference; both NaN where its error is unknown.

    z is the difference over its standard error: DeLong's et al. (1988) for AUROC, Obuchowski's (1997) with `groups`
    (n,). p takes Student's t with the degrees of freedom of the interval, which for many rows is the normal one, and
    where a model is perfect the width that the interval is given for that.
    """
    error, freedom, value = measured.error(groups), measured.freedom(groups), abs(measured.value)
    if math.isnan(error):
        return math.nan, math.nan
    if value == 0:
        return 0.0, 1.0
    z = measured.value / error if error else math.copysign(math.inf, measured.value)
    if not measured.blind:
        return z, 2 * float(stdtr(freedom, -abs(z)))

    def excess(p: float) -> float:
        unseen = 1 - (p / 2) ** (1 / (freedom + 1))
        return math.hypot(quantile(freedom, 1 - p) * error, measured.blind**0.5 * unseen) - value

    if excess(1.0) >= 0:
        return z, 1.0
    if excess(LEAST_P) <= 0:
        return z, LEAST_P
    return z, float(brentq(excess, LEAST_P, 1, xtol=1e-12))
