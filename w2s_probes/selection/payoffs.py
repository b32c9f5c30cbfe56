"""Tables of payoffs, of students against families of errors: checked, with paired errors of what is read in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..tensors import as_numpy

Values = NDArray[np.float64]


@dataclass(frozen=True)
class PayoffTable:
    """Payoffs of K students against F families of errors, and resamples of them where there are any."""

    value: Values  # (K, F)
    draws: Values | None  # (draws, K, F), each on the same resampled rows for all students and families

    @classmethod
    def of(
        cls,
        J: ArrayLike,
        draws: ArrayLike | None = None,
        students: Sequence[str] | None = None,
        families: Sequence[str] | None = None,
    ) -> "PayoffTable":
        """Checked: J is (K, F), or (draws, K, F), whose mean is then the table.

        InputError for fewer than two students, no family, a cell without a number, and draws of another table.
        """
        value = numbers(J, "J")
        drawn = None if draws is None else numbers(draws, "draws")
        if value.ndim == 3 and drawn is None:
            if not len(value):
                raise InputError("J of shape (0, K, F) holds no draws: give at least two")
            drawn, value = value, value.mean(axis=0)
        if value.ndim != 2:
            raise InputError(
                f"J has {value.ndim} axes: a table (students, families) or its draws (draws, K, F) is wanted"
            )
        if len(value) < 2:
            raise InputError(f"J has {len(value)} student{'s' * (len(value) != 1)}: a choice needs at least two")
        if not value.shape[1]:
            raise InputError("J has no family of errors: give at least one column")
        _refuse_missing(value, "J", students, families)
        if drawn is not None:
            if drawn.ndim != 3 or drawn.shape[1:] != value.shape or len(drawn) < 2:
                raise InputError(
                    f"draws have the shape {drawn.shape}: at least two of the table's {value.shape} are wanted, "
                    "(draws, students, families)"
                )
            _refuse_missing(drawn, "draws", students, families)
        return cls(value, drawn)

    @property
    def size(self) -> int:
        """The number of students."""
        return len(self.value)

    def error(self, student: int, attack: Values, rivals: Values) -> float:
        """The paired standard error of a margin: of the student minus the mixture of rivals (K,) at this attack (F,).

        Attack and rivals are held as they were found: to first order a margin moves with the payoffs alone, as a
        maximum does not move with where it is. NaN without draws.
        """
        if self.draws is None:
            return float("nan")
        weight = -np.asarray(rivals, dtype=np.float64)
        weight[student] += 1
        return float(np.std(weight @ (self.draws @ attack).T, ddof=1))


def paired_errors(draws: ArrayLike) -> Values:
    """The standard errors (K, K, F) of differences of two students' payoffs, from paired draws (draws, K, F).

    >>> paired_errors([[[0.9], [0.8]], [[0.7], [0.6]]]).round(6)[0, 1]  # both move together: nothing is left
    array([0.])
    """
    table = PayoffTable.of(draws)
    assert table.draws is not None
    differences = table.draws[:, :, None] - table.draws[:, None]
    return np.asarray(differences.std(axis=0, ddof=1))


def numbers(values: ArrayLike, name: str) -> Values:
    """An array of numbers; InputError for anything else."""
    try:
        return np.asarray(as_numpy(values), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of numbers, with rows of one length") from error


def _refuse_missing(values: Values, name: str, students: Sequence[str] | None, families: Sequence[str] | None) -> None:
    """InputError for the first cell without a finite number, by the names of its student and family."""
    if (bad := np.argwhere(~np.isfinite(values))).size:
        student, family = (int(at) for at in bad[0][-2:])
        row = student if students is None else repr(students[student])
        column = family if families is None else repr(families[family])
        raise InputError(
            f"{name} has no number for student {row} and family {column}: leave the student or the family out, or "
            "measure it"
        )


def whole_number(value: object) -> bool:
    """Whether it is a whole number, and no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def a_number(value: object) -> bool:
    """Whether it is one number, and no truth value."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
