"""Logistic probes over a range of penalties, on all rows and on all folds, fitted together."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from ..errors import InputError
from ..rows.duplicates import belonging_together
from ..rows.folds import fold_numbers
from ..ties import above_half
from .design import Design
from .minimize import minimize
from .problems import SEPARABLE, Problems, Solutions
from .validation import checked_weights, is_soft, soft_labels

if TYPE_CHECKING:
    from .logistic import LogisticProbe

PENALTIES = (0.0, *np.logspace(-4, 4, 10).tolist())  # the published grid
LARGEST_L2 = 1e8  # beyond it every weight is 0 to rounding


@dataclass(frozen=True, eq=False, repr=False)
class RegularizationPath:
    """Logistic fits of one label set at P penalties, each on all rows and without each of F folds.

    Without cross-validation (`cv=None`) F is 0 and the held-out numbers are NaN. A status is `converged`;
    `separable` where hard labels have no minimum (`l2=0`, or one class) and the fit was left once all of its rows
    were on their side; or `stopped`, where rounding ended it sooner,
    or may have: where a wide X has columns far smaller than its spectrum can tell.
    """

    l2: NDArray[np.float64]  # (P,) as given
    coef_: NDArray[np.float64]  # (P, d) weights of the fits on all rows
    intercept_: NDArray[np.float64]  # (P,)
    cv_loss: NDArray[np.float64]  # (P,) mean held-out BCE against the soft labels, in nats
    out_of_fold: NDArray[np.float64]  # (P, n) P(second class) of each row from the fit without its fold
    folds: NDArray[np.intp] | None  # (n,) the fold 0 .. F-1 of each row
    n_iter: NDArray[np.intp]  # (P, 1 + F) iterations: first of the fit on all rows, then of those without a fold
    excess: NDArray[np.float64]  # (P, 1 + F) (objective - minimum) / objective is at most this, by its estimate
    status: NDArray[np.str_]  # (P, 1 + F)
    classes: NDArray[Any]  # (2,) what the labels were called
    soft: bool = False  # whether a label is neither 0 nor 1

    @property
    def best(self) -> float:
        """The penalty whose held-out loss by the given (weak) labels is least; of equals, the largest.

        Where some of its fits have no minimum a penalty is passed over, unless all are: its loss says when the fit
        was left.
        """
        if self.folds is None:
            raise InputError("cv=None made no held-out predictions to choose a penalty by: fit the path with cv=5")
        bounded = (self.status != SEPARABLE).all(axis=1)
        loss = np.where(bounded | ~bounded.any(), self.cv_loss, np.inf)
        return float(self.l2[loss == loss.min()].max())

    def best_probe(self) -> "LogisticProbe":
        """The probe fitted on all rows at the best penalty."""
        return self.probe(self.best)

    def probe(self, l2: float) -> "LogisticProbe":
        """The probe fitted on all rows at one of the path's penalties."""
        from .logistic import LogisticProbe

        at = np.flatnonzero(self.l2 == l2)
        if not len(at):
            raise InputError(f"l2={l2:g} is not on the path: {', '.join(f'{value:g}' for value in self.l2)}")
        return LogisticProbe(float(l2)).fitted(
            self.coef_[at[0]],
            float(self.intercept_[at[0]]),
            int(self.n_iter[at[0], 0]),
            self.classes,
            soft=self.soft,
        )

    def __repr__(self) -> str:
        best = "" if self.folds is None else f", best l2 {self.best:g} by held-out loss"
        return f"RegularizationPath({self._title()}{best})"

    def __str__(self) -> str:
        lines = ["".join(f"{cell:>12}" for cell in row) for row in self._table()]
        return "\n".join([f"RegularizationPath({self._title()})", *lines])

    def _repr_html_(self) -> str:
        rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in self._table()]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><caption>RegularizationPath: {escape(self._title())}</caption>{body}</table>"

    def _title(self) -> str:
        rows = f"{self.coef_.shape[1]} columns, {len(self.l2)} penalties"
        return f"{rows}, no folds" if self.folds is None else f"{rows}, {self.n_iter.shape[1] - 1} folds"

    def _table(self) -> Iterator[list[str]]:
        yield ["l2", "cv_loss", "|w|", "iterations", "status", ""]
        for at, l2 in enumerate(self.l2):
            worst = next(name for name in ("stopped", "separable", "converged") if name in self.status[at])
            loss = "" if self.folds is None else f"{self.cv_loss[at]:.5f}"
            norm = float(np.linalg.norm(self.coef_[at]))
            mark = "best" if self.folds is not None and l2 == self.best else ""
            yield [f"{l2:.3g}", loss, f"{norm:.3g}", str(self.n_iter[at].max()), worst, mark]


def regularization_paths(
    X: ArrayLike | Design,
    Y: ArrayLike,
    *,
    l2: ArrayLike = PENALTIES,
    cv: int | ArrayLike | None = 5,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    seed: int = 0,
) -> list[RegularizationPath]:
    """What `LogisticProbe.paths` says."""
    penalties = checked_penalties(l2)
    design = X if isinstance(X, Design) else Design.of(X)
    n = len(design.X)
    labels, classes = _label_sets(Y, n)
    weights = checked_weights(sample_weight, n)
    for p in labels:
        both_classes(p, weights)
    folds = [_folds(design, p, cv, groups, seed) for p in labels]
    unique, place = np.unique(penalties, return_inverse=True)
    problems = _problems(labels, weights, folds, unique)
    found = minimize(design, problems)
    size = len(problems.l2) // len(labels)
    return [
        _path(design, p, weights, fold, penalties, place, _part(found, at * size, size), names)
        for at, (p, fold, names) in enumerate(zip(labels, folds, classes, strict=True))
    ]


