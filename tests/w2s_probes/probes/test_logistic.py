"""Logistic probes and their paths: a float64 Newton method is the oracle of every minimum."""

import subprocess
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize as scipy_minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.conftest import GOLDEN, planted
from w2s_probes import InputError, LogisticProbe, auroc
from w2s_probes.probes import design as design_module
from w2s_probes.probes import minimize as minimize_module
from w2s_probes.probes import spectrum as spectrum_module
from w2s_probes.probes.design import Design
from w2s_probes.probes.logistic import RegularizationPath
from w2s_probes.probes.penalties import PENALTIES

CASES = ("overshoot", "small_hard", "soft", "two_clusters", "wide")
FEW = [0.0, 1e-4, 1e-2, 1.0, 1e3, 1e8]


def objective(X: Any, p: Any, l2: float, weights: Any, bias: float, rows: Any = None) -> float:
    """Mean BCE, by row weights if given, + l2·‖w‖², in a form that neither overflows nor takes the logarithm of 0."""
    logits = X.astype(np.float64) @ weights + bias
    losses = np.logaddexp(0, logits) - p * logits
    return float(np.average(losses, weights=rows) + l2 * weights @ weights)


@dataclass(frozen=True)
class Minimum:
    """Where the oracle ended."""

    weights: NDArray[np.float64]
    bias: float
    value: float


def oracle(X: Any, p: Any, l2: float, rows: Any = None, steps: int = 200) -> Minimum:
    """Newton's method with backtracking in float64 on [w, b]; where n < d in coordinates of the row space."""
    center = X.mean(axis=0, dtype=np.float64)
    centred = X.astype(np.float64) - center
    basis = np.linalg.qr(centred.T)[0] if centred.shape[0] < centred.shape[1] else np.eye(centred.shape[1])
    design = np.column_stack([centred @ basis, np.ones(len(X))])
    s = np.full(len(X), 1 / len(X)) if rows is None else rows / rows.sum()
    ridge = np.append(np.full(design.shape[1] - 1, 2 * l2), 0.0)

    def value(theta: Any) -> float:
        logits = design @ theta
        return float(s @ (np.logaddexp(0, logits) - p * logits) + ridge @ theta**2 / 2)

    theta = np.zeros(design.shape[1])
    theta[-1] = np.log(s @ p) - np.log1p(-(s @ p))
    for _ in range(steps):
        f = expit(design @ theta)
        gradient = design.T @ (s * (f - p)) + ridge * theta
        hessian = (design * (s * f * (1 - f))[:, None]).T @ design + np.diag(ridge)
        # A constant column at l2 = 0, or rows that are all saturated, leave the Hessian singular.
        hessian[np.diag_indices_from(hessian)] += 1e-13 * max(float(np.trace(hessian)) / len(hessian), 1e-12)
        direction = cho_solve(cho_factor(hessian), gradient)
        decrement, size, before = float(gradient @ direction), 1.0, value(theta)
        while value(theta - size * direction) > before - 1e-4 * size * decrement and size > 1e-10:
            size /= 2
        if size <= 1e-10 or decrement <= 1e-15 * before:
            break
        theta = theta - size * direction
    weights = basis @ theta[:-1]
    return Minimum(weights, float(theta[-1] - weights @ center), value(theta))


def excesses(path: RegularizationPath, X: Any, p: Any, rows: Any = None) -> NDArray[np.float64]:
    """How far each refit of a path is above the oracle's minimum, relative to it."""
    values = [objective(X, p, l2, w, b, rows) for l2, w, b in zip(path.l2, path.coef_, path.intercept_, strict=True)]
    return np.array(values) / [oracle(X, p, l2, rows).value for l2 in path.l2] - 1


@dataclass(frozen=True)
class Layer:
    """Activations as models have them, with soft, noisy labels."""

    X: NDArray[np.float32]
    soft: NDArray[np.float64]
    hard: NDArray[np.float64]


