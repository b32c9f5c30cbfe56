"""Calibration curves are learned from scores and labels of the same rows; out of sample where these rows use them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from ..checks import probabilities
from ..errors import InputError
from ..rows.folds import fold_numbers
from .curves import CALIBRATION_RULES, CalibrationRule, Calibrator, logits

LEAST_ROWS = 10
FOLDS = 5
LOG_SLOPES = (-10.0, 10.0)  # of a temperature, as scikit-learn searches


def calibrate(scores: ArrayLike, labels: ArrayLike, *, by: CalibrationRule = "platt", to: str = "labels") -> Calibrator:
    """The curve that maps scores (n,), P(label = 1), to labels (n,) of the same rows, which may be soft.

    "temperature" (Guo et al. 2017) divides log-odds by the one number with the least log loss, between e^-10 and e^10.
    "platt" (Platt 1999) is the logistic curve of the log-odds with Platt's targets (N1 + 1)/(N1 + 2) and 1/(N0 + 2),
    which keep it finite where classes are separated; a curve that would fall is cut off at a slope of 0. "isotonic"
    (Zadrozny & Elkan 2002) is scikit-learn's monotone regression, clipped at its ends; it overfits below some thousand
    rows. A soft label y counts as y of a row of label 1 and 1 - y of one of label 0. `to` says whose labels those are.
    InputError for fewer than 10 rows, for scores that are all the same, and where all labels are.
    """
    p, y = _checked(scores, labels, by)
    if by == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y)
        points, values = (tuple(bend.tolist()) for bend in (fitted.X_thresholds_, fitted.y_thresholds_))
        return Calibrator(by, scores=points, values=values, to=to, rows=len(p))
    z = logits(p)
    if by == "temperature":

        def lost(log_slope: float) -> float:
            raised = np.exp(log_slope) * z
            return float((np.logaddexp(0, raised) - y * raised).mean())

        best = minimize_scalar(lost, bounds=LOG_SLOPES, method="bounded", options={"xatol": 1e-10})
        return Calibrator(by, slope=float(np.exp(best.x)), to=to, rows=len(p))
    slope, shift = _platt(z, y)
    return Calibrator(by, slope=slope, shift=shift, to=to, rows=len(p))


def cross_calibrated(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    by: CalibrationRule = "platt",
    groups: ArrayLike | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Calibrated P (n,) of the very rows with labels: each by a curve of the folds that it, and its group, are not in.

    InputError as `calibrate`, and where a class is in fewer groups than folds.
    """
    p, y = _checked(scores, labels, by)
    apart = np.arange(len(p), dtype=np.float32)[:, None]  # no row is another's duplicate
    fold = fold_numbers(apart, y, groups=groups, folds=folds, seed=seed)
    calibrated = np.empty(len(p))
    for number in range(folds):
        held = fold == number
        calibrated[held] = calibrate(p[~held], y[~held], by=by)(p[held])
    return calibrated


def _checked(
    scores: ArrayLike, labels: ArrayLike, by: CalibrationRule
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if by not in CALIBRATION_RULES:
        raise InputError(f"by={by!r}: a calibration is one of {', '.join(CALIBRATION_RULES)}")
    p, y = probabilities(scores, "scores"), probabilities(labels, "labels")
    if len(p) != len(y):
        raise InputError(f"{len(p)} scores but {len(y)} labels: calibration needs those of the same rows")
    if len(p) < LEAST_ROWS:
        raise InputError(f"{len(p)} rows to calibrate on: {LEAST_ROWS} are needed at least: give more labels")
    if y.min() == y.max():
        raise InputError(f"all {len(y)} labels to calibrate on are {y[0]:g}: give rows of both classes")
    if p.min() == p.max():
        raise InputError(f"all {len(p)} scores to calibrate are {p[0]:g}: no curve makes more of them")
    return p, y


def _platt(z: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and shift: the logistic regression of Platt's targets, on log-odds."""
    ones, zeros = y.sum(), (1 - y).sum()
    target = y * (ones + 1) / (ones + 2) + (1 - y) / (zeros + 2)
    centre, spread = z.mean(), z.std()
    scaled = (z - centre) / spread

    def lost(curve: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        raised = curve[0] * scaled + curve[1]
        off = expit(raised) - target
        return float((np.logaddexp(0, raised) - target * raised).mean()), np.array([off @ scaled, off.sum()]) / len(z)

    prior = target.mean()
    start = np.array([0.0, np.log(prior / (1 - prior))])
    options = {"gtol": 1e-9, "ftol": 1e-15, "maxiter": 1000}
    found = minimize(lost, start, method="L-BFGS-B", jac=True, bounds=[(0, None), (None, None)], options=options)
    slope = float(found.x[0] / spread)
    return slope, float(found.x[1] - slope * centre)
