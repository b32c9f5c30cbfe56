"""Models compared by arrays of scores: DeLong's test pair by pair, intervals that agree with p, PGR, and refusals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm, ttest_rel
from sklearn.metrics import accuracy_score, roc_auc_score

from w2s_probes import performance_gap_recovered
from w2s_probes.comparing import PairedDifference, ScoreComparison, compare_scores
from w2s_probes.errors import InputError
from w2s_probes.metrics import METRICS, paired_scores

Floats = NDArray[np.float64]


def world(n: int = 200, seed: int = 0, apart: tuple[float, ...] = (0.2, 0.5)) -> tuple[Floats, dict[str, Floats]]:
    """Truth, and correlated scores in [0, 1] of models that part the classes more and more."""
    rng = np.random.default_rng(seed)
    truth = (np.arange(n) % 3 == 0).astype(float)
    shared = rng.normal(size=n)
    scores = {
        chr(97 + i): 1 / (1 + np.exp(-(4 * a * (truth - 0.5) + 0.7 * shared + 0.5 * rng.normal(size=n))))
        for i, a in enumerate(apart)
    }
    return truth, scores


def delong(truth: Floats, a: Floats, b: Floats) -> tuple[float, float]:
    """The difference of two AUROCs and DeLong's z, from every pair of rows."""
    sides = truth > 0.5
    placements = []
    for scores in (a, b):
        wins = np.sign(scores[sides][:, None] - scores[~sides][None]) / 2 + 0.5
        placements.append((wins.mean(axis=1), wins.mean(axis=0), wins.mean()))
    by_positive, by_negative = (np.cov(placements[0][side], placements[1][side]) for side in (0, 1))
    covariance = by_positive / sides.sum() + by_negative / (~sides).sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    difference = placements[0][2] - placements[1][2]
    return difference, difference / math.sqrt(variance)


def pair(found: ScoreComparison, metric: str = "auroc") -> PairedDifference:
    (difference,) = (one for one in found.differences if one.metric == metric)
    return difference


@given(st.integers(0, 10_000), st.booleans())
def test_the_difference_and_z_are_delongs_and_the_metrics_scikit_learns(seed: int, ties: bool) -> None:
    truth, scores = world(90, seed)
    if ties:
        scores = {name: np.round(values, 1) for name, values in scores.items()}
    found = compare_scores(truth, scores)
    difference, z = delong(truth, scores["b"], scores["a"])
    assert pair(found).estimate.value == pytest.approx(difference)
    assert pair(found).z == pytest.approx(z, rel=1e-9)
    by = {(one.name, one.metric): one.estimate.value for one in found.scores}
    for name, values in scores.items():
        assert by[name, "auroc"] == pytest.approx(roc_auc_score(truth, values))
        assert by[name, "accuracy"] == pytest.approx(accuracy_score(truth, values > 0.5))


def test_with_many_rows_p_is_the_normal_one_and_that_of_accuracy_the_paired_t_tests() -> None:
    truth, scores = world(4000, apart=(0.2, 0.206))
    found = compare_scores(truth, scores)
    assert pair(found).p == pytest.approx(2 * norm.sf(abs(pair(found).z)), rel=0.01)
    assert 0.001 < pair(found).p < 0.5
    hits = [((values > 0.5) == (truth > 0.5)).astype(float) for values in (scores["b"], scores["a"])]
    assert pair(found, "accuracy").p == pytest.approx(ttest_rel(*hits).pvalue, rel=1e-6)


@given(st.integers(0, 10_000), st.sampled_from([(0.2, 0.2), (0.2, 0.3), (0.1, 9.0), (9.0, 9.0)]))
def test_p_is_under_5_percent_where_the_interval_leaves_0_out_also_of_perfect_models(
    seed: int, apart: tuple[float, float]
) -> None:
    truth, scores = world(60, seed, apart)
    for metric in ("auroc", "accuracy"):
        one = pair(compare_scores(truth, scores), metric)
        assert 0 < one.p <= 1
        assert (one.p < 0.05) == (one.estimate.low > 0 or one.estimate.high < 0)


def test_equal_models_differ_by_nothing_and_a_doubled_row_named_as_a_group_adds_nothing() -> None:
    truth, scores = world()
    same = pair(compare_scores(truth, {"a": scores["a"], "b": scores["a"].copy()}))
    assert (same.estimate.value, same.z, same.p) == (0, 0, 1)
    once = compare_scores(truth, scores)
    doubled = {name: np.tile(values, 2) for name, values in scores.items()}
    twice = compare_scores(np.tile(truth, 2), doubled, groups=np.tile(np.arange(200), 2))
    assert twice.groups == 200
    assert pair(twice).z == pytest.approx(pair(once).z, rel=1e-9)
    assert pair(compare_scores(np.tile(truth, 2), doubled)).z > 1.3 * pair(once).z  # control: taken for independent


