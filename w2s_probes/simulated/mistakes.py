"""Supervisors with the same number of errors in different places (Burns et al. 2023, appendix E.2)."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities, truth_sides
from ..errors import InputError, did_you_mean
from ..labels.label_set import ids_of, refuse_other_ids
from ..randomness import stream

ErrorKind = Literal["own", "random", "longest", "shortest", "strong-unconfident", "strong-confidently-correct"]

ERROR_KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)


def mistaken(
    kind: ErrorKind,
    truth: ArrayLike,
    errors: int | float | None = None,
    *,
    weak: ArrayLike | None = None,
    strong: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    per_class: bool = False,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Hard labels (n,): the truth (n,), wrong on exactly the given number of rows, which `kind` picks.

    - own: where the weak model's P(1), `weak` (n,), is on the wrong side of ½.
    - random: any rows.
    - longest, shortest: by the `lengths` (n,) of the texts.
    - strong-unconfident: where the strong model's P(1), `strong` (n,), is nearest to ½.
    - strong-confidently-correct: where it is farthest from ½, among the rows that it gets right.

    `strong` is of a model trained on truth, and must be out of sample: scores of its own training rows are right
    nearly everywhere. `errors` is a whole number of rows, or a float for a rate in [0, 1], rounded to the nearest row
    (halves to even). None means as many as the weak model makes, which puts all kinds at its error rate; "own" takes
    no other number. Inputs that the kind does not need may be given, so that one call serves every kind.

    The kind alone decides the classes of the errors (`error_balance` counts them), which moves the labels' class mix.
    With `per_class` each class has as many errors as the weak model makes there or, with `errors` given, its share by
    size (to a row). Ties are broken at random by the seed; fewer errors are then a subset of more. Errors read the
    truth: these labels are for simulation, never for choosing anything. InputError for a missing input
    and for fewer rows of the kind than errors.
    """
    if kind not in ERROR_KINDS:
        raise InputError(f"kind {kind!r}: {did_you_mean(str(kind), ERROR_KINDS)}")
    refuse_other_ids({"truth": ids_of(truth), "weak": ids_of(weak), "strong": ids_of(strong)})
    rows = len(probabilities(truth, "truth"))
    if not rows:
        raise InputError("truth has no rows: give at least one")
    sides = truth_sides(truth, rows)
    inputs = _Inputs(_scores(weak, "weak", rows), _scores(strong, "strong", rows), _lengths(lengths, rows))
    count = None if errors is None else _count(errors, rows)
    if kind == "own":
        wrong = inputs.own(sides, "kind 'own'")
        if count not in (None, int(wrong.sum())):
            raise InputError(f"kind 'own': the weak model makes {wrong.sum()} errors, not {count}: leave errors out")
        return np.where(wrong, ~sides, sides).astype(np.float64)
    shares = _shares(count, sides, inputs)
    ranked = inputs.ranked(kind, sides, stream(seed, "mistaken", kind))
    if per_class:
        picked = [_first(ranked[sides[ranked] == c], shares[c], f"kind {kind!r}, class {c}") for c in (0, 1)]
    else:
        picked = [_first(ranked, sum(shares), f"kind {kind!r}")]
    labels = sides.astype(np.float64)
    mistakes = np.concatenate(picked)
    labels[mistakes] = 1 - labels[mistakes]
    return labels


@dataclass(frozen=True)
class ErrorBalance:
    """The number of wrong labels by true class.

    >>> balance = error_balance(truth=[0, 0, 1, 1], labels=[0.2, 0.9, 0.8, 0.6])
    >>> balance.wrong_zeros, balance.wrong_ones, balance.rate
    (1, 0, 0.25)
    """

    zeros: int  # rows of true class 0
    ones: int  # rows of true class 1
    wrong_zeros: int  # of true class 0, labelled 1
    wrong_ones: int  # of true class 1, labelled 0

    @property
    def errors(self) -> int:
        """The number of wrong labels of both classes."""
        return self.wrong_zeros + self.wrong_ones

    @property
    def rate(self) -> float:
        """The share of all labels that are wrong."""
        return self.errors / (self.zeros + self.ones)


