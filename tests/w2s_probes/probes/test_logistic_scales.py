"""A fit is as near to its minimum as it says, whatever the scales of its columns: against Newton in float64."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from w2s_probes import LogisticProbe
from w2s_probes.probes import bounds as bounds_module
from w2s_probes.probes import design as design_module
from w2s_probes.probes import minimize as minimize_module
from w2s_probes.probes import spectrum as spectrum_module
from w2s_probes.probes.design import Design

ROUNDING = 1e-12  # of the two objectives that are compared
L2 = [0, 1e-16, 1e-12, 1e-8, 1e-4, 1]


def minimum(X: NDArray[np.float32], p: NDArray[np.float64], l2: float, rows: NDArray[np.float64]) -> float:
    """Newton's method on standardised columns, whose Hessian is scaled to a unit diagonal."""
    wide = X.astype(np.float64)
    deviation = wide.std(axis=0)
    deviation[deviation == 0] = 1
    A = np.column_stack([(wide - wide.mean(axis=0)) / deviation, np.ones(len(wide))])
    penalty = np.append(2 * l2 / deviation**2, 0)
    theta = np.zeros(A.shape[1])

    def value(at: NDArray[np.float64]) -> float:
        return float(rows @ (np.logaddexp(0, A @ at) - p * (A @ at)) + penalty @ at**2 / 2)

    for _ in range(100):
        f = expit(A @ theta)
        gradient = A.T @ (rows * (f - p)) + penalty * theta
        hessian = (A * (rows * f * (1 - f))[:, None]).T @ A + np.diag(penalty)
        curvature = np.diag(hessian).copy()
        unit = 1 / np.sqrt(np.where(curvature > 0, curvature, 1))
        hessian = hessian * unit * unit[:, None] + 1e-15 * np.eye(len(unit))
        step, size = unit * cho_solve(cho_factor(hessian), unit * gradient), 1.0
        while size > 1e-12 and value(theta - size * step) > value(theta):
            size /= 2
        if size <= 1e-12 or value(theta) - value(theta - size * step) <= 1e-16 * value(theta):
            break
        theta = theta - size * step
    return value(theta)


def refuse_false(X: NDArray[np.float32], p: NDArray[np.float64], rows: Any = None, l2: Any = L2) -> list[str]:
    """Assert that no fit is farther from its minimum than it says; what each says."""
    weights = np.full(len(X), 1 / len(X)) if rows is None else rows / rows.sum()
    path = LogisticProbe.path(X, p, l2=l2, cv=None, sample_weight=rows)
    for at, penalty in enumerate(path.l2):
        logits = X.astype(np.float64) @ path.coef_[at] + path.intercept_[at]
        ours = weights @ (np.logaddexp(0, logits) - p * logits) + penalty * path.coef_[at] @ path.coef_[at]
        true = (ours - minimum(X, p, penalty, weights)) / ours
        assert true <= path.excess[at, 0] + ROUNDING, (penalty, path.status[at, 0])
        assert true <= 1e-6 or path.status[at, 0] == "stopped", penalty
    return [str(status) for status in path.status[:, 0]]


def graded(n: int, d: int, outlier: float, small: float, *, soft: bool, seed: int = 0) -> tuple[Any, Any]:
    """One dimension of a great scale, and a quarter of a small one, which alone tells the classes apart."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    telling = d // 4
    z = X[:, 1 : telling + 1].sum(axis=1) / np.sqrt(telling) + rng.normal(size=n)
    X[:, 0] *= outlier
    X[:, 1 : telling + 1] *= small
    return X.astype(np.float32), expit(2 * z) if soft else (z > 0).astype(np.float64)


@pytest.fixture(params=["float64", "float32", "projected"])
def arithmetic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way of solving: small, large, and too wide for all eigenpairs."""
    if request.param != "float64":
        monkeypatch.setattr(design_module, "SMALL", 0)
    if request.param == "projected":
        for module in (design_module, spectrum_module, minimize_module, bounds_module):
            monkeypatch.setattr(module, "EXACT", 4)
        monkeypatch.setattr(spectrum_module, "RANK", 6)
    return str(request.param)


