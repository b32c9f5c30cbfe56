"""The gap recovered over many tasks: against published figures, by its definition, and how often it covers."""

import json
from pathlib import Path

import numpy as np
import pytest

from w2s_probes.stats import pooled, saturated

FIGURES = json.loads((Path(__file__).parents[2] / "golden" / "blog_figures_digitised.json").read_text())
AUC = {model: {task: values[model] for task, values in FIGURES["auc"].items()} for model in ("floor", "w2s", "ceil")}
PUBLISHED = (AUC["floor"], AUC["w2s"], AUC["ceil"])


def test_the_published_results_pool_to_less_than_their_mean() -> None:
    """EleutherAI's log-confidence student: a mean PGR of .482 over 21 tasks, of which small gaps make a tenth."""
    found = pooled(*PUBLISHED)
    assert found.n == 21
    assert found.saturated == ("ethics-deontology", "ethics-justice", "ethics-virtue", "openbookqa")
    assert (found.missing, found.undefined, found.status) == ((), (), "ok")
    assert found.pooled.value == pytest.approx(0.377, abs=0.003)
    assert found.mean.value == pytest.approx(0.482, abs=0.01)  # a pixel is much of a small gap
    assert found.median.value == pytest.approx(0.451, abs=0.01)
    for one in (found.pooled, found.mean, found.median):
        assert one.low < one.value < one.high
    published = FIGURES["loss"]
    for loss, mean in (("xent", 0.457), ("logconf", 0.482), ("entropy", 0.434), ("window", 0.424)):
        gaps = np.array([AUC["ceil"][task] - AUC["floor"][task] for task in published])
        ratios = np.array([values[loss] for values in published.values()])
        again = pooled(np.zeros(21), ratios * gaps, gaps)  # a supervisor at 0 gives the ratios back
        assert again.mean.value == pytest.approx(mean, abs=0.003)
        assert again.pooled.value < again.mean.value


def test_three_values_near_one_are_saturated_and_two_are_not() -> None:
    weak, student, ceiling = [0.9995, 0.9, 0.9995, 0.999], [0.9999, 0.9999, 0.998, 1.0], [1.0, 1.0, 1.0, 1.0]
    assert saturated(weak, student, ceiling).tolist() == [True, False, False, False]
    assert saturated(weak, student, ceiling, above=0.99).tolist() == [True, False, True, True]
    assert pooled(weak, student, ceiling).saturated == ("0",)
    assert pooled(weak, student, ceiling, saturation=None).n == 4


def test_tasks_without_a_ratio_count_in_the_pooled_gap_alone() -> None:
    weak, student = {"a": 0.6, "b": 0.7, "c": 0.8, "d": np.nan}, {"a": 0.7, "b": 0.7, "c": 0.82, "d": 0.9}
    ceiling = {"d": 0.9, "a": 0.9, "c": 0.78, "b": 0.8}
    found = pooled(weak, student, ceiling)
    assert (found.n, found.missing, found.undefined) == (3, ("d",), ("c",))
    assert found.pooled.value == pytest.approx((0.1 + 0 + 0.02) / (0.3 + 0.1 - 0.02))
    assert found.mean.value == found.median.value == pytest.approx((1 / 3 + 0) / 2)
    assert found.status == "unstable"


def test_summaries_that_do_not_exist_are_nan_and_marked() -> None:
    none = pooled([], [], [])
    assert (none.n, none.status) == (0, "undefined")
    assert np.isnan([none.pooled.value, none.mean.value, none.median.value]).all()
    one = pooled([0.6], [0.7], [0.8])
    assert one.status == "unstable"
    assert (one.pooled.value, one.mean.value, one.median.value) == pytest.approx((0.5, 0.5, 0.5))
    assert np.isnan([one.pooled.low, one.mean.high]).all()
    below = pooled([0.8, 0.8], [0.8, 0.9], [0.6, 0.9])
    assert below.status == "undefined"
    assert np.isnan(below.pooled.value)
    assert below.mean.value == pytest.approx(1)


def test_a_constant_ratio_has_no_width_whatever_the_gaps() -> None:
    weak, ceiling = np.full(8, 0.6), 0.6 + np.linspace(0.02, 0.3, 8)
    found = pooled(weak, weak + 0.4 * (ceiling - weak), ceiling)
    for one in (found.pooled, found.mean, found.median):
        assert (one.low, one.value, one.high) == pytest.approx((0.4, 0.4, 0.4))


@pytest.mark.parametrize(("tasks", "least"), [(5, 0.92), (21, 0.92)])
def test_intervals_over_tasks_cover_what_all_tasks_of_the_kind_would_give(tasks: int, least: float) -> None:
    rng = np.random.default_rng(tasks)
    hits, plain = [], []
    for _ in range(400):
        gaps = rng.gamma(4, 0.03, size=tasks)
        ratios = rng.normal(0.6 - 1.0 * gaps, 0.2)  # larger gaps are recovered less: pooled is under the mean
        found = pooled(np.zeros(tasks), ratios * gaps, gaps)
        truths = {"pooled": 0.6 - (0.03**2 * 4 * 5) / 0.12, "mean": 0.6 - 0.12}
        hits.append([getattr(found, name).low <= value <= getattr(found, name).high for name, value in truths.items()])
        half = 1.96 * ratios.std() / np.sqrt(tasks)
        plain.append(abs(ratios.mean() - truths["mean"]) <= half)
    assert (np.mean(hits, axis=0) > least).all()
    assert (np.mean(hits, axis=0) < 0.995).all()
    if tasks == 5:
        assert np.mean(plain) < 0.89  # the control: a normal interval
