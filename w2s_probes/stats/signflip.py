"""The sign-flip test of a mean difference, under the null of which each difference is as likely with either sign."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..randomness import stream
from ..tensors import as_numpy

EXACT = 21  # differences up to which all 2^n signs are tried (some .1 s)
DRAWS = 100_000  # of signs beyond: a p of .05 is known to .0014
ROUNDING = 1e-9  # of the sum of all sizes: sums that differ by less are ties
NAN = float("nan")


@dataclass(frozen=True)
class SignFlip:
    """P-values of the mean of n differences, each as likely with the other sign; NaN without differences.

    >>> sign_flip(np.array([0.1, 0.2, 0.1, 0.3]))
    SignFlip(better=0.0625, worse=1.0, different=0.125)
    """

    better: float  # P(mean at least as high)
    worse: float  # P(mean at least as low)
    different: float  # P(mean at least as far from 0): two-sided


def sign_flip(d: NDArray[np.float64], *, seed: int = 0) -> SignFlip:
    """Fisher's (1935) randomisation test of the mean of differences d (n,).

    It asks of the differences no more than symmetry around 0 where there is no effect, and is exact up to `EXACT` of
    them; beyond, `DRAWS` seeded draws of signs, the observed one counted among them. Unlike Wilcoxon's test it is
    about the mean, so that many small gains do not outweigh a few large losses.
    """
    d = np.asarray(as_numpy(d), dtype=np.float64)
    if not len(d):
        return SignFlip(NAN, NAN, NAN)
    observed, slack = float(d.sum()), ROUNDING * float(np.abs(d).sum())
    sums = _all_sums(d) if len(d) <= EXACT else _drawn_sums(d, seed)
    return SignFlip(
        float((sums >= observed - slack).mean()),
        float((sums <= observed + slack).mean()),
        float((np.abs(sums) >= abs(observed) - slack).mean()),
    )


def _all_sums(d: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = np.zeros(1)
    for size in d:
        sums = np.concatenate([sums + size, sums - size])
    return sums


def _drawn_sums(d: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    signs = stream(seed, "sign flips").integers(2, size=(DRAWS - 1, len(d)), dtype=np.int8)
    return np.concatenate([(2 * signs - 1) @ d, [d.sum()]])
