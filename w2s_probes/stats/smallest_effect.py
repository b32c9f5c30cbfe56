"""The smallest mean difference that a design finds: what a comparison that found nothing could have missed."""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.stats import nct, t

LEVEL = 0.05  # of the test, two-sided


def smallest_effect(n: int, error: float, power: float = 0.8) -> float:
    """The mean difference that a two-sided paired t test of n differences at 5 % finds with this probability.

    `error` is the standard error of the mean difference, taken for the true one. The test's t then has a noncentral t
    distribution with the effect over the error as its centre (Cohen 1988, section 2.2). NaN for fewer than two
    differences, and where the error is not known.

    >>> round(smallest_effect(21, 0.01), 4)
    0.0295
    """
    if n < 2 or not math.isfinite(error):
        return math.nan
    freedom = n - 1
    critical = float(t.ppf(1 - LEVEL / 2, freedom))

    def lacking(centre: float) -> float:
        other_side = nct.cdf(-critical, freedom, centre)  # NaN where it is too small to be computed
        return power - float(nct.sf(critical, freedom, centre) + np.nan_to_num(other_side))

    farthest = critical
    while lacking(farthest) > 0:
        farthest *= 1.25
    return error * float(brentq(lacking, 0, farthest))
