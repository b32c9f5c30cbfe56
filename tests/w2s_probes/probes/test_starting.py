"""A path whose labels can be met begins its small penalties at the fit without one, and ends where it did."""

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from w2s_probes import LogisticProbe
from w2s_probes.probes.design import Design
from w2s_probes.probes.interpolate import met_labels
from w2s_probes.probes.problems import training_problems
from w2s_probes.probes.starting import begin_nearer, start

L2 = [1e-6, 1e-2, 1e2]


def rows() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 120)) / np.sqrt(np.arange(1, 121)) + rng.normal(size=120)
    return X.astype(np.float32), expit(3 * X[:, 0] + rng.normal(size=90))


def test_a_start_is_on_the_side_of_the_fit_without_a_penalty_that_the_penalty_asks_for() -> None:
    X, p = rows()
    design, penalties = Design.of(X), np.array([0.0, *L2])
    weights = np.full((1, 90), 1 / 90)
    problems = training_problems(p[None], weights[0], [None], penalties)
    met = met_labels(design, problems)
    plain = start(design, problems)
    theta = plain.copy()
    begin_nearer(theta, design, problems, met)

    def objective(at: Any) -> Any:
        logits = design.forward(at, exact=True)
        return (np.logaddexp(0, logits) - p * logits) @ weights[0] + design.penalty(penalties) * (at[:, :-1] ** 2).sum(
            axis=1
        )

    before, after = objective(plain)[1:], objective(theta)[1:]
    assert (after <= before).all()
    assert after[0] < before[0] / 1.1  # the smallest penalty gains, and is all but at the fit without one
    assert theta[1] == pytest.approx(met.theta[0], rel=1e-2, abs=1e-3)
    assert np.abs(theta[3, :-1]).max() < 1e-2 * np.abs(met.theta[0, :-1]).max()  # the largest hardly moves
    assert (theta[0] == plain[0]).all()


def test_the_ends_are_the_same_and_sooner_reached() -> None:
    X, p = rows()
    near, far = LogisticProbe.path(X, p, l2=[0, *L2], cv=3), LogisticProbe.path(X, p, l2=L2, cv=3)
    assert near.coef_[1:] == pytest.approx(far.coef_, rel=1e-3, abs=1e-5)
    assert near.out_of_fold[1:] == pytest.approx(far.out_of_fold, abs=1e-4)
    assert near.n_iter[1].sum() < far.n_iter[0].sum()