def layer(n: int = 600, d: int = 24, outlier: float = 100.0, seed: int = 0) -> Layer:
    """A decaying spectrum in rotated coordinates, a common offset, and two outlier dimensions."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n, d))
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    X = (factors / np.sqrt(np.arange(1, d + 1))) @ rotation
    X[:, 0] *= outlier
    X[:, d // 2] *= outlier / 2
    X += rng.normal(size=d)
    soft = expit(2 * factors[:, :5].mean(axis=1) + rng.normal(size=n))
    return Layer(X.astype(np.float32), soft, (soft > rng.uniform(size=n)).astype(np.float64))


@pytest.fixture(params=["float64", "float32", "projected"])
def arithmetic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way of solving, whatever the size: small, large, and too wide for all eigenpairs."""
    if request.param != "float64":
        monkeypatch.setattr(design_module, "SMALL", 0)
    if request.param == "projected":
        monkeypatch.setattr(design_module, "EXACT", 4)
        monkeypatch.setattr(spectrum_module, "EXACT", 4)
        monkeypatch.setattr(spectrum_module, "RANK", 6)
    return str(request.param)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("l2", ["0.001", "0.01", "0.1"])
def test_a_probe_is_at_least_as_good_as_the_reference(name: str, l2: str) -> None:
    golden = np.load(GOLDEN / f"{name}.npz")
    X, p = golden["X"].astype(np.float64), golden["soft"].astype(np.float64)
    probe = LogisticProbe(float(l2)).fit(X, p)
    ours = objective(X, p, float(l2), probe.coef_[0], probe.intercept_[0])
    theirs = objective(X, p, float(l2), golden[f"logreg_w_{l2}"].astype(np.float64), float(golden[f"logreg_b_{l2}"]))
    assert ours <= theirs + 1e-9
    assert probe.predict_proba(X)[:, 1] == pytest.approx(golden[f"logreg_pred_{l2}"], abs=1e-2)


@given(st.integers(0, 10**6), st.sampled_from([1e-3, 1e-1, 1.0]), st.integers(3, 40), st.integers(1, 30))
def test_a_probe_reaches_the_minimum_that_scipy_finds(seed: int, l2: float, n: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    X, p = rng.normal(size=(n, d)) * rng.uniform(0.1, 10, size=d), rng.uniform(size=n)
    p[:2] = 0.1, 0.9
    ours = LogisticProbe(l2).fit(X, p)
    X = X.astype(np.float32).astype(np.float64)  # what the probe sees

    def loss_and_gradient(parameters: Any) -> tuple[float, Any]:
        residual = expit(X @ parameters[:-1] + parameters[-1]) - p
        gradient = np.append(X.T @ residual / n + 2 * l2 * parameters[:-1], residual.mean())
        return objective(X, p, l2, parameters[:-1], parameters[-1]), gradient

    best = scipy_minimize(loss_and_gradient, np.zeros(d + 1), jac=True, tol=1e-14, options={"maxiter": 5000})
    assert objective(X, p, l2, ours.coef_[0], ours.intercept_[0]) <= best.fun * (1 + 1e-6)
    residual = expit(X @ ours.coef_[0] + ours.intercept_[0]) - p
    assert np.abs(X.T @ residual / n + 2 * l2 * ours.coef_[0]).max() < 1e-6
    assert abs(residual.mean()) < 1e-6


def test_a_probe_equals_sklearn_on_hard_labels() -> None:
    data = planted()
    l2 = 1e-2
    theirs = LogisticRegression(C=1 / (2 * len(data.X) * l2), tol=1e-10, max_iter=5000).fit(data.X, data.weak)
    ours = LogisticProbe(l2).fit(data.X, data.weak)
    assert ours.coef_ == pytest.approx(theirs.coef_, abs=1e-4)
    assert ours.decision_function(data.X) == pytest.approx(theirs.decision_function(data.X), abs=1e-3)


@parametrize_with_checks([LogisticProbe()])
def test_sklearn_estimator_checks(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks warn on purpose
        check(estimator)


@pytest.mark.parametrize("labels", ["soft", "hard"])
def test_every_published_penalty_reaches_the_oracle(arithmetic: str, labels: str) -> None:
    data = layer()
    p = getattr(data, labels)
    path = LogisticProbe.path(data.X, p, cv=None)
    assert path.l2.tolist() == list(PENALTIES) == [0, *np.logspace(-4, 4, 10)]
    assert (path.status == "converged").all()
    assert excesses(path, data.X, p).max() < (1e-10 if arithmetic == "float64" else 1e-6)


@given(
    st.integers(0, 10**6),
    st.integers(4, 40),
    st.integers(1, 50),
    st.sampled_from(["soft", "extreme", "hard"]),
    st.sampled_from([1.0, 3000.0]),
)
@settings(max_examples=40)
def test_any_small_problem_reaches_the_oracle(seed: int, n: int, d: int, kind: str, outlier: float) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)).astype(np.float32)
    X[:, 0] *= outlier
    p = rng.uniform(size=n) if kind == "soft" else expit(8 * rng.normal(size=n))
    p = (p > 0.5).astype(np.float64) if kind == "hard" else p
    p[:2] = 0, 1
    rows = rng.uniform(size=n) * (rng.uniform(size=n) > 0.3) + 1e-3 * (np.arange(n) < 2)
    path = LogisticProbe.path(X, p, l2=[1e-3, 0.1, 10, 1e8], cv=None, sample_weight=rows)
    assert excesses(path, X, p, rows).max() < 1e-9


