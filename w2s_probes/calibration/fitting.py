"""Calibration curves are learned from scores and labels of the same rows; out of sample where these rows use them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from ..checks import probabilities
from ..errors import InputError
from ..labels.label_set import ids_of, refuse_other_ids
from ..rows.folds import fold_numbers
from ..tensors import as_numpy
from .curves import CALIBRATION_RULES, LEAST_ROWS, CalibrationRule, Calibrator, logits

FOLDS = 5
LOG_SLOPES = (-10.0, 10.0)  # of a temperature, as scikit-learn searches; a Platt curve has the least, too
TIED = 36.0  # log-odds beyond which P is 1 to the last bit, or nearly so: rows that differ become equal


def calibrate(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    by: CalibrationRule = "platt",
    weights: ArrayLike | None = None,
    to: str = "labels",
) -> Calibrator:
    """The curve that maps scores (n,), P(label = 1), to labels (n,) of the same rows, which may be soft.

    "temperature" (Guo et al. 2017) divides log-odds by the one number with the least log loss, between e^-10 and e^10;
    where that would make rows equal, since it tells the labels apart without an error or nearly so, they are Platt's
    targets. "platt" (Platt 1999) is the logistic curve of the log-odds with Platt's targets (N1 + 1)/(N1 + 2) and
    1/(N0 + 2), which keep it finite where classes are separated; one that would fall is cut off at a slope of e^-10.
    "isotonic" (Zadrozny & Elkan 2002) is scikit-learn's monotone regression, clipped at its ends; it overfits below
    some thousand rows. A soft label y counts as y of a row of label 1 and 1 - y of one of label 0, and a row of weight
    w (n,) as w rows. `to` says whose labels those are. InputError for fewer than 10 rows, for scores that are all the
    same, and where all labels are; rows of weight 0 are none.
    """
    p, y, w = _checked(scores, labels, by, weights)
    if by == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y, w)
        points, values = (tuple(bend.tolist()) for bend in (fitted.X_thresholds_, fitted.y_thresholds_))
        return Calibrator(by, scores=points, values=values, to=to, rows=len(p))
    z = logits(p)
    if by == "temperature":
        slope = _temperature(z, y, w)
        slope = slope if slope * np.abs(z).max() < TIED else _temperature(z, _targets(y, w), w)
        return Calibrator(by, slope=slope, to=to, rows=len(p))
    slope, shift = _platt(z, _targets(y, w), w)
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
    p, y, _ = _checked(scores, labels, by)
    apart = np.arange(len(p), dtype=np.float32)[:, None]  # no row is another's duplicate
    fold = fold_numbers(apart, y, groups=groups, folds=folds, seed=seed)
    calibrated = np.empty(len(p))
    for number in range(folds):
        held = fold == number
        calibrated[held] = calibrate(p[~held], y[~held], by=by)(p[held])
    return calibrated


def _checked(
    scores: ArrayLike, labels: ArrayLike, by: CalibrationRule, weights: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Scores, labels and weights (n,) of the rows that count."""
    if by not in CALIBRATION_RULES:
        raise InputError(f"by={by!r}: a calibration is one of {', '.join(CALIBRATION_RULES)}")
    refuse_other_ids({"scores": ids_of(scores), "labels": ids_of(labels)})
    p, y = probabilities(scores, "scores"), probabilities(labels, "labels")
    if len(p) != len(y):
        raise InputError(f"{len(p)} scores but {len(y)} labels: calibration needs those of the same rows")
    w = np.ones(len(p)) if weights is None else np.asarray(as_numpy(weights), dtype=np.float64)
    if w.shape != p.shape or not np.isfinite(w).all() or (w < 0).any():
        raise InputError(f"weights must be {len(p)} finite numbers, one a row, none below 0")
    p, y, w = p[w > 0], y[w > 0], w[w > 0]
    if len(p) < LEAST_ROWS:
        raise InputError(f"{len(p)} rows to calibrate on: {LEAST_ROWS} are needed at least: give more labels")
    if y.min() == y.max():
        raise InputError(f"all {len(y)} labels to calibrate on are {y[0]:g}: give rows of both classes")
    if np.ptp(logits(p)) == 0:
        raise InputError(f"all {len(p)} scores to calibrate are {p[0]:g}: no curve makes more of them")
    return p, y, w


def _targets(y: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Platt's targets (n,): labels drawn in by what one more row of each class would change."""
    ones, zeros = w @ y, w @ (1 - y)
    return np.asarray(y * (ones + 1) / (ones + 2) + (1 - y) / (zeros + 2))


def _temperature(z: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64]) -> float:
    """The slope of log-odds with the least log loss."""

    def lost(log_slope: float) -> float:
        raised = np.exp(log_slope) * z
        return float(w @ (np.logaddexp(0, raised) - y * raised) / w.sum())

    best = minimize_scalar(lost, bounds=LOG_SLOPES, method="bounded", options={"xatol": 1e-10})
    return float(np.exp(best.x))


def _platt(z: NDArray[np.float64], target: NDArray[np.float64], w: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and shift: the logistic regression of Platt's targets, on log-odds."""
    total = w.sum()
    centre = w @ z / total
    spread = np.sqrt(w @ (z - centre) ** 2 / total)
    scaled = (z - centre) / spread

    def lost(curve: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        raised = curve[0] * scaled + curve[1]
        off = w * (expit(raised) - target)
        loss = float(w @ (np.logaddexp(0, raised) - target * raised) / total)
        return loss, np.array([off @ scaled, off.sum()]) / total

    prior = w @ target / total
    least = np.exp(LOG_SLOPES[0]) * spread
    start = np.array([least, np.log(prior / (1 - prior))])
    options = {"gtol": 1e-9, "ftol": 1e-15, "maxiter": 1000}
    found = minimize(lost, start, method="L-BFGS-B", jac=True, bounds=[(least, None), (None, None)], options=options)
    slope = float(found.x[0] / spread)
    return slope, float(found.x[1] - slope * centre)