@pytest.mark.parametrize("outlier", [1.0, 3000.0, 1e6])
@pytest.mark.parametrize("small", [1.0, 1e-3, 1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("soft", [False, True])
def test_no_fit_is_farther_from_its_minimum_than_it_says(
    arithmetic: str, outlier: float, small: float, soft: bool
) -> None:
    X, p = graded(600, 24, outlier, small, soft=soft)
    said = refuse_false(X, p)
    assert arithmetic == "projected" or set(said) == {"converged"}


def test_the_excess_of_what_a_wide_spectrum_cannot_see_is_bounded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(design_module, "SMALL", 0)
    for module in (design_module, spectrum_module, minimize_module, bounds_module):
        monkeypatch.setattr(module, "EXACT", 4)
    monkeypatch.setattr(spectrum_module, "RANK", 6)
    X, p = graded(2000, 60, 3000, 1e-6, soft=True)
    assert refuse_false(X, p, l2=[0, 1])[0] == "stopped"
    monkeypatch.setattr(bounds_module, "FAR_BELOW", 0.0)  # the control: by the spectrum alone it had converged
    with pytest.raises(AssertionError):
        refuse_false(X, p, l2=[0])


@pytest.mark.parametrize("kind", ["weights", "rotated", "saturated", "constant columns", "columns twice", "few rows"])
def test_nor_is_it_where_rows_or_columns_are_awkward(arithmetic: str, kind: str) -> None:
    X, p = graded(400 if kind != "few rows" else 60, 32, 3000, 1e-5, soft=kind != "saturated")
    rng = np.random.default_rng(1)
    rows = rng.exponential(size=len(X)) ** 3 if kind == "weights" else None
    if kind == "rotated":
        X = (X @ np.linalg.qr(rng.normal(size=(32, 32)))[0]).astype(np.float32)
        refuse_false(X, p, rows, l2=[1e-4, 1])  # without a penalty the minimum is that of the columns' own rounding
        return
    if kind == "constant columns":
        X[:, [2, 30]] = 0.1, 7
    if kind == "columns twice":
        X[:, 20:] = X[:, :12]
        refuse_false(X, p, rows, l2=[1e-8, 1])
        path = LogisticProbe.path(X, p, l2=[0], cv=None)
        apart = LogisticProbe.path(X[:, :20], p, l2=[0], cv=None)
        assert path.excess[0, 0] + apart.excess[0, 0] < 1e-6 or path.status[0, 0] == "stopped"
        assert np.abs(path.coef_).max() < 3 * np.abs(apart.coef_).max()
        return
    refuse_false(X, p, rows)


def test_large_designs_reach_scikit_learns_minimum_on_scaled_columns() -> None:
    X, y = graded(2500, 420, 3000, 1e-6, soft=False)
    assert Design.of(X).matrix.dtype == np.float32
    path = LogisticProbe.path(X, y, l2=[0], cv=None)
    wide = X.astype(np.float64)
    scaled = (wide - wide.mean(axis=0)) / wide.std(axis=0)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(scaled, y)
    ours = wide @ path.coef_[0] + path.intercept_[0]
    best = theirs.decision_function(scaled)

    def loss(z: NDArray[np.float64]) -> float:
        return float(np.mean(np.logaddexp(0, z) - y * z))

    assert path.status[0, 0] == "converged"
    assert loss(ours) <= loss(best) * (1 + path.excess[0, 0] + ROUNDING)
    assert loss(ours) < 0.9 * loss(np.zeros(len(y)))


def test_ordinary_designs_need_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """What float32 can settle it settles, as before."""
    monkeypatch.setattr(design_module, "SMALL", 0)
    X, p = graded(600, 24, 100, 0.1, soft=True)
    design = Design.of(X)
    assert (LogisticProbe.path(design, p, cv=None).status == "converged").all()
    assert "precise" not in vars(design)
    other = Design.of(graded(600, 24, 3000, 1e-6, soft=True)[0])  # the control
    LogisticProbe.path(other, p, l2=[0], cv=None)
    assert "precise" in vars(other)


@pytest.mark.parametrize("power", [-125, -60, 60, 127])
def test_without_a_penalty_a_fit_is_the_same_at_every_scale_of_float32(arithmetic: str, power: int) -> None:
    X, p = graded(600, 24, 1.0, 0.1, soft=True)
    X = (X / np.abs(X).max()).astype(np.float32)
    plain, scaled = (LogisticProbe(0.0).fit(rows, p) for rows in (X, X * np.float32(2.0**power)))
    assert scaled.coef_ * 2.0**power == pytest.approx(plain.coef_, rel=1e-3, abs=1e-3)
    assert scaled.predict_proba(X * np.float32(2.0**power)) == pytest.approx(plain.predict_proba(X), abs=1e-4)