def awkward(case: str) -> tuple[Any, Any]:
    """Activations and labels of which a solver could stumble."""
    data = layer(n=300, d=12)
    X, p = data.X.copy(), data.soft
    if case == "constant columns":
        X[:, [3, 7]] = 0.1, 7
    elif case == "huge offset":
        X[:, 5] += 1e4
    elif case == "outlier of 3000":
        X[:, 2] *= 3000
    elif case == "outlier in all coordinates":
        X[:, 2] *= 3000
        X = (X @ np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]).astype(np.float32)
    elif case == "columns twice":
        X = np.hstack([X, X])
    elif case == "hard, almost one class":
        p = (np.arange(300) < 3).astype(float)
    elif case == "labels close to 0 and 1":
        p = expit(20 * X[:, 4])
    elif case == "fewer rows than columns":
        X, p = layer(n=40, d=90).X, data.soft[:40]
    elif case == "tiny numbers":
        X = X * np.float32(1e-4)
    return X, p


AWKWARD = (
    "constant columns",
    "huge offset",
    "outlier of 3000",
    "outlier in all coordinates",
    "columns twice",
    "hard, almost one class",
    "labels close to 0 and 1",
    "fewer rows than columns",
    "tiny numbers",
)


@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_activations_and_labels_reach_the_oracle(arithmetic: str, case: str) -> None:
    X, p = awkward(case)
    path = LogisticProbe.path(X, p, l2=[1e-5, 1e-3, 0.1, 10, 1e4, 1e8], cv=None)
    assert (path.status == "converged").all()
    assert excesses(path, X, p).max() < 1e-6


@pytest.mark.parametrize("case", sorted({*AWKWARD} - {"hard, almost one class", "outlier in all coordinates"}))
def test_no_penalty_reaches_the_oracle_where_there_is_a_minimum(arithmetic: str, case: str) -> None:
    X, p = awkward(case)
    path = LogisticProbe.path(X, p, l2=[0], cv=None)
    assert np.isfinite(path.coef_).all()
    assert excesses(path, X, p).max() < 1e-6


@pytest.mark.parametrize("shape", [(60, 8), (40, 100)])
def test_separable_rows_without_a_penalty_are_separated_and_said_to_be(arithmetic: str, shape: tuple[int, int]) -> None:
    data = planted(*shape, apart=50)
    path = LogisticProbe.path(data.X, data.truth, l2=[0, 1e-3], cv=2)
    assert (path.status == [["separable"] * 3, ["converged"] * 3]).all()
    assert np.isfinite(path.coef_).all()
    assert np.isnan(path.excess[0]).all()
    assert ((path.out_of_fold > 0.5) == data.truth).mean() > 0.95
    assert path.best == 1e-3  # the other has no minimum to choose
    probe = LogisticProbe(0.0).fit(data.X, data.truth)
    assert (probe.predict(data.X) == data.truth).all()
    assert LogisticProbe.path(data.X, data.truth, l2=[0], cv=2).best == 0


