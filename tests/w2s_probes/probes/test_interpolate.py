"""Fits without a penalty that meet every label are those of ordinary least squares, found without an iteration."""

from typing import Any

import numpy as np
import pytest
from scipy.special import entr, expit, logit

from w2s_probes import LogisticProbe
from w2s_probes.probes import bounds, design, minimize, spectrum


@pytest.fixture(params=["float64", "float32", "projected"])
def arithmetic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way of holding a layer, whatever its size."""
    if request.param != "float64":
        monkeypatch.setattr(design, "SMALL", 0)
    if request.param == "projected":
        for module in (design, spectrum, minimize, bounds):
            monkeypatch.setattr(module, "EXACT", 4)
        monkeypatch.setattr(spectrum, "RANK", 6)
    return str(request.param)


def wide(n: int = 70, width: int = 60) -> tuple[Any, Any]:
    """Rows with an offset and an outlier dimension, and soft labels."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, width)) / np.sqrt(np.arange(1, width + 1)) + rng.normal(size=width)
    X[:, 3] = 50 * X[:, 3] + 300
    return X.astype(np.float32), expit(X[:, 0] + 1.5 * rng.normal(size=n))


def least(X: Any, p: Any) -> tuple[Any, float]:
    """Smallest weights, and the bias, at which the log-odds of all rows are those of their labels."""
    rows, target = X.astype(np.float64), logit(p)
    center = rows.mean(axis=0)
    weights = np.linalg.lstsq(rows - center, target - target.mean(), rcond=None)[0]
    return weights, float(target.mean() - center @ weights)


@pytest.mark.parametrize("folds", [2, 5])  # products of each fold's rows alone, and of all rows once
def test_fits_on_fewer_rows_than_columns_are_least_squares(arithmetic: str, folds: int) -> None:
    X, p = wide()
    sets = np.stack([p, p[::-1]])
    for labels, path in zip(sets, LogisticProbe.paths(X, sets, l2=[0, 1e-3], cv=folds), strict=True):
        assert (path.status == "converged").all()
        assert (path.n_iter[0, 1:] == 0).all()
        assert (path.n_iter[1] > 0).all()
        assert path.n_iter[0, 0] > 0  # the control: 70 rows of 60 columns have a minimum that meets no label
        assert path.excess[0, 1:].max() < 1e-12
        for fold in range(folds):
            out = path.folds == fold
            weights, bias = least(X[~out], labels[~out])
            assert path.out_of_fold[0, out] == pytest.approx(expit(X[out] @ weights + bias), abs=1e-6)


def test_rows_without_a_weight_count_as_none_and_weights_change_nothing(arithmetic: str) -> None:
    X, p = wide()
    counts = np.arange(70) % 4
    path = LogisticProbe.path(X, p, l2=[0], cv=None, sample_weight=counts)
    weights, bias = least(X[counts > 0], p[counts > 0])
    assert path.n_iter[0, 0] == 0
    assert path.coef_[0] == pytest.approx(weights, rel=1e-5, abs=1e-7)
    assert path.intercept_[0] == pytest.approx(bias, rel=1e-5)


def test_labels_that_no_weights_meet_are_left_to_the_iterations(arithmetic: str) -> None:
    X, p = wide(40)
    twice, dependent, hard = X.copy(), X.copy(), p.copy()
    twice[1] = twice[0]
    dependent[2] = 2 * X[0] - X[1]  # but for its rounding
    hard[5] = 1.0
    paths = [
        LogisticProbe.path(rows, labels, l2=[0], cv=None) for rows, labels in ((twice, p), (X, hard), (dependent, p))
    ]
    assert min(path.n_iter[0, 0] for path in paths[:2]) > 0
    assert all(np.isfinite(path.coef_).all() for path in paths)
    shared = np.append(np.full(2, p[:2].mean()), p[2:])  # equal rows have the log-odds of their mean label
    logits = twice.astype(np.float64) @ paths[0].coef_[0] + paths[0].intercept_[0]
    loss = (np.logaddexp(0, logits) - p * logits).mean()
    assert loss == pytest.approx((entr(shared) + entr(1 - shared)).mean(), rel=1e-5)
    met = LogisticProbe.path(X, p, l2=[0], cv=None)  # the control
    assert met.n_iter[0, 0] == 0
