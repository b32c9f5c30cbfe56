"""Groups of test rows, hard labels and edges: what enters an interval, against planted truths."""

import numpy as np
import pytest
from scipy.stats import norm

from tests.worlds.binormal import Study, coverage
from w2s_probes import auroc, performance_gap_recovered
from w2s_probes.metrics.influence import ranking
from w2s_probes.metrics.intervals import share_interval
from w2s_probes.metrics.recovery import bootstrap
from w2s_probes.metrics.recovery_over_seeds import gap_recovered_over_seeds
from w2s_probes.stats import agreement

TRUTH = np.arange(400) % 2


def scored(quality: float, seed: int) -> np.ndarray:
    z = np.random.default_rng(seed).normal(size=400) + quality * TRUTH
    return np.asarray(1 / (1 + np.exp(-z)))


RUN = {"weak": scored(0.6, 1), "a": scored(1.0, 2), "ceiling": scored(2.0, 3)}


def test_intervals_cover_where_rows_come_in_groups_and_by_rows_alone_they_do_not() -> None:
    told = coverage(Study(rows=300, gap=0.25, seeds=3, scatter=0.01, per_group=3), 200)
    ignored = coverage(Study(rows=300, gap=0.25, seeds=3, scatter=0.01, per_group=3, ignored=True), 200)
    for share in (told.pgr, told.gain, told.value, told.difference):
        assert share > 0.91
    assert max(ignored.gain, ignored.value, ignored.difference) < 0.91  # the control


def test_rows_written_twice_and_named_as_groups_are_worth_no_more_than_once() -> None:
    twice = {name: np.repeat(scores, 2) for name, scores in RUN.items()}
    groups = np.repeat([f"g{i}" for i in range(400)], 2)
    once = gap_recovered_over_seeds(TRUTH, [RUN])
    grouped = gap_recovered_over_seeds(np.repeat(TRUTH, 2), [twice], groups=groups)
    alone = gap_recovered_over_seeds(np.repeat(TRUTH, 2), [twice])
    assert grouped.values["a"].error == pytest.approx(once.values["a"].error)
    assert (grouped.recovered["a"].low, grouped.recovered["a"].high) == pytest.approx(
        (once.recovered["a"].low, once.recovered["a"].high)
    )
    assert alone.values["a"].error < 0.75 * once.values["a"].error
    drawn = {name: performance_gap_recovered(t, w, a, c, groups=g) for name, (t, w, a, c, g) in {
        "once": (TRUTH, RUN["weak"], RUN["a"], RUN["ceiling"], None),
        "grouped": (np.repeat(TRUTH, 2), twice["weak"], twice["a"], twice["ceiling"], groups),
        "alone": (np.repeat(TRUTH, 2), twice["weak"], twice["a"], twice["ceiling"], None),
    }.items()}  # fmt: skip
    width = {name: one.high - one.low for name, one in drawn.items()}
    assert width["grouped"] == pytest.approx(width["once"], rel=0.1)
    assert width["alone"] < 0.8 * width["once"]


def test_whole_groups_are_drawn_and_rows_without_one_stand_alone() -> None:
    groups = np.array([*np.repeat(["a", "b"], 100), *([None] * 200)], dtype=object)
    scores = np.where(np.arange(400) < 100, 1.0, 0.0) * TRUTH + 0.001 * np.arange(400)
    by_rows = bootstrap(TRUTH, {"s": scores}, n_boot=300)["s"].std()
    by_groups = bootstrap(TRUTH, {"s": scores}, n_boot=300, groups=groups)["s"].std()
    assert by_groups > 2 * by_rows


def test_a_student_that_repeats_a_hardened_supervisor_recovers_nothing() -> None:
    """AUROC of labels is balanced accuracy: against it the very scores they were made of would seem to gain."""
    soft, ceiling = RUN["a"], RUN["ceiling"]
    hard = (soft > 0.5).astype(float)
    naive = (auroc(TRUTH, soft) - auroc(TRUTH, hard)) / (auroc(TRUTH, ceiling) - auroc(TRUTH, hard))
    assert naive > 0.2
    found = performance_gap_recovered(TRUTH, hard, soft, ceiling, n_boot=300)
    assert (found.value, found.status) == (0, "hard labels")
    over = gap_recovered_over_seeds(TRUTH, [{"weak": hard, "a": soft, "ceiling": ceiling}] * 2)
    assert (over.recovered["a"].value, over.recovered["a"].status) == (0, "hard labels")
    assert over.values["a"].value == pytest.approx(auroc(TRUTH, soft))  # the value is that of the scores
    by_accuracy = performance_gap_recovered(TRUTH, hard, soft, ceiling, metric="accuracy", n_boot=300)
    assert (by_accuracy.value, by_accuracy.status) == (0, "ok")
    assert performance_gap_recovered(TRUTH, soft, soft, ceiling, n_boot=300).status == "ok"


def test_a_methods_draws_count_by_the_mean_of_their_metrics_and_their_spread_is_an_error() -> None:
    drawn = np.stack([scored(1.0 + 0.3 * i, 10 + i) for i in range(5)])
    one = gap_recovered_over_seeds(TRUTH, [{**RUN, "c": drawn}])
    assert one.values["c"].value == pytest.approx(np.mean([auroc(TRUTH, s) for s in drawn]))
    alike = gap_recovered_over_seeds(TRUTH, [{**RUN, "c": np.stack([drawn[2]] * 5)}])
    assert one.difference("a", "c").error > alike.difference("a", "c").error
    assert np.isnan(one.p_value("a", "c"))  # one seed tells nothing


def test_logit_intervals_of_aurocs_near_one_cover_where_percentiles_do_not() -> None:
    rng, hits = np.random.default_rng(0), []
    positive = np.arange(100) % 2 == 0
    for _ in range(400):
        measured = ranking(positive, rng.normal(size=100) + np.sqrt(2) * norm.ppf(0.99) * positive)
        assert measured is not None
        ends = measured.share(None)
        hits.append(ends.low <= 0.99 <= ends.high)
    assert np.mean(hits) > 0.92


def test_a_perfect_value_has_the_interval_of_as_many_rows_that_agree_and_a_single_row_has_none() -> None:
    low, high = share_interval(1.0, 0.0, 30)
    assert (round(low, 3), high) == (0.884, 1)  # Clopper and Pearson's of 30 of 30
    assert share_interval(0.0, 0.0, 30) == pytest.approx((0, 1 - low))
    perfect = ranking(TRUTH == 1, TRUTH.astype(float))
    assert perfect is not None
    assert 0.97 < perfect.share(None).low < 1
    single = ranking(np.arange(50) == 0, np.random.default_rng(0).normal(size=50))
    assert single is not None
    assert np.isnan([single.share(None).low, single.share(None).high, single.error(None)]).all()


def test_agreement_of_groups_that_agree_as_wholes_is_less_sure() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 8)
    same = np.repeat(rng.random(50) < 0.7, 8)
    weak = np.full(400, 0.9)
    student = np.where(same, 0.9, 0.1)
    alone, told = agreement(student, weak).share, agreement(student, weak, groups=groups).share
    assert told.value == alone.value
    assert (told.high - told.low) > 2 * (alone.high - alone.low)
    assert agreement(weak, weak, groups=groups).share.low == pytest.approx(50 / (50 + 1.96**2), abs=1e-3)
