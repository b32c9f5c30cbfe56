"""L2-regularised logistic regression on soft labels."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning

from ..devices import PROCESSOR
from ..errors import InputError
from ..rows.linear_scores import linear_scores
from ..rows.row_parts import row_parts
from ..tensors import as_numpy
from .base import Probe
from .design import Design
from .device_design import design_on
from .minimize import minimize
from .penalties import PENALTIES
from .problems import (
    SEPARABLE,
    STOPPED,
    Problems,
    Solutions,
    both_classes,
    checked_folds,
    checked_label_sets,
    checked_penalties,
    training_problems,
)
from .validation import checked_weights, is_soft

HELD_OUT = 1 << 24  # numbers scored at once in float64


class LogisticProbe(Probe):
    """Minimises mean BCE(p, sigmoid(Xw + b)) + l2·‖w‖², the bias free, the inputs not standardised.

    (The blog's objective: no factor ½. scikit-learn's `C` for n rows is 1 / (2 n l2).) Solved by L-BFGS
    preconditioned by the spectrum of X, which does not mind the outlier dimensions of transformers, to within 1e-6
    of the minimum, and to rounding where `l2` is above 0 and X holds at most a million numbers. With `l2=0` and
    separable classes there is no minimum: the fit is left once it separates them. For many penalties, folds or label
    sets see `path`. On a torch `device` such as "cuda" it is fitted where that pays (`DeviceDesign.of`); rows are
    scored on the processor.

    >>> probe = LogisticProbe(l2=0.1).fit([[-2.0], [-1.0], [1.0], [2.0]], [0.1, 0.2, 0.8, 0.9])
    >>> probe.predict([[-0.5], [0.5]]).tolist()
    [0, 1]
    """

    def __init__(self, l2: float = 1e-2, device: str = PROCESSOR) -> None:
        self.l2 = l2  # penalty, at least 0
        self.device = device  # of its fits: "cpu", or torch's "cuda"

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from activations X (n, d), labels y (n,) and row weights (n,): their scale does not matter."""
        matrix, p = self._read(X, y)
        weights = checked_weights(sample_weight, len(matrix))
        both_classes(p, weights)
        penalty = checked_penalties(self.l2)
        design, only = design_on(matrix, self.device), np.zeros(1, dtype=np.intp)
        solution = minimize(design, Problems(p[None], weights[None], only, only, penalty))
        if solution.status[0] == STOPPED:
            warnings.warn(
                f"l2={self.l2:g}: stopped after {solution.n_iter[0]} iterations, the objective about "
                f"{solution.excess[0]:.0e} above its minimum: a larger l2 is solved sooner",
                ConvergenceWarning,
                stacklevel=2,
            )
        coef, intercept = design.raw(solution.theta)
        self.coef_, self.intercept_, self.n_iter_ = coef, intercept, solution.n_iter
        return self

    @classmethod
    def path(
        cls,
        X: ArrayLike | Design,
        y: ArrayLike,
        *,
        l2: ArrayLike = PENALTIES,
        cv: int | ArrayLike | None = 5,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        seed: int = 0,
        device: str = PROCESSOR,
    ) -> "RegularizationPath":
        """Fits on X (n, d) and labels y (n,) at every penalty, on all rows and without each fold, all together.

        `X` may be a `Design`, prepared once for several calls. `cv` is a number of folds, which keep groups (n,) and
        exact duplicates together; or a fold number for each row (n,); or None, for no folds. A fold's fit gives its
        rows the weight 0, so folds cost no copies; docs/performance.md has times. `device` is that of the fits; a
        `Design` has its own.
        """
        labels = np.asarray(as_numpy(y))[None]
        more: dict[str, Any] = {"sample_weight": sample_weight, "seed": seed, "device": device}
        return cls.paths(X, labels, l2=l2, cv=cv, groups=groups, **more)[0]

    @classmethod
    def paths(
        cls,
        X: ArrayLike | Design,
        Y: ArrayLike,
        *,
        l2: ArrayLike = PENALTIES,
        cv: int | ArrayLike | None = 5,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        seed: int = 0,
        device: str = PROCESSOR,
    ) -> "list[RegularizationPath]":
        """One path for each of several label sets Y (L, n) of the same rows, fitted together; see `path`.

        Each set has its own folds where `cv` is a number: they are stratified by its labels.
        """
        penalties = checked_penalties(l2)
        if isinstance(X, Design) and device != PROCESSOR:
            raise InputError(f"device={device!r}: a design lies on a device already: make it by DeviceDesign.of")
        design = X if isinstance(X, Design) else design_on(X, device)
        n = len(design.X)
        labels, classes = checked_label_sets(Y, n)
        weights = checked_weights(sample_weight, n)
        for p in labels:
            both_classes(p, weights)
        folds = [None if cv is None else checked_folds(design.equal, p, cv, groups, seed) for p in labels]
        unique, place = np.unique(penalties, return_inverse=True)
        problems = training_problems(labels, weights, folds, unique)
        solutions = minimize(design, problems)
        size = len(problems.l2) // len(labels)
        return [
            _path(design, p, weights, fold, penalties, place, solutions.part(at * size, size), names)
            for at, (p, fold, names) in enumerate(zip(labels, folds, classes, strict=True))
        ]

    def fitted(
        self, coef: NDArray[np.float64], intercept: float, n_iter: int, classes: NDArray[Any], *, soft: bool = False
    ) -> Self:
        """Take over weights (d,) and an intercept found elsewhere, as if by `fit`; `soft`: from soft labels."""
        self.coef_, self.intercept_ = coef[None].copy(), np.array([intercept])
        self.n_iter_, self.classes_, self.n_features_in_ = np.array([n_iter]), classes, len(coef)
        self.soft_ = soft
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-odds (m,) of the second class."""
        return self._log_odds(self._checked(X))

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(self._log_odds(X)))

    def _log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return linear_scores(X, self.coef_[0], self.intercept_[0])


@dataclass(frozen=True, eq=False, repr=False)
class RegularizationPath:
    """Logistic fits of one label set at P penalties, each on all rows and without each of F folds.

    Without cross-validation (`cv=None`) F is 0 and the held-out numbers are NaN. A status is `converged`;
    `separable` where hard labels have no minimum (`l2=0`, or one class) and the fit was left once all of its rows
    were on their side; or `stopped`, where rounding ended it sooner,
    or may have: where a wide X has columns far smaller than its spectrum can tell.

    >>> X, y = [[-2.0], [-1.5], [-1.0], [1.0], [1.5], [2.0]], [0.1, 0.2, 0.3, 0.7, 0.8, 0.9]
    >>> path = LogisticProbe.path(X, y, l2=[0.01, 100], cv=2)
    >>> path.best, path.out_of_fold.shape
    (0.01, (2, 6))
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

    @property
    def best_out_of_fold(self) -> NDArray[np.float64]:
        """P(second class) (n,) of each row at the best penalty, from the fit without its fold."""
        return np.asarray(self.out_of_fold[np.flatnonzero(self.l2 == self.best)[0]])

    def best_probe(self) -> LogisticProbe:
        """The probe fitted on all rows at the best penalty."""
        return self.probe(self.best)

    def probe(self, l2: float) -> LogisticProbe:
        """The probe fitted on all rows at one of the path's penalties."""
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


