"""By how much a student is better than every mixture of others, at the mixture of attacks that shows it best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from ..errors import InputError
from .payoffs import PayoffTable, Values, whole_number


@dataclass(frozen=True)
class SolvedMargin:
    """A margin with both mixtures at which it is reached, and its paired standard error."""

    value: float
    attack: Values  # (F,) the mixture of families at which the student stands out most
    rivals: Values  # (K,) the mixture of the others that comes nearest to it there
    error: float  # NaN where the table has no draws


def margin(J: ArrayLike, i: int, others: Sequence[int] | None = None) -> tuple[float, Values]:
    """Max over mixtures q (F,) of attacks of min over the `others` j of q · (J_i - J_j); and that q.

    One linear program. J is (K, F); `others` are all but i unless given. By duality the margin is also what the best
    mixture of the others must leave to i in some family: at 0 or below that mixture does as well everywhere.

    >>> value, attack = margin([[0.9, 0.6], [0.7, 0.8], [0.8, 0.7]], 0)
    >>> round(value, 6), attack.tolist()
    (0.1, [1.0, 0.0])
    """
    solved = solved_margin(PayoffTable.of(J), i, others)
    return solved.value, solved.attack


def margins(J: ArrayLike) -> Values:
    """The margin of each student (K,) over all others."""
    table = PayoffTable.of(J)
    return np.array([solved_margin(table, i).value for i in range(table.size)])


def solved_margin(table: PayoffTable, i: int, others: Sequence[int] | None = None) -> SolvedMargin:
    """The margin of student i over the others; InputError for students that the table lacks."""
    size = table.size
    chosen = [j for j in range(size) if j != i] if others is None else list(dict.fromkeys(others))
    for j in (i, *chosen):
        if not whole_number(j) or not 0 <= j < size:
            raise InputError(f"student {j} is not in the table: its {size} students are 0 to {size - 1}")
    if not chosen:
        raise InputError(f"student {i} has no others to be compared with: name at least one")
    ahead = table.value[i] - table.value[chosen]  # (others, F)
    value, attack, weight = _game(ahead)
    rivals = np.zeros(size)
    rivals[chosen] = weight
    return SolvedMargin(value, attack, rivals, table.error(i, attack, rivals))


def _game(ahead: NDArray[np.float64]) -> tuple[float, Values, Values]:
    """The value of the game (rows chosen against us, columns by us), our mixture of columns, and theirs of rows."""
    rows, columns = ahead.shape
    scale = float(np.abs(ahead).max())
    if rows == 1 or columns == 1 or not scale:
        # the best column against the only row; the worst row in the only column
        row, column = (0, int(ahead[0].argmax())) if rows == 1 else (int(ahead[:, 0].argmin()), 0)
        return float(ahead[row, column]), np.eye(columns)[column], np.eye(rows)[row]
    # The solver's tolerance is absolute: differences of any size are brought to 1.
    found = linprog(
        np.r_[np.zeros(columns), -1.0],
        A_ub=np.column_stack([-ahead / scale, np.ones(rows)]),
        b_ub=np.zeros(rows),
        A_eq=np.r_[np.ones(columns), 0.0][None],
        b_eq=[1.0],
        bounds=[(0, None)] * columns + [(None, None)],
        method="highs",
    )
    assert found.status == 0, found.message  # a game of finite numbers has a value
    attack = _mixture(found.x[:columns])
    weight = _mixture(-found.ineqlin.marginals)
    return float((ahead @ attack).min()), attack, weight


def _mixture(weights: NDArray[np.float64]) -> Values:
    """Weights from a solver as a mixture: none below 0, and 1 in all."""
    kept = np.clip(weights, 0.0, None)
    return np.asarray(kept / kept.sum())