def checked_penalties(l2: ArrayLike) -> NDArray[np.float64]:
    """Penalties (P,), or InputError."""
    values = np.atleast_1d(np.asarray(l2, dtype=np.float64))
    if values.ndim != 1 or not len(values):
        raise InputError(f"l2 must be a list of penalties, at least one, got shape {np.shape(l2)}")
    wrong = ~((values >= 0) & (values <= LARGEST_L2))
    if wrong.any():
        raise InputError(f"l2={values[wrong][0]:g} must be in [0, {LARGEST_L2:g}]")
    return values


def both_classes(p: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """InputError unless rows of both classes have a weight."""
    counted = weights > 0
    above = int(above_half(p[counted]).sum())
    if above in (0, int(counted.sum())):
        raise InputError(
            f"one class only: the labels of all {counted.sum()} rows with a weight are "
            f"{'above' if above else 'at most'} 0.5; a probe needs rows of both classes"
        )


def _label_sets(Y: ArrayLike, n: int) -> tuple[NDArray[np.float64], list[NDArray[Any]]]:
    """Label sets as P(second class) (L, n), and the two classes of each."""
    if not len(np.shape(Y)) == 2 or not len(np.asarray(Y)):
        raise InputError(f"label sets must be a matrix (sets, rows), at least one set, got shape {np.shape(Y)}")
    sets = [soft_labels(y, n) for y in np.asarray(Y)]
    return np.stack([p for p, _ in sets]), [classes for _, classes in sets]


def _folds(
    design: Design, p: NDArray[np.float64], cv: int | ArrayLike | None, groups: ArrayLike | None, seed: int
) -> NDArray[np.intp] | None:
    n = len(p)
    if cv is None:
        return None
    # Rows stand for themselves by a number that equal rows share: their duplicates are then looked for once.
    stand_in = design.equal[:, None].astype(np.float32)
    if np.ndim(cv) == 0:
        count = np.asarray(cv)
        if count.dtype.kind not in "iu" or count < 2:
            raise InputError(f"cv={cv} must be a whole number of folds, at least 2, or a fold number for each row")
        return fold_numbers(stand_in, p, groups=groups, folds=int(count), seed=seed)
    given = np.asarray(cv)
    if given.shape != (n,):
        raise InputError(f"cv has shape {given.shape}, but there are {n} rows: give a fold number for each row")
    names, folds = np.unique(given, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"cv puts all {n} rows into one fold: at least 2 are needed")
    together = belonging_together(stand_in, groups)
    first = np.unique(together, return_index=True)[1][together]
    parted = np.flatnonzero(folds != folds[first])
    if len(parted):
        raise InputError(
            f"cv parts rows {first[parted[0]]} and {parted[0]}, which are equal or of one group: keep those in one fold"
        )
    return folds.astype(np.intp)


def _problems(
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    folds: list[NDArray[np.intp] | None],
    l2: NDArray[np.float64],
) -> Problems:
    """Label set by label set, training set by training set (all rows, then without each fold), each penalty."""
    training: list[NDArray[np.float64]] = []
    label_of: list[int] = []
    for at, fold in enumerate(folds):
        training.append(weights)
        for number in range(0 if fold is None else int(fold.max()) + 1):
            kept = np.where(fold == number, 0, weights)
            if not kept.any():
                raise InputError(f"fold {number} holds every row with a weight: none is left to learn from without it")
            training.append(kept / kept.sum())
        label_of += [at] * (len(training) - len(label_of))
    return Problems(
        labels,
        np.stack(training),
        np.repeat(np.array(label_of, dtype=np.intp), len(l2)),
        np.repeat(np.arange(len(training)), len(l2)),
        np.tile(l2, len(training)),
    )


def _part(found: Solutions, start: int, size: int) -> Solutions:
    return Solutions(*(getattr(found, name)[start : start + size] for name in Solutions.__annotations__))


def _path(
    design: Design,
    p: NDArray[np.float64],
    weights: NDArray[np.float64],
    folds: NDArray[np.intp] | None,
    l2: NDArray[np.float64],
    place: NDArray[np.intp],
    found: Solutions,
    classes: NDArray[Any],
) -> RegularizationPath:
    """One label set's fits, put in the order of its penalties."""
    fits = len(found.status) // (int(place.max()) + 1)  # 1 + F

    theta = found.theta.reshape(fits, -1, found.theta.shape[1])
    coef, intercept = design.raw(theta[0])
    logits = np.full((theta.shape[1], len(p)), np.nan)
    if folds is not None:
        for number in range(fits - 1):
            rows = np.flatnonzero(folds == number)
            held_out = design.matrix[rows].astype(np.float64)
            logits[:, rows] = theta[1 + number][:, :-1] @ held_out.T + theta[1 + number][:, -1:]
    with np.errstate(invalid="ignore"):  # NaN where there are no folds
        cv_loss = (np.logaddexp(0, logits) - p * logits) @ weights
    return RegularizationPath(
        l2=l2,
        coef_=coef[place],
        intercept_=intercept[place],
        cv_loss=cv_loss[place],
        out_of_fold=expit(logits)[place],
        folds=folds,
        n_iter=found.n_iter.reshape(fits, -1).T[place],
        excess=found.excess.reshape(fits, -1).T[place],
        status=found.status.reshape(fits, -1).T[place],
        classes=classes,
        soft=is_soft(p),
    )
