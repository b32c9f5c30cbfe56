"""The share of rows on which a student gives its supervisor's class, over all and over the supervisor's errors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities, truth_sides
from ..errors import InputError
from ..labels.label_set import ids_of, refuse_other_ids
from ..metrics.influence import mean
from ..metrics.intervals import NO_ESTIMATE, NORMAL, Estimate
from ..rows.groups import group_numbers
from ..tensors import as_numpy
from ..ties import above_half


@dataclass(frozen=True)
class Agreement:
    """Shares of rows on which student and supervisor give the same class, with 95 % Wilson intervals over rows.

    With groups of rows the intervals are those of as many independent rows as would be as uncertain.

    >>> result = agreement(student=[0.9, 0.8, 0.3, 0.1], weak=[0.7, 0.2, 0.4, 0.4], truth=[1, 1, 0, 0])
    >>> f"{result.share:.2f}", result.errors, result.on_errors.value
    ('0.75 [0.30, 0.95]', 1, 0.0)
    """

    share: Estimate  # of all rows
    on_errors: Estimate | None  # of the rows where the supervisor is wrong; None without the truth, NaN without rows
    on_right: Estimate | None  # of those where it is right
    n: int  # rows
    errors: int | None  # rows where the supervisor is wrong
    oracle: bool  # whether the truth was read: then no number here may choose anything


def agreement(
    student: ArrayLike, weak: ArrayLike, truth: ArrayLike | None = None, *, groups: ArrayLike | None = None
) -> Agreement:
    """Agreement of P(1) by a student and by its supervisor (n,), whose classes are the sides of ½ (Burns et al. 2023).

    A student of several draws (draws, n) agrees with the mean of its draws. Rows of one of the `groups` (n,) are not
    taken for independent.

    Where students grow better by more than imitation, agreement falls, and on the supervisor's errors more than
    elsewhere. With the `truth` (n,) both are told apart, and the result is marked as an oracle's.

    A share's bootstrap over rows is a binomial variable and would need no draws, but has no width where every row
    agrees, as on a few errors all may; Wilson's (1927) interval is right there too.
    """
    refuse_other_ids({"student": ids_of(student), "weak": ids_of(weak), "truth": ids_of(truth)})
    draws = np.atleast_2d(np.asarray(as_numpy(student), dtype=np.float64))
    classes = [above_half(probabilities(draw, "student")) for draw in draws]
    of_weak = above_half(probabilities(weak, "weak"))
    if classes[0].shape != of_weak.shape:
        raise InputError(f"{len(classes[0])} student scores but {len(of_weak)} weak ones: one a row is needed of each")
    if not len(of_weak):
        raise InputError("no rows: agreement needs at least one")
    same = np.mean([of_draw == of_weak for of_draw in classes], axis=0)
    numbers = group_numbers(groups, len(same))
    if truth is None:
        return Agreement(share(same, numbers), None, None, len(same), None, False)
    wrong = of_weak != truth_sides(truth, len(same))
    on_errors, on_right = (share(same[rows], None if numbers is None else numbers[rows]) for rows in (wrong, ~wrong))
    return Agreement(share(same, numbers), on_errors, on_right, len(same), int(wrong.sum()), True)


def share(hits: NDArray[np.float64], groups: NDArray[np.intp] | None = None) -> Estimate:
    """The share of hits (n,), each in [0, 1], with Wilson's interval; NaN where there are none.

    The interval is that of as many independent rows as have the error of these: n, or fewer where `groups` (n,) hit
    or miss together; where all agree, as many as there are groups.
    """
    if not len(hits):
        return NO_ESTIMATE
    p, n = float(hits.mean()), float(len(hits))
    if groups is not None:
        measured = mean(np.asarray(hits, dtype=np.float64))
        error, count = measured.error(groups), measured.freedom(groups) + 1
        n = min(n, max(1.0, p * (1 - p) / error**2)) if error > 0 else float(count)
    centre, scale = p + NORMAL**2 / (2 * n), 1 + NORMAL**2 / n
    half = NORMAL * np.sqrt(p * (1 - p) / n + NORMAL**2 / (4 * n**2))
    low, high = max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
    return Estimate(p, float(low), float(high), float(np.sqrt(p * (1 - p) / n)))
