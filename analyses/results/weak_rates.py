"""How often weak labels are wrong in each true class: what a noise channel's estimated rates stand beside."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_probes.ties import above_half

RATES = ("rate_01", "rate_10")  # P(weak 1 | true 0) and P(weak 0 | true 1), of a channel's notes and by the truth


def weak_rates(truth: NDArray[np.float64], weak: NDArray[np.float64]) -> dict[str, float]:
    """By the truth (n,) and weak labels (n,): both rates as a channel counts soft labels, and of the classes named.

    A soft label y counts as y of a 1: `rate_01` is the mean label of the rows of true class 0, `rate_10` that of 1 - y
    in class 1; `class_01` and `class_10` are the shares whose label is on the wrong side of ½. A class without rows
    has none.
    """
    found: dict[str, float] = {}
    for name, side in (("01", ~above_half(truth)), ("10", above_half(truth))):
        wrong = weak[side] if name == "01" else 1 - weak[side]
        if len(wrong):
            other = above_half(weak[side]) != above_half(truth[side])
            found |= {f"rate_{name}": float(wrong.mean()), f"class_{name}": float(other.mean())}
    return found


def rates_beside(
    notes: Mapping[str, Mapping[str, float]], truth: NDArray[np.float64], weak: NDArray[np.float64]
) -> dict[str, Any]:
    """The part of a trial's record with the true rates, where one of its methods' notes has estimated ones."""
    estimated = any(rate in own for own in notes.values() for rate in RATES)
    return {"weak_rates": weak_rates(truth, weak)} if estimated else {}