def test_a_fold_whose_training_labels_are_on_one_side_still_learns_from_them() -> None:
    data = layer(n=60, d=5)
    p = np.where(np.arange(60) < 30, 0.6 + 0.3 * data.soft, 0.3 * data.soft)
    path = LogisticProbe.path(data.X, p, l2=[1e-2], cv=np.arange(60) // 30)
    train = np.arange(30)
    best = oracle(data.X[train], p[train], 1e-2)
    assert path.out_of_fold[0, 30:] == pytest.approx(expit(data.X[30:] @ best.weights + best.bias), abs=1e-6)
    hard = (np.arange(60) < 30).astype(float)
    path = LogisticProbe.path(data.X, hard, l2=[1e-2], cv=np.arange(60) // 30)
    assert path.status.tolist() == [["converged", "separable", "separable"]]
    assert np.isfinite(path.out_of_fold).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_out_of_fold_equals_refits_on_the_folds(arithmetic: str, weighted: bool) -> None:
    data = layer(n=200, d=10)
    rows = np.random.default_rng(3).uniform(size=200).round(1) if weighted else np.ones(200)
    path = LogisticProbe.path(data.X, data.soft, l2=[1e-3, 1], cv=3, sample_weight=rows, seed=5)
    assert path.folds is not None
    assert np.bincount(path.folds).tolist() in ([67, 67, 66], [66, 67, 67], [67, 66, 67])
    for at, l2 in enumerate(path.l2):
        for fold in range(3):
            train, held_out = path.folds != fold, path.folds == fold
            best = oracle(data.X[train], data.soft[train], l2, rows[train])
            expected = expit(data.X[held_out] @ best.weights + best.bias)
            assert path.out_of_fold[at, held_out] == pytest.approx(expected, abs=2e-3)
        f = path.out_of_fold[at]
        losses = -(data.soft * np.log(f) + (1 - data.soft) * np.log(1 - f))
        assert path.cv_loss[at] == pytest.approx(np.average(losses, weights=rows), rel=1e-9)
    assert path.best == path.l2[path.cv_loss.argmin()]


def test_the_best_probe_predicts_as_a_fit_at_its_penalty() -> None:
    data = layer()
    path = LogisticProbe.path(data.X, data.hard)
    probe = path.best_probe()
    assert isinstance(probe, LogisticProbe)
    assert probe.l2 == path.best
    assert 0 < path.best < 1e3
    fitted = LogisticProbe(path.best).fit(data.X, data.hard)
    assert probe.predict_proba(data.X) == pytest.approx(fitted.predict_proba(data.X), abs=1e-9)
    assert vars(probe).keys() == vars(fitted).keys()
    with pytest.raises(InputError, match=r"l2=0\.5 is not on the path: 0, 0\.0001, "):
        path.probe(0.5)
    named = LogisticProbe.path(data.X, np.where(data.hard > 0.5, "yes", "no"), cv=None, l2=[0.1]).probe(0.1)
    assert set(named.predict(data.X)) == {"yes", "no"}


def test_label_sets_together_are_as_each_alone_and_prepared_as_not_prepared(arithmetic: str) -> None:
    data = layer()
    sets = np.stack([data.soft, data.hard, data.soft[::-1]])
    prepared = Design.of(data.X)
    together = LogisticProbe.paths(prepared, sets, l2=[1e-3, 0.1, 10])
    for p, found in zip(sets, together, strict=True):
        alone, again = (LogisticProbe.path(X, p, l2=[1e-3, 0.1, 10]) for X in (data.X, prepared))
        assert np.array_equal(alone.coef_, again.coef_)
        assert np.array_equal(alone.out_of_fold, again.out_of_fold)
        assert alone.folds is not None
        assert found.folds is not None
        assert np.array_equal(alone.folds, found.folds)
        tolerance = 1e-7 if arithmetic == "float64" else 1e-3  # in float32 a batch of another size rounds otherwise
        assert found.out_of_fold == pytest.approx(alone.out_of_fold, abs=tolerance)
        assert found.cv_loss == pytest.approx(alone.cv_loss, rel=tolerance)


def test_penalties_keep_their_order_and_may_repeat() -> None:
    data = layer()
    path = LogisticProbe.path(data.X, data.soft, l2=[1, 1e-3, 1])
    ordered = LogisticProbe.path(data.X, data.soft, l2=[1e-3, 1])
    for name in ("coef_", "intercept_", "cv_loss", "out_of_fold", "n_iter", "status"):
        assert np.array_equal(getattr(path, name), getattr(ordered, name)[[1, 0, 1]]), name


def test_a_row_weight_counts_as_that_many_rows_and_0_as_none(arithmetic: str) -> None:
    data = layer(n=200, d=10)
    count = np.random.default_rng(0).integers(0, 4, size=200)
    repeated = np.repeat(np.arange(200), count)
    weighted = LogisticProbe.path(data.X, data.hard, l2=FEW[1:], cv=None, sample_weight=count * 1e300)
    plain = LogisticProbe.path(data.X[repeated], data.hard[repeated], l2=FEW[1:], cv=None)
    tolerance = 1e-7 if arithmetic == "float64" else 3e-3
    assert weighted.coef_ == pytest.approx(plain.coef_, abs=tolerance)
    assert excesses(weighted, data.X, data.hard, count).max() < 1e-6


def test_groups_and_exact_duplicates_never_straddle_folds() -> None:
    data = layer(n=300)
    X = data.X.copy()
    X[200:] = X[:100]
    groups = np.arange(300) // 2
    path = LogisticProbe.path(X, data.hard, l2=[1], groups=groups)
    folds = path.folds
    assert folds is not None
    assert (folds[200:] == folds[:100]).all()
    assert (folds[::2] == folds[1::2]).all()
    assert set(folds.tolist()) == set(range(5))
    other = LogisticProbe.path(X, data.hard, l2=[1], seed=1).folds
    assert other is not None
    assert not np.array_equal(other, folds)
    given = LogisticProbe.path(X, data.hard, l2=[1], cv=folds * 10 - 3, groups=groups)
    assert np.array_equal(given.out_of_fold, path.out_of_fold)


def test_on_pure_noise_out_of_fold_scores_know_nothing_though_the_fit_does() -> None:
    blank = planted(n=1000, d=100, noise=0.5, apart=0)
    path = LogisticProbe.path(blank.X, blank.weak, l2=[1e-4, 1e-2, 1])
    for scores in path.out_of_fold:
        assert abs(auroc(blank.weak, scores) - 0.5) < 0.06  # three standard errors at n = 1000
    assert auroc(blank.weak, path.probe(1e-4).predict_proba(blank.X)[:, 1]) > 0.65  # the control: in-sample


def test_without_folds_nothing_held_out_is_said() -> None:
    data = layer()
    path = LogisticProbe.path(data.X, data.soft, cv=None)
    assert np.isnan(path.cv_loss).all()
    assert np.isnan(path.out_of_fold).all()
    assert path.folds is None
    assert path.n_iter.shape == path.status.shape == path.excess.shape == (11, 1)
    with pytest.raises(InputError, match="cv=None made no held-out predictions"):
        path.best_probe()


def test_a_path_shows_a_small_table() -> None:
    data = layer()
    path = LogisticProbe.path(data.X, data.soft, l2=[1e-3, 0.1])
    assert repr(path) == f"RegularizationPath(24 columns, 2 penalties, 5 folds, best l2 {path.best:g} by held-out loss)"
    lines = str(path).splitlines()
    assert lines[0] == "RegularizationPath(24 columns, 2 penalties, 5 folds)"
    assert lines[1].split() == ["l2", "cv_loss", "|w|", "iterations", "status"]
    assert len(lines) == 4
    assert sum("best" in line for line in lines) == 1
    assert path._repr_html_().count("<tr>") == 3
    assert "no folds" in repr(LogisticProbe.path(data.X, data.soft, l2=[1], cv=None))
    assert repr(Design.of(data.X)) == "Design(600 x 24, float64, 24 eigenpairs)"


def test_a_fit_that_rounding_or_patience_ends_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    data = layer()
    monkeypatch.setattr(minimize_module, "MOST_STEPS", 1)
    with pytest.warns(UserWarning, match="stopped after 1 iterations, the objective about"):
        LogisticProbe(1e-6).fit(data.X, data.soft)
    assert (LogisticProbe.path(data.X, data.soft, l2=[1e-6], cv=None).status == "stopped").all()


def test_more_fits_than_one_batch_holds_are_solved_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    data = layer(n=100, d=5)
    whole = LogisticProbe.path(data.X, data.soft, l2=[1e-3, 1])
    monkeypatch.setattr(minimize_module, "TOGETHER", 5)
    assert LogisticProbe.path(data.X, data.soft, l2=[1e-3, 1]).out_of_fold == pytest.approx(whole.out_of_fold, abs=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"l2": []}, r"l2 must be a list of penalties, at least one, got shape \(0,\)"),
        ({"l2": [1, -0.5]}, r"l2=-0.5 must be in \[0, 1e\+08\]"),
        ({"l2": [np.nan]}, "l2=nan must be in"),
        ({"l2": [np.inf]}, "l2=inf must be in"),
        ({"cv": 1}, "cv=1 must be a whole number of folds, at least 2, or"),
        ({"cv": 2.5}, "cv=2.5 must be a whole number of folds"),
        ({"cv": 200}, "200 folds need at least 200 groups of distinct rows in each class, got"),
        ({"cv": 3, "groups": [0, 1] * 150}, "3 folds need at least 3 groups"),
        ({"cv": [0, 1]}, r"cv has shape \(2,\), but there are 300 rows"),
        ({"cv": [0] * 300}, "cv puts all 300 rows into one fold"),
        ({"cv": [0, 1] * 150, "groups": [7] * 300}, "cv parts rows 0 and 1, which are equal or of one group"),
        ({"cv": [0, 1] * 150, "groups": [7]}, r"groups have shape \(1,\) but there are 300 rows"),
        ({"cv": [0, 1] * 150, "sample_weight": [0, 1] * 150}, "fold 1 holds every row with a weight"),
        ({"sample_weight": [1, 2]}, r"sample_weight has shape \(2,\), but there are 300 rows"),
        ({"sample_weight": [-1, *[1] * 299]}, "sample_weight must be finite and at least 0, but row 0 has -1"),
        ({"sample_weight": [1, np.nan, *[1] * 298]}, "but row 1 has nan"),
        ({"sample_weight": [0] * 300}, "sample_weight is zero in all 300 rows"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_arguments_are_refused_with_the_numbers(arguments: dict[str, Any], message: str) -> None:
    data = planted()
    with pytest.raises(InputError, match=message):
        LogisticProbe.path(data.X, data.weak, **arguments)


def test_labels_and_penalties_of_a_fit_are_checked_too() -> None:
    data = planted()
    with pytest.raises(InputError, match=r"l2=-1 must be in \[0, 1e\+08\]"):
        LogisticProbe(-1).fit(data.X, data.weak)
    with pytest.raises(InputError, match="one class only: the labels of all 150 rows with a weight are above"):
        LogisticProbe().fit(data.X, data.truth, sample_weight=data.truth)
    with pytest.raises(InputError, match=r"label sets must be a matrix \(sets, rows\), at least one set, got shape"):
        LogisticProbe.paths(data.X, data.weak)
    with pytest.raises(InputError, match=r"labels have shape \(299,\), but there are 300 rows"):
        LogisticProbe.paths(data.X, [data.weak[1:]])


def test_fitting_imports_no_torch() -> None:
    code = (
        "import sys, numpy as np; from w2s_probes import LogisticProbe; "
        "LogisticProbe.path(np.eye(20), [0, 1] * 10, cv=2); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
