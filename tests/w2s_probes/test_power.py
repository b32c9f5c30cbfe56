"""The PGR interval to expect, against rows that are really drawn and bootstrapped, and against published figures."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, norm

from w2s_probes import GapRecovered, InputError, auroc, performance_gap_recovered
from w2s_probes.power import ExpectedPGR, auroc_covariance, expected_pgr, pilot_of

AUROCS = np.array([0.7, 0.8, 0.9])


def drawn_scores(
    aurocs: NDArray[np.float64], rows: int, correlation: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Truth (rows,) and scores (3, rows): what the plan assumes, row by row."""
    rng = np.random.default_rng(seed)
    truth = np.tile([0.0, 1.0], rows // 2)
    noise = np.sqrt(correlation) * rng.normal(size=(1, rows)) + np.sqrt(1 - correlation) * rng.normal(size=(3, rows))
    return truth, noise + np.sqrt(2) * norm.ppf(aurocs)[:, None] * truth


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_covariances_are_those_of_the_bivariate_distribution(correlation: float) -> None:
    a = norm.ppf(AUROCS)
    found = auroc_covariance(AUROCS, correlation)
    for i in range(3):
        for j in range(3):
            r = 0.5 if i == j else correlation / 2
            joint = multivariate_normal.cdf([a[i], a[j]], cov=[[1, r], [r, 1]])
            assert found[i, j] == pytest.approx(joint - AUROCS[i] * AUROCS[j], abs=1e-9)


def test_covariances_are_those_of_aurocs_of_drawn_rows() -> None:
    rows = 400
    drawn = [drawn_scores(AUROCS, rows, 0.5, seed) for seed in range(1500)]
    real = np.cov([[auroc(truth, scores) for scores in all_scores] for truth, all_scores in drawn], rowvar=False)
    # 1,500 draws know a variance to 1/sqrt(750) = 4 % of itself.
    np.testing.assert_allclose(real, auroc_covariance(AUROCS, 0.5) * 4 / rows, rtol=0.15)


def experiments(gap: float, rows: int, pgr: float, count: int) -> list[GapRecovered]:
    found = []
    for seed in range(count):
        aurocs = 0.7 + gap * np.array([0, pgr, 1])
        truth, (weak, student, ceiling) = drawn_scores(aurocs, rows, 0.5, seed)
        found.append(performance_gap_recovered(truth, weak, student, ceiling, n_boot=300, seed=seed))
    return found


@pytest.mark.parametrize(("gap", "rows", "pgr"), [(0.1, 600, 0.5), (0.2, 300, 0.7), (0.05, 800, 0.5)])
def test_the_expected_interval_is_the_median_of_bootstrapped_ones(gap: float, rows: int, pgr: float) -> None:
    real = [one for one in experiments(gap, rows, pgr, 150) if one.status != "undefined"]
    planned = expected_pgr(gap, rows, pgr=pgr)
    width = np.median([one.high for one in real]) - np.median([one.low for one in real])
    assert planned.width == pytest.approx(width, rel=0.15)
    unstable = sum(one.status == "unstable" for one in real) / len(real)
    share = planned.shares["unstable"] / (1 - planned.shares["undefined"])
    assert share == pytest.approx(unstable, abs=0.15)


@pytest.mark.parametrize(
    ("gap", "rows", "pgr", "low", "high", "status"),
    [
        (0.02, 200, 0.5, -6, 7, "unstable"),
        (0.1, 1000, 0.67, 0.43, 0.91, "ok"),
        (0.2, 5000, 0.5, 0.43, 0.56, "ok"),
    ],
)
def test_known_intervals_are_met(gap: float, rows: int, pgr: float, low: float, high: float, status: str) -> None:
    """Simulated elsewhere, one experiment each, so that they scatter about the medians that are planned."""
    planned = expected_pgr(gap, rows, pgr=pgr)
    assert planned.status == status
    if status == "unstable":  # a ratio over almost nothing: only its order of magnitude is to be foreseen
        assert planned.width == pytest.approx(high - low, rel=0.5)
    else:
        assert (planned.low, planned.high) == pytest.approx((low, high), abs=0.05)


def test_more_rows_wider_gaps_and_likeness_of_errors_narrow_the_interval() -> None:
    width = expected_pgr(0.1, 1000).width
    assert expected_pgr(0.1, 4000).width == pytest.approx(width / 2, rel=0.1)
    assert expected_pgr(0.2, 1000).width < 0.6 * width
    assert expected_pgr(0.1, 1000, correlation=0.9).width < 0.6 * width
    assert expected_pgr(0.02, 100).status == "unstable"
    assert expected_pgr(0.001, 100).shares["undefined"] > 0.4


def test_the_same_seed_gives_the_same_plan() -> None:
    one: ExpectedPGR = expected_pgr(0.1, 1000)
    assert one == expected_pgr(0.1, 1000)
    assert one != expected_pgr(0.1, 1000, seed=1)
    assert sum(one.shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0.0, 100), {}, "gap=0 must be above 0"),
        ((float("nan"), 100), {}, "gap=nan must be above 0"),
        ((0.1, 3), {}, "3 test rows: give at least 10"),
        ((0.4, 100), {}, r"make a ceiling of 1\.1: .* lower the gap or --weak"),
        ((0.1, 100), {"weak": 1.2}, "both AUROCs must be between 0 and 1"),
        ((0.1, 100), {"correlation": 1.0}, r"correlation=1 must be in \[0, 1\)"),
        ((0.1, 100), {"pgr": 9.0}, r"pgr=9 makes a student of AUROC 1\.6"),
    ],
)
def test_numbers_of_no_experiment_are_refused(
    arguments: tuple[float, int], options: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        expected_pgr(*arguments, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("correlation", [0.1, 0.6])
def test_a_pilot_gives_back_the_correlation_that_was_planted_whatever_the_scale(correlation: float) -> None:
    rng = np.random.default_rng(3)
    tables = []
    for _ in range(3):
        truth = np.arange(3000) % 2
        shared = np.sqrt(correlation) * rng.normal(size=3000)
        z = {
            name: shared + np.sqrt(1 - correlation) * rng.normal(size=3000) + distance * truth
            for name, distance in (("weak", 0.5), ("ceiling", 1.8), ("s", 1.0))
        }
        scales: dict[str, Any] = {"weak": lambda x: 1 / (1 + np.exp(-3 * x)), "ceiling": np.exp, "s": lambda x: x**3}
        tables.append(pd.DataFrame({"truth": truth, **{name: scales[name](one) for name, one in z.items()}}))
    found = pilot_of(tables, "s")
    assert found.correlations == pytest.approx((correlation,) * 3, abs=0.03)
    assert (found.runs, found.student) == (3, "s")
    assert found.weak == pytest.approx(norm.cdf(0.5 / np.sqrt(2)), abs=0.02)
    same = expected_pgr(0.1, 1000, correlation=(correlation,) * 3)
    assert same == expected_pgr(0.1, 1000, correlation=correlation)


def test_correlations_that_no_three_scorers_have_are_refused() -> None:
    with pytest.raises(InputError, match="no three scorers have these"):
        expected_pgr(0.1, 1000, correlation=(0.9, 0.9, -0.5))