def error_balance(truth: ArrayLike, labels: ArrayLike) -> ErrorBalance:
    """The labels (n,) on the other side of ½ than the truth (n,), counted by true class."""
    refuse_other_ids({"truth": ids_of(truth), "labels": ids_of(labels)})
    labelled_one = probabilities(labels, "labels") > 0.5
    sides = truth_sides(truth, len(labelled_one))
    if not len(sides):
        raise InputError("no rows: a balance needs at least one label")
    return ErrorBalance(
        zeros=int((~sides).sum()),
        ones=int(sides.sum()),
        wrong_zeros=int((labelled_one & ~sides).sum()),
        wrong_ones=int((~labelled_one & sides).sum()),
    )


@dataclass(frozen=True)
class _Inputs:
    """The inputs that pick the rows of an error kind, each (n,) or None."""

    weak: NDArray[np.float64] | None
    strong: NDArray[np.float64] | None
    lengths: NDArray[np.float64] | None

    def own(self, sides: NDArray[np.bool_], why: str) -> NDArray[np.bool_]:
        """Which rows the weak model gets wrong."""
        return np.asarray((_needed(self.weak, "weak", why) > 0.5) != sides)

    def ranked(self, kind: ErrorKind, sides: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
        """The rows that may be wrong, in the order in which they become so."""
        rows = rng.permutation(len(sides))
        if kind == "random":
            return rows
        if kind in ("longest", "shortest"):
            lengths = _needed(self.lengths, "lengths", f"kind {kind!r}")
            key = lengths if kind == "shortest" else -lengths
        else:
            strong = _needed(self.strong, "strong", f"kind {kind!r}")
            # .3 and .7 are equally sure, but not to the last bit: unrounded, class 0 would go first.
            key = np.abs(strong - 0.5).round(12)
            if kind == "strong-confidently-correct":
                right = ((strong > 0.5) == sides) & (strong != 0.5)
                rows, key = rows[right[rows]], -key
        return rows[np.argsort(key[rows], kind="stable")]


def _shares(count: int | None, sides: NDArray[np.bool_], inputs: _Inputs) -> tuple[int, int]:
    """Errors of each class: those of the weak model or `count` in proportion to the classes."""
    if count is None:
        wrong = inputs.own(sides, "errors=None")
        return int(wrong[~sides].sum()), int(wrong[sides].sum())
    ones = round(count * int(sides.sum()) / len(sides))
    return count - ones, ones


def _first(rows: NDArray[np.intp], count: int, what: str) -> NDArray[np.intp]:
    if count > len(rows):
        raise InputError(f"{what}: {count} errors are asked for but only {len(rows)} rows qualify: lower errors")
    return rows[:count]


def _needed(values: NDArray[np.float64] | None, name: str, why: str) -> NDArray[np.float64]:
    if values is None:
        raise InputError(f"{why} needs `{name}`: one number a row")
    return values


def _scores(values: ArrayLike | None, name: str, rows: int) -> NDArray[np.float64] | None:
    if values is None:
        return None
    p = probabilities(values, name)
    if len(p) != rows:
        raise InputError(f"{name} has {len(p)} scores but truth has {rows} rows: one number a row is needed")
    return p


def _lengths(values: ArrayLike | None, rows: int) -> NDArray[np.float64] | None:
    if values is None:
        return None
    array = np.asarray(values)
    if array.shape != (rows,) or array.dtype.kind not in "iuf" or not (np.isfinite(array) & (array >= 0)).all():
        raise InputError(f"lengths must be {rows} finite numbers, at least 0, such as [len(text) for text in texts]")
    return array.astype(np.float64)


def _count(errors: int | float, rows: int) -> int:
    """Errors as a number of rows."""
    if isinstance(errors, float | np.floating):
        if not 0 <= errors <= 1:
            raise InputError(f"errors={errors:g}: a rate lies in [0, 1]; give a number of rows as a whole number")
        return round(float(errors) * rows)
    if isinstance(errors, bool) or not isinstance(errors, int | np.integer):
        raise InputError(f"errors={errors!r} must be a whole number of rows, or a float for a rate in [0, 1]")
    if not 0 <= errors <= rows:
        raise InputError(f"errors={errors}: truth has {rows} rows; give 0 to {rows}, or a float for a rate in [0, 1]")
    return int(errors)
