"""The PGR interval to expect, against rows that are really drawn and bootstrapped, and against published figures."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, norm

from w2s_probes import GapRecovered, InputError, auroc, performance_gap_recovered
from w2s_probes.metrics.power import ExpectedPGR, auroc_covariance, expected_pgr, pilot_of

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


def planted(correlations: tuple[float, float, float], rows: int, seed: int) -> pd.DataFrame:
    """Test scores of weak, student `s` and ceiling whose `PAIRS` correlate so in each class, each on its own scale."""
    weak_student, weak_ceiling, student_ceiling = correlations
    matrix = [[1, weak_student, weak_ceiling], [weak_student, 1, student_ceiling], [weak_ceiling, student_ceiling, 1]]
    truth = np.arange(rows) % 2
    noise = np.random.default_rng(seed).multivariate_normal(np.zeros(3), matrix, size=rows)
    weak, student, ceiling = (noise + np.outer(truth, [0.5, 1.0, 1.8])).T
    scores = {"weak": 1 / (1 + np.exp(-3 * weak)), "ceiling": np.exp(ceiling), "s": student**3}
    return pd.DataFrame({"truth": truth, **scores})


@pytest.mark.parametrize("correlations", [(0.0, 0.0, 0.0), (0.1, 0.1, 0.1), (0.46, 0.12, 0.59), (0.8, 0.3, -0.1)])
def test_a_pilot_gives_back_the_correlations_that_were_planted_whatever_the_scale(
    correlations: tuple[float, float, float],
) -> None:
    pilot = pilot_of({f"task-{seed}": planted(correlations, 3000, seed) for seed in range(3)}, "s")
    # 9,000 rows know a correlation to .01.
    assert pilot.correlations == pytest.approx(correlations, abs=0.03)
    assert (pilot.runs, pilot.student) == (3, "s")
    assert pilot.weak == pytest.approx(norm.cdf(0.5 / np.sqrt(2)), abs=0.02)
    assert pilot.weak + pilot.gap == pytest.approx(norm.cdf(1.8 / np.sqrt(2)), abs=0.02)


def test_the_tasks_of_a_pilot_are_pooled_within_and_not_across() -> None:
    tables = {f"task-{seed}": planted((0.3, 0.3, 0.3), 3000, seed) for seed in range(2)}
    for name in ("weak", "ceiling", "s"):
        tables["task-1"][name] += 100  # another task's level is no likeness of errors
    assert pilot_of(tables, "s").correlations == pytest.approx((0.3,) * 3, abs=0.03)


def test_three_equal_correlations_are_one() -> None:
    assert expected_pgr(0.1, 1000, correlation=(0.3,) * 3) == expected_pgr(0.1, 1000, correlation=0.3)


def test_each_of_three_correlations_enters_its_own_covariance() -> None:
    a = norm.ppf(AUROCS)
    matrix = np.array([[1, 0.5, 0.1], [0.5, 1, -0.3], [0.1, -0.3, 1]])
    covariance = auroc_covariance(AUROCS, matrix)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        joint = multivariate_normal.cdf([a[i], a[j]], cov=[[1, matrix[i, j] / 2], [matrix[i, j] / 2, 1]])
        assert covariance[i, j] == pytest.approx(joint - AUROCS[i] * AUROCS[j], abs=1e-9)
    # A student like the ceiling keeps its PGR near 1, one like the supervisor near 0.
    like_ceiling = {pgr: expected_pgr(0.1, 1000, pgr=pgr, correlation=(0.2, 0.2, 0.95)).width for pgr in (0, 1)}
    like_weak = {pgr: expected_pgr(0.1, 1000, pgr=pgr, correlation=(0.95, 0.2, 0.2)).width for pgr in (0, 1)}
    assert like_ceiling[1] < 0.5 * like_ceiling[0]
    assert like_weak[0] < 0.5 * like_weak[1]


def test_a_student_that_repeats_its_supervisor_recovers_exactly_nothing() -> None:
    table = planted((0.3, 0.3, 0.3), 1000, 0)
    pilot = pilot_of({"task-0": table.assign(s=table["weak"])}, "s")
    assert pilot.correlations[0] == pytest.approx(1)
    planned = expected_pgr(pilot.gap, 1000, weak=pilot.weak, pgr=0, correlation=pilot.correlations)
    assert (planned.low, planned.high) == pytest.approx((0, 0), abs=1e-3)


@pytest.mark.parametrize("correlations", [(0.9, 0.9, -0.5), (float("nan"), 0.1, 0.1), (2.0, 0.1, 0.1)])
def test_correlations_that_no_three_scorers_have_are_refused(correlations: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="no three scorers have these; give those of one correlation matrix"):
        expected_pgr(0.1, 1000, correlation=correlations)


def test_two_correlations_are_refused() -> None:
    with pytest.raises(InputError, match="give one number, or three"):
        expected_pgr(0.1, 1000, correlation=(0.5, 0.5))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weak": "many"}, "^task-0: column 'weak' holds something that is no number"),
        ({"s": np.nan}, "^task-0: column 's' has an empty or infinite value"),
        ({"truth": 7}, "^task-0: column 'truth' must be within 0 and 1"),
        ({"truth": 1}, "^task-0: one class only"),
        ({"weak": np.arange(40) % 2}, "^task-0: column 'weak' holds hard labels"),
        ({"s": 0.5}, "no correlation can be measured"),
    ],
)
def test_pilots_that_tell_nothing_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pilot_of({"task-0": planted((0.3, 0.3, 0.3), 40, 0).assign(**change)}, "s")


def test_a_column_that_a_pilot_lacks_is_named() -> None:
    with pytest.raises(InputError, match=r"^task-0: no column 'student-xent'"):
        pilot_of({"task-0": planted((0.3, 0.3, 0.3), 40, 0)}, "student-xent")