def _path(
    design: Design,
    p: NDArray[np.float64],
    weights: NDArray[np.float64],
    folds: NDArray[np.intp] | None,
    l2: NDArray[np.float64],
    place: NDArray[np.intp],
    solutions: Solutions,
    classes: NDArray[Any],
) -> RegularizationPath:
    """One label set's fits, put in the order of its penalties."""
    fits = len(solutions.status) // (int(place.max()) + 1)  # 1 + F

    theta = solutions.theta.reshape(fits, -1, solutions.theta.shape[1])
    coef, intercept = design.raw(theta[0])
    logits = np.full((theta.shape[1], len(p)), np.nan)
    if folds is not None:
        for number in range(fits - 1):
            fold = np.flatnonzero(folds == number)
            for part in row_parts(len(fold), design.matrix.shape[1], HELD_OUT):
                logits[:, fold[part]] = design.at(theta[1 + number], fold[part])
    with np.errstate(invalid="ignore"):  # NaN where there are no folds
        cv_loss = (np.logaddexp(0, logits) - p * logits) @ weights
    return RegularizationPath(
        l2=l2,
        coef_=coef[place],
        intercept_=intercept[place],
        cv_loss=cv_loss[place],
        out_of_fold=expit(logits)[place],
        folds=folds,
        n_iter=solutions.n_iter.reshape(fits, -1).T[place],
        excess=solutions.excess.reshape(fits, -1).T[place],
        status=solutions.status.reshape(fits, -1).T[place],
        classes=classes,
        soft=is_soft(p),
    )
