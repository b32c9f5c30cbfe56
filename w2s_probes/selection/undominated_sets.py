"""The students that no mixture of the others replaces, and how few of them are found one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .margin_games import SolvedMargin, solved_margin
from .payoffs import PayoffTable, Values, a_number, whole_number

SURE = 2.0  # paired standard errors that a margin must exceed unless `delta` says how much
ROUNDING = 1e-9  # in units of the largest difference: a margin of 0 is not above 0 by the rounding of a solver


@dataclass(frozen=True)
class Undominated:
    """Each student's margin over all others, and whether it is kept.

    >>> found = undominated([[0.9, 0.6], [0.7, 0.8], [0.8, 0.7]], delta=0)
    >>> found.mask.tolist(), found.margins.round(6).tolist()  # the third is half of the first and half of the second
    ([True, True, False], [0.1, 0.1, 0.0])
    """

    mask: NDArray[np.bool_]  # (K,) those whose margin is above `delta`
    margins: Values  # (K,)
    attacks: Values  # (K, F) the mixture of families at which each stands out most
    rivals: Values  # (K, K) the mixture of others that comes nearest to it there
    errors: Values  # (K,) paired standard errors of the margins; NaN without draws
    delta: Values  # (K,) what each margin had to exceed
    sure: float = SURE  # paired standard errors that an interval reaches to each side

    @property
    def kept(self) -> list[int]:
        """The numbers of the students that are kept."""
        return [int(i) for i in np.flatnonzero(self.mask)]

    @property
    def low(self) -> Values:
        """The lower ends (K,) of the margins' intervals, `sure` paired standard errors below."""
        return np.asarray(self.margins - self.sure * self.errors)

    @property
    def high(self) -> Values:
        """The upper ends (K,) of the margins' intervals."""
        return np.asarray(self.margins + self.sure * self.errors)


@dataclass(frozen=True)
class Discovery:
    """Students in the order in which they are found, each with its gain over those found before it.

    >>> discover([[0.9, 0.6], [0.7, 0.8], [0.8, 0.7]], delta=0).order
    [0, 1]
    """

    order: list[int]
    gains: Values  # (found,) margins over those before; NaN for the first
    attacks: Values  # (found, F) at which each gains that; of the first the family in which it does best
    errors: Values  # (found,) paired standard errors of the gains; NaN for the first, and without draws
    refused: int | None = None  # the one that came nearest to being taken next; None where none is left
    refused_gain: float = float("nan")  # its gain, which is not above `delta`
    refused_error: float = float("nan")  # and the paired standard error of that


def undominated(
    J: ArrayLike,
    delta: float | None = None,
    *,
    draws: ArrayLike | None = None,
    students: Sequence[str] | None = None,
    families: Sequence[str] | None = None,
    sure: float = SURE,
) -> Undominated:
    """The students whose margin over all others is above `delta`, `sure` paired standard errors unless given.

    J is (K, F), its `draws` (draws, K, F) are of the same rows for all; J may also be the draws themselves. Then a
    student is kept where the lower end of its margin's interval is above 0. On measured tables a `delta` of 0 means
    nothing: of six students that are equally good (1,500 rows, three families, accuracy .8) three would be kept.
    Two standard errors are for draws of many rows; where few seeds are drawn give the quantile of Student's t.
    Two students that are equal everywhere replace each other, and neither is kept; `discover` keeps one of them.
    InputError for a table that has no draws where `delta` is not given.
    """
    table = PayoffTable.of(J, draws, students, families)
    refuse_delta(delta, table)
    solved = [solved_margin(table, i) for i in range(table.size)]
    needed = np.array([_needed(one, delta, sure) for one in solved])
    margins = np.array([one.value for one in solved])
    return Undominated(
        margins > needed + _rounding(table),
        margins,
        np.array([one.attack for one in solved]),
        np.array([one.rivals for one in solved]),
        np.array([one.error for one in solved]),
        needed,
        sure,
    )


def discover(
    J: ArrayLike,
    delta: float | None = None,
    first: int | None = None,
    *,
    draws: ArrayLike | None = None,
    students: Sequence[str] | None = None,
    families: Sequence[str] | None = None,
    sure: float = SURE,
) -> Discovery:
    """Students found one after the other, each the one that gains most over every mixture of those before it.

    It begins with `first`, or else with the best mean over families, and ends where no gain is above `delta`, `sure`
    paired standard errors unless given. Arguments are those of `undominated`.
    """
    table = PayoffTable.of(J, draws, students, families)
    refuse_delta(delta, table)
    if first is not None and not (whole_number(first) and 0 <= first < table.size):
        raise InputError(f"first = {first!r} is not in the table: its {table.size} students are 0 to {table.size - 1}")
    start = int(table.value.mean(axis=1).argmax()) if first is None else int(first)
    order, found = [start], list[SolvedMargin]()
    refused: int | None = None
    best = SolvedMargin(float("nan"), table.value[start], table.value[start], float("nan"))
    while left := [i for i in range(table.size) if i not in order]:
        gains = {i: solved_margin(table, i, order) for i in left}
        # Of those that are surely better the largest gain; of a tie, which rounding alone would break, the first.
        above = {i: one for i, one in gains.items() if one.value > _needed(one, delta, sure) + _rounding(table)}
        among = above or gains
        refused = max(among, key=lambda i: (round(among[i].value, 12), -i))
        best = among[refused]
        if not above:
            break
        order.append(refused)
        found.append(best)
        refused, best = None, SolvedMargin(float("nan"), best.attack, best.rivals, float("nan"))
    begun = np.eye(table.value.shape[1])[int(table.value[start].argmax())]
    return Discovery(
        order,
        np.array([np.nan, *(one.value for one in found)]),
        np.array([begun, *(one.attack for one in found)]),
        np.array([np.nan, *(one.error for one in found)]),
        refused,
        best.value,
        best.error,
    )


def pareto(J: ArrayLike) -> NDArray[np.bool_]:
    """The students (K,) that no single other one beats: as good in every family and better in one.

    >>> pareto([[0.9, 0.6], [0.7, 0.8], [0.8, 0.7], [0.7, 0.7]]).tolist()
    [True, True, True, False]
    """
    value = PayoffTable.of(J).value
    as_good = (value[:, None] >= value[None]).all(axis=2)  # [j, i]: j is as good as i everywhere
    better = (value[:, None] > value[None]).any(axis=2)
    return np.asarray(~(as_good & better).any(axis=0))


def refuse_delta(delta: float | None, table: PayoffTable) -> None:
    """InputError for a negative or missing `delta`."""
    if delta is None and table.draws is None:
        raise InputError("a table of single numbers has no errors: give its draws, or say by how much with delta")
    if delta is not None and not (a_number(delta) and 0 <= delta < np.inf):
        raise InputError(f"delta = {delta!r} must be at least 0: it is by how much a student must be better")


def _needed(solved: SolvedMargin, delta: float | None, sure: float) -> float:
    return sure * solved.error if delta is None else float(delta)


def _rounding(table: PayoffTable) -> float:
    return ROUNDING * float(np.ptp(table.value))