def test_differences_are_to_the_first_or_of_all_pairs_and_holm_corrects_them() -> None:
    truth, scores = world(apart=(0.2, 0.25, 0.3))
    names = [(one.name, one.against) for one in compare_scores(truth, scores).differences if one.metric == "auroc"]
    assert names == [("b", "a"), ("c", "a")]
    found = [one for one in compare_scores(truth, scores, all_pairs=True).differences if one.metric == "auroc"]
    assert [(one.name, one.against) for one in found] == [("b", "a"), ("c", "a"), ("c", "b")]
    smallest = min(found, key=lambda one: one.p)
    assert smallest.p_holm == pytest.approx(min(1, 3 * smallest.p))


def test_pgr_is_that_of_the_library_for_every_model_between() -> None:
    truth, scores = world(apart=(0.1, 0.2, 0.3, 0.6))
    found = compare_scores(truth, scores, weak="a", ceiling="d")
    assert [(one.name, one.metric) for one in found.recovered] == [
        (name, metric) for name in "bc" for metric in ("auroc", "accuracy")
    ]
    expected = performance_gap_recovered(truth, scores["a"], scores["c"], scores["d"], "accuracy")
    assert found.recovered[-1].pgr == expected
    frame = found.to_frame()
    assert frame[frame["metric"] == "pgr_accuracy"]["value"].tolist()[-1] == expected.value


def test_scores_outside_the_unit_interval_have_no_accuracy_and_hard_labels_no_ranking() -> None:
    truth, scores = world()
    logits = {"b": scores["b"], "logits": 9 * scores["b"] - 4, "hard": (scores["a"] > 0.5).astype(float)}
    found = compare_scores(truth, logits, weak="hard", ceiling="b")
    status = {(one.name, one.metric): one.status for one in found.scores}
    assert status["logits", "accuracy"] == "scores outside [0, 1]"
    assert status["logits", "auroc"] == "ok"
    assert status["hard", "auroc"] == "hard labels"
    differences = {(one.name, one.metric): one for one in found.differences}
    assert math.isnan(differences["logits", "accuracy"].estimate.value)
    assert math.isnan(differences["hard", "auroc"].p)
    assert not math.isnan(differences["hard", "accuracy"].p)
    assert [one.status for one in found.recovered] == ["hard labels", "scores outside [0, 1]"]


def test_every_metric_of_the_registry_is_compared_as_the_registry_measures_it() -> None:
    truth, scores = world(apart=(0.1, 0.3, 0.6))
    found = compare_scores(truth, scores, metrics=list(METRICS), weak="a", ceiling="c", n_boot=100)
    values = {(one.name, one.metric): one.estimate for one in found.scores}
    for (name, metric), estimate in values.items():
        expected = paired_scores.estimate(metric, truth, scores[name])
        assert expected is not None
        assert [estimate.value, estimate.low, estimate.high] == [expected.value, expected.low, expected.high]
        assert expected.value == pytest.approx(METRICS[metric](truth, scores[name]))
    for one in found.differences:
        assert one.estimate.value == pytest.approx(values[one.name, one.metric].value - values["a", one.metric].value)
        difference = paired_scores.difference(one.metric, truth, scores[one.name], scores["a"])
        assert difference is not None
        assert one.estimate.low == difference.low
        assert (one.p < 0.05) == (one.estimate.low > 0 or one.estimate.high < 0)
    assert {one.metric for one in found.recovered} == set(METRICS) - {"ece"}
    assert all(one.pgr.value > 0 for one in found.recovered if one.status == "ok")  # also where less is better
    logits = compare_scores(truth, {"a": scores["a"], "b": 9 * scores["b"]}, metrics=["brier", "average_precision"])
    assert [one.status for one in logits.differences] == ["scores outside [0, 1]", "ok"]


def test_what_cannot_be_compared_is_refused() -> None:
    truth, scores = world()
    for changed, said in (
        ({"truth": np.ones(200)}, "one class only"),
        ({"scores": {**scores, "b": np.full(200, np.nan)}}, "finite"),
        ({"scores": {}}, "no scores to compare"),
        ({"weak": "a"}, "ceiling is missing"),
        ({"weak": "a", "ceiling": "bb"}, "did you mean 'b'"),
        ({"weak": "a", "ceiling": "a"}, "both 'a'"),
        ({"metrics": ["aurco"]}, "did you mean 'auroc'"),
    ):
        with pytest.raises(InputError, match=said.replace("(", r"\(")):
            compare_scores(**({"truth": truth, "scores": scores} | changed))  # type: ignore[arg-type]
