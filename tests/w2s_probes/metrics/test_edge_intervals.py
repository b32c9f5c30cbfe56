"""Intervals at the edges: perfect scores, few rows and single ones, by every way to an interval."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from tests.worlds.sweeping import planted_store
from w2s_probes import noise_model
from w2s_probes.metrics.influence import mean, ranking
from w2s_probes.metrics.recovery import performance_gap_recovered
from w2s_probes.metrics.recovery_over_seeds import gap_recovered_over_seeds
from w2s_probes.noise.calibration import auroc_interval
from w2s_probes.stats import agreement
from w2s_probes.sweep import sweep

TRUE = 0.9


def drawn(rng: np.random.Generator, few: int, many: int, apart: float) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    positive = np.arange(few + many) < few
    return positive, norm.cdf(rng.normal(size=few + many) + apart * positive)


@pytest.mark.parametrize("way", ["sweep's", "noise model's", "results'"])
@pytest.mark.parametrize(("few", "many"), [(2, 2), (2, 40), (3, 40), (5, 40), (10, 40)])
def test_intervals_of_auroc_cover_with_few_rows_of_a_class(way: str, few: int, many: int) -> None:
    rng, hits = np.random.default_rng(few), []
    for _ in range(150):
        positive, p = drawn(rng, few, many, np.sqrt(2) * norm.ppf(TRUE))
        if way == "noise model's":
            _, low, high = auroc_interval(positive, p)
        elif way == "sweep's":
            measured = ranking(positive, p)
            assert measured is not None
            ends = measured.share(None)
            low, high = ends.low, ends.high
        else:
            run = {"weak": p, "ceiling": rng.uniform(size=len(p)), "a": p}
            ends = gap_recovered_over_seeds(positive, [run]).values["a"]
            low, high = ends.low, ends.high
        assert low < high
        hits.append(low <= TRUE <= high)
    assert np.mean(hits) >= 0.9


@pytest.mark.parametrize("n", [2, 3, 5, 12, 30])
@pytest.mark.parametrize("true", [0.5, 0.8, 0.95, 0.99])
def test_intervals_of_accuracy_cover_with_few_rows(n: int, true: float) -> None:
    rng = np.random.default_rng(n)
    ends = [mean(hits).share(None) for hits in (rng.random((300, n)) < true).astype(float)]
    assert np.mean([e.low <= true <= e.high for e in ends]) >= 0.93
    assert all(e.low < e.high for e in ends)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_class_of_one_row_or_group_has_no_interval_by_any_way(grouped: bool) -> None:
    rng = np.random.default_rng(0)
    few = 3 if grouped else 1
    positive, p = drawn(rng, few, 60, 1.0)
    groups = np.maximum(np.arange(63) - 2, 0) if grouped else None
    measured = ranking(positive, p)
    assert measured is not None
    numbers = None if groups is None else groups.astype(np.intp)
    runs = [{name: drawn(rng, few, 60, by)[1] for name, by in (("weak", 0.2), ("a", 1.0), ("ceiling", 3.0))}] * 2
    found = gap_recovered_over_seeds(positive, runs, groups=groups)
    weak, student, ceiling = (runs[0][name] for name in ("weak", "a", "ceiling"))
    one = performance_gap_recovered(positive, weak, student, ceiling, groups=groups, n_boot=50)
    for ends in (
        measured.share(numbers),
        measured.estimate(numbers),
        noise_model(positive * 1.0, p, groups=groups, draws=20).auroc,
        found.values["a"],
        found.difference("a", "weak"),
        found.gap,
        one,
        found.recovered["a"],
    ):
        assert np.isfinite(ends.value)
        assert np.isnan([ends.low, ends.high]).all()
    assert one.status == found.recovered["a"].status == "unstable"
    assert np.isnan(found.p_value("a", "weak"))


def test_perfect_scores_have_a_width_by_every_way() -> None:
    truth = np.arange(12) % 2 * 1.0
    p = truth * 0.8 + 0.1
    measured = ranking(truth > 0.5, np.asarray(p, dtype=np.float64))
    assert measured is not None
    run = {"weak": np.linspace(0, 1, 12), "ceiling": p, "a": p}
    over = gap_recovered_over_seeds(truth, [run, run])
    by_accuracy = gap_recovered_over_seeds(truth, [run, run], "accuracy")
    for ends in (
        measured.share(None),
        mean(np.ones(12)).share(None),
        noise_model(truth, p, draws=20).auroc,
        over.values["a"],
        by_accuracy.values["a"],
        agreement(p, p).share,
    ):
        assert ends.value == 1
        assert 0.5 < ends.low < 0.8
        assert ends.high == pytest.approx(1)


def test_constant_scores_and_differences_of_perfect_ones_have_a_width_of_their_rows() -> None:
    for n in (4, 40, 4000):
        positive = np.arange(n) % 2 == 0
        flat, perfect = ranking(positive, np.ones(n)), ranking(positive, positive.astype(np.float64))
        assert flat is not None
        assert perfect is not None
        unseen = 1 - 0.025 ** (2 / n)
        assert flat.share(None).low == pytest.approx(max(0, 0.5 - unseen))
        gain = (perfect - flat).estimate(None)
        assert gain.value == 0.5
        assert gain.high - gain.value == pytest.approx(np.sqrt(2) * unseen)
        noisy = ranking(positive, np.random.default_rng(n).normal(size=n))
        assert noisy is not None
        alone, beside = noisy.estimate(None), (noisy - perfect).estimate(None)
        assert beside.high - beside.low > alone.high - alone.low
        assert (noisy - noisy).estimate(None).high == 0


def test_no_interval_of_a_sweep_is_a_point(tmp_path: Path) -> None:
    data = planted_store(tmp_path / "acts", n=60, apart=(40.0,), noise=0.0)
    table = sweep(data.path, data.table, knn_k=[3], logistic_l2=[0.01]).to_frame()
    judged = table[table["metric"].isin(["auroc", "accuracy", "weak_auroc", "auroc_gain"])]
    assert (judged.loc[judged["metric"] != "auroc_gain", "value"] == 1).all()
    assert (judged["high"] - judged["low"] > 0.05).all()
