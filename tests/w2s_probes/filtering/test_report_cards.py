"""Report cards: random controls that match, exact tests that agree with brute force, and overlap without truth."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact, hypergeom, spearmanr

from tests.conftest import planted
from w2s_probes import FilterResult, InputError, KNNProbe, disagreement_filter, relabel
from w2s_probes.filtering import report_card, stability
from w2s_probes.filtering.matched_controls import (
    comparable,
    least_confident,
    matched_draws,
    matched_pmf,
    true_errors_first,
)
from w2s_probes.filtering.overlap import overlap

EIGHT = FilterResult(  # labels 1 1 1 1 0 0 0 0; rows 0, 1 and 4 go
    mask=np.array([0, 0, 1, 1, 0, 1, 1, 1], dtype=bool),
    scores=np.array([0.9, 0.8, 0.1, 0.2, 0.7, 0.3, 0.1, 0.2]),
    reasons=np.array(["disagreement"] * 2 + [""] * 2 + ["disagreement"] + [""] * 3, dtype=object),
    labels=np.array([0.9, 0.8, 0.6, 0.7, 0.1, 0.4, 0.4, 0.2]),
    requested=2,
)
TRUTH = np.array([0, 1, 1, 0, 1, 0, 0, 0])  # wrong: rows 0, 3, 4


def removing(gone: np.ndarray, labels: np.ndarray) -> FilterResult:
    """A filter that removes these rows."""
    reasons = np.where(gone, "disagreement", "").astype(object)
    return FilterResult(~gone, gone.astype(float), reasons, labels, int(gone.sum()))


def test_a_card_of_eight_rows_is_what_one_counts_by_hand() -> None:
    card = report_card(EIGHT, TRUTH)
    assert (card.n, card.removed, card.requested, card.overshoot) == (8, 3, 2, 1)
    assert card.base_rate == 3 / 8
    assert card.filter.wrong == 2
    assert card.filter.precision == pytest.approx(2 / 3)
    assert card.filter.recall == pytest.approx(2 / 3)
    assert card.filter.lift == pytest.approx(16 / 9)
    assert card.filter.accuracy_kept == pytest.approx(4 / 5)
    assert card.filter.accuracy_removed == pytest.approx(1 / 3)
    assert (card.positive_before, card.filter.positive_after) == (0.5, 2 / 5)
    assert card.oracle.precision == card.oracle.accuracy_kept == 1
    # By confidence rows 2 and 3 go of class 1, row 5 of class 0 as the first of two equal ones.
    assert (card.confidence.wrong, card.confidence_ties) == (1, 1)
    assert (card.found_by_filter, card.found_by_confidence) == (2, 1)
    assert card.p_confidence == binomtest(2, 3).pvalue == 1
    assert card.filter.positive_after == card.random.positive_after == card.confidence.positive_after


def test_the_card_says_what_the_filters_own_report_says() -> None:
    report, card = EIGHT.report(TRUTH), report_card(EIGHT, TRUTH)
    assert report["precision"] == card.filter.precision
    assert report["recall"] == card.filter.recall
    assert report["accuracy_after"] == card.filter.accuracy_kept


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=9))
def test_the_chance_of_a_random_removal_is_that_of_trying_every_one(rows: list[tuple[bool, bool, bool]]) -> None:
    marked, gone, positive = np.array(rows, dtype=bool).T
    counts = np.zeros(len(rows) + 1)
    zeros, ones = np.flatnonzero(~positive), np.flatnonzero(positive)
    for some in combinations(zeros, int(gone[zeros].sum())):
        for others in combinations(ones, int(gone[ones].sum())):
            counts[marked[[*some, *others]].sum() if len(some) + len(others) else 0] += 1
    pmf = matched_pmf(marked, gone, positive)
    assert pmf == pytest.approx((counts / counts.sum())[: len(pmf)])


def test_random_draws_agree_with_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    labels, truth = rng.random(400), rng.random(400)
    result = disagreement_filter(labels, np.clip(truth + 0.2 * rng.normal(size=400), 0, 1), 0.2)
    wrong, positive = (truth > 0.5) != (labels > 0.5), labels > 0.5
    weak = removing(rng.random(400) < 0.15 + 0.05 * wrong, labels)
    for one in (result, weak):
        card = report_card(one, truth, draws=20_000)
        pmf = matched_pmf(wrong, ~one.mask, positive)
        mean, found = pmf @ np.arange(len(pmf)), int(card.filter.wrong)
        assert card.random.wrong == pytest.approx(mean, abs=0.15)
        assert card.p_random == pytest.approx(pmf[found:].sum(), abs=0.012)
        cumulative = np.cumsum(pmf)
        exact = [np.searchsorted(cumulative, q) for q in (0.025, 0.975)]
        assert [card.random_low.wrong, card.random_high.wrong] == pytest.approx(exact, abs=1)


def test_the_chance_of_a_random_removal_is_scipys_in_large_sets() -> None:
    marked, gone = np.arange(60_000) % 7 == 0, np.arange(60_000) % 3 == 0
    pmf = matched_pmf(marked, gone, np.ones(60_000, dtype=bool))
    expected = hypergeom.pmf(np.arange(len(pmf)), 60_000, marked.sum(), gone.sum())
    assert pmf.sum() == pytest.approx(1)
    assert pmf == pytest.approx(expected, abs=1e-9)


def test_of_one_class_the_test_is_fishers() -> None:
    rng = np.random.default_rng(1)
    wrong, gone = rng.random(60) < 0.3, rng.random(60) < 0.3
    table = [[(wrong & gone).sum(), (~wrong & gone).sum()], [(wrong & ~gone).sum(), (~wrong & ~gone).sum()]]
    pmf = matched_pmf(wrong, gone, np.ones(60, dtype=bool))
    assert pmf[table[0][0] :].sum() == pytest.approx(fisher_exact(table, alternative="greater").pvalue)


def test_a_filter_of_the_commonest_errors_class_gets_no_credit_for_it() -> None:
    """All errors are in class 1, and the filter removes class 1 at random: lift, but nothing beyond its class mix."""
    rng = np.random.default_rng(2)
    labels = (np.arange(2000) % 2).astype(float)
    truth = np.where((labels == 1) & (rng.random(2000) < 0.4), 0, labels)
    card = report_card(removing((labels == 1) & (rng.random(2000) < 0.3), labels), truth)
    assert card.filter.lift > 1.8
    assert card.random_low.wrong <= card.filter.wrong <= card.random_high.wrong
    assert card.p_random > 0.05


def grouped_noise(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels of 60 groups of 6 rows, wrong together; a filter that removes whole groups, whatever their errors."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), 6)
    labels = np.tile([0.0, 1.0], 180)
    wrong = (rng.random(60) < 0.3)[groups]
    return groups, labels, np.where(wrong, 1 - labels, labels), (rng.random(60) < 0.3)[groups]


def test_related_rows_need_the_grouped_control() -> None:
    alone, grouped = [], []
    for seed in range(200):
        groups, labels, truth, gone = grouped_noise(seed)
        result = removing(gone, labels)
        alone.append(report_card(result, truth, draws=200).p_random)
        grouped.append(report_card(result, truth, groups=groups, draws=200).p_random)
    assert np.mean(np.array(grouped) <= 0.05) <= 0.08
    assert np.mean(np.array(alone) <= 0.05) > 0.15  # rows as if independent: findings where there are none


def test_groups_of_one_row_change_nothing() -> None:
    rng = np.random.default_rng(3)
    marked, gone, positive = rng.random((3, 200)) < 0.4
    plain = matched_draws(marked, gone, positive, 500, 0)
    assert np.array_equal(plain, matched_draws(marked, gone, positive, 500, 0, np.arange(200)[::-1].copy()))
    assert comparable(gone, positive, np.arange(200)) == 1


def test_a_group_like_no_other_stays_where_it_is() -> None:
    groups = np.array([0, 0, 0, 1, 1])
    marked = gone = np.array([1, 1, 1, 0, 0], dtype=bool)
    assert set(matched_draws(marked, gone, np.ones(5, dtype=bool), 50, 0, groups)) == {3}
    assert comparable(gone, np.ones(5, dtype=bool), groups) == 0


def test_groups_permuted_as_wholes_and_rows_within_them_give_the_same_numbers() -> None:
    """Against a slow oracle that moves removed rows about one by one."""
    rng = np.random.default_rng(4)
    groups, positive = np.repeat(np.arange(30), 3), np.tile([True, True, False], 30)
    marked, gone = rng.random((2, 90)) < 0.4
    slow = []
    for _ in range(3000):
        moved = gone.reshape(30, 3)[rng.permutation(30)].copy()
        moved[:, :2] = rng.permuted(moved[:, :2], axis=1)
        slow.append((moved.ravel() & marked).sum())
    fast = matched_draws(marked, gone, positive, 3000, 0, groups)
    assert fast.mean() == pytest.approx(np.mean(slow), abs=0.2)
    assert fast.std() == pytest.approx(np.std(slow), abs=0.15)


def test_grouped_sign_tests_count_groups() -> None:
    groups, labels, truth, gone = grouped_noise(0)
    labels = np.where(labels > 0.5, 0.9, 0.1)
    card = report_card(removing(gone, labels), truth, groups=groups)
    assert card.found_by_filter + card.found_by_confidence <= 60


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_controls_remove_as_many_rows(rows: list[tuple[float, bool, bool]]) -> None:
    labels = np.array([row[0] for row in rows])
    gone, wrong = np.array([row[1:] for row in rows], dtype=bool).T
    chosen, best = least_confident(labels, gone), true_errors_first(wrong, gone)
    for side in (labels > 0.5, labels <= 0.5):
        assert chosen[side].sum() == gone[side].sum()
    assert best.sum() == gone.sum()
    assert (best & wrong).sum() == min(gone.sum(), wrong.sum())


def test_hard_labels_have_no_confidence_and_the_card_says_so() -> None:
    data = planted(n=300, noise=0.2)
    result = disagreement_filter(data.weak, relabel(KNNProbe(20), data.X, data.weak), 0.2)
    card = report_card(result, data.truth)
    assert card.confidence_ties == card.removed
    assert card.filter.precision > 0.9 > card.random_high.precision
    assert card.p_random == pytest.approx(1 / 2001)


def test_a_filter_that_removes_nothing_has_no_precision() -> None:
    labels = np.array([0.2, 0.9, 0.7])
    card = report_card(
        removing(np.zeros(3, dtype=bool), labels), [0, 0, 1], others={"same": removing(np.zeros(3, dtype=bool), labels)}
    )
    assert np.isnan(card.filter.precision)
    assert card.p_random == card.p_confidence == 1
    assert np.isnan(card.overlaps["same"].jaccard)
    assert card.filter.accuracy_kept == pytest.approx(2 / 3)


def test_truth_of_one_class_is_no_error_and_no_wrong_rows_are_no_lift() -> None:
    labels = np.array([0.9, 0.8, 0.7])
    card = report_card(removing(np.array([True, False, False]), labels), [1, 1, 1])
    assert card.base_rate == 0
    assert np.isnan(card.filter.lift)
    assert np.isnan(card.filter.recall)


def test_tables_mark_every_number_that_needs_the_truth() -> None:
    other = removing(np.arange(8) < 3, EIGHT.labels)
    card = report_card(EIGHT, TRUTH, others={"other": other})
    again = report_card(EIGHT, 1 - TRUTH, others={"other": other})
    table, changed = card.to_frame(), again.to_frame()
    differs = ~((table["value"] == changed["value"]) | (table["value"].isna() & changed["value"].isna()))
    assert table["oracle"][differs].all()
    assert set(table[~table["oracle"]]["measure"]) == {
        *("positive_before", "positive_after", "requested", "removed", "overshoot", "comparable", "ties"),
        *("jaccard", "jaccard_by_chance"),
    }
    low = table.query("of == 'random' and measure == 'accuracy_removed'")
    assert (low["low"] <= low["value"]).all()
    assert (low["value"] <= low["high"]).all()
    assert repr(card).startswith("ReportCard(removed 3 of 8; oracle's figures: precision 0.667")
    assert "<table" in card._repr_html_()
    assert card.overlaps["other"].jaccard == 2 / 4


def test_chance_overlap_is_that_of_random_removals() -> None:
    rng = np.random.default_rng(5)
    positive = np.arange(200) % 4 == 0
    one, other = rng.random((2, 200)) < np.where(positive, 0.5, 0.1)
    shared = overlap(one, other, positive)
    drawn = []
    for _ in range(4000):
        moved = one.copy()
        for side in (positive, ~positive):
            moved[side] = rng.permutation(one[side])
        drawn.append((moved & other).sum() / (moved | other).sum())
    assert shared.expected == pytest.approx(np.mean(drawn), abs=0.005)
    assert (shared.low, shared.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.02)
    assert overlap(one, one, positive).jaccard == 1


def test_stability_compares_filters_of_the_same_rows_without_truth() -> None:
    data = planted(n=400, noise=0.2)
    p = {k: relabel(KNNProbe(k), data.X, data.weak) for k in (10, 20, 40)}
    found = stability({f"k={k}": disagreement_filter(data.weak, p[k], 0.2) for k in p})
    assert found.pairs[["first", "second"]].to_numpy().tolist() == [
        *(["k=10", "k=20"], ["k=10", "k=40"], ["k=20", "k=40"])
    ]
    assert found.jaccard > 0.5 > 0.2 > found.by_chance > 0.05
    expected = spearmanr(*(np.round(np.abs(data.weak - p[k]), 12) for k in (10, 20))).statistic
    assert found.pairs["rank_correlation"][0] == pytest.approx(expected)
    assert found.filters["agreement"][1] == pytest.approx(((p[20] > 0.5) == (data.weak > 0.5)).mean())
    assert found.filters["mean_score"][1] == pytest.approx(np.abs(data.weak - p[20]).mean())
    assert found.filters["removed"].tolist() == [80, 80, 80]
    assert repr(found).startswith("Stability(3 filters: Jaccard 0.")
    assert found._repr_html_().count("<table") == 2


def test_independent_filters_overlap_as_chance_says() -> None:
    rng = np.random.default_rng(6)
    labels = rng.random(500)
    found = stability([disagreement_filter(labels, rng.random(500), 0.2) for _ in range(2)])
    blind = stability([removing(rng.random(500) < 0.2, labels) for _ in range(12)])
    assert blind.jaccard == pytest.approx(blind.by_chance, abs=0.01)
    inside = blind.pairs["jaccard"].between(blind.pairs["low"], blind.pairs["high"])
    assert inside.mean() > 0.85
    assert found.jaccard > found.by_chance  # they share the labels: rows near ½ are nobody's outliers


def test_without_the_probes_scores_no_agreement_is_known() -> None:
    result = disagreement_filter([0.9, 0.1, 1.0], [0.8, 0.05, 0.2], 0.3)
    assert stability([result, result]).filters["agreement"].tolist() == pytest.approx([2 / 3] * 2)
    assert stability([replace(result, p=None)] * 2).filters["agreement"].isna().all()


def test_rows_that_do_not_match_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="7 truths but 8 rows"):
        report_card(EIGHT, TRUTH[:7])
    with pytest.raises(InputError, match="truth must be a vector of probabilities"):
        report_card(EIGHT, TRUTH * 2)
    with pytest.raises(InputError, match="groups have shape"):
        report_card(EIGHT, TRUTH, groups=[1, 2])
    with pytest.raises(InputError, match="draws=0 must be at least 1"):
        report_card(EIGHT, TRUTH, draws=0)
    shorter = removing(np.zeros(7, dtype=bool), EIGHT.labels[:7])
    with pytest.raises(InputError, match="'b' judged 7 rows but 'this' 8"):
        report_card(EIGHT, TRUTH, others={"b": shorter})
    with pytest.raises(InputError, match="judged different labels, first in row 0"):
        stability([EIGHT, removing(~EIGHT.mask, 1 - EIGHT.labels)])
    with pytest.raises(InputError, match="judged no rows"):
        report_card(removing(np.zeros(0, dtype=bool), np.zeros(0)), [])
    with pytest.raises(InputError, match="at least 2 results, got 1"):
        stability([EIGHT])
