"""Combined labels: the rules by hand, orders that change nothing, trusted rows, intervals, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from tests.worlds.rated import SENSITIVITY, SPECIFICITY, label_sets, rated
from w2s_probes import InputError, LabelSet, auroc
from w2s_probes.raters import RULES, CombiningRule, Ratings, combine, disagreement
from w2s_probes.raters.rules import SUREST


def by_id(combined: Any) -> dict[str, float]:
    return dict(zip(combined.labels.ids.tolist(), combined.labels.p.tolist(), strict=True))


def test_mean_log_odds_and_disagreement_are_what_their_formulas_say() -> None:
    p = np.array([[0.9, 0.6, 1.0], [0.2, np.nan, 0.4], [np.nan, 0.3, np.nan], [0.1, 0.8, 0.2]])
    ratings = Ratings.of(label_sets(p))
    order = [int(row[1:]) for row in ratings.ids]
    assert combine(ratings).labels.p == pytest.approx(np.nanmean(p, axis=1)[order])
    odds = logit(np.clip(p, SUREST, 1 - SUREST))
    assert combine(ratings, "log-odds").labels.p == pytest.approx(expit(np.nanmean(odds, axis=1))[order])
    expected = np.where((~np.isnan(p)).sum(axis=1) > 1, np.nanstd(p, axis=1), np.nan)
    assert combine(ratings).disagreement == pytest.approx(expected[order], nan_ok=True)
    assert combine(ratings).judged.tolist() == np.array([3, 2, 1, 3])[order].tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=6))
def test_disagreement_lies_between_0_and_a_half_and_is_that_of_the_other_class(rows: list[list[float]]) -> None:
    p = np.array(rows)
    found = disagreement(p)
    assert ((found >= 0) & (found <= 0.5)).all()
    assert disagreement(1 - p) == pytest.approx(found, abs=1e-9)
    assert disagreement(np.column_stack([p, p])) == pytest.approx(found, abs=1e-9)  # a copy of everyone changes nothing


@pytest.mark.parametrize("by", RULES)
@pytest.mark.parametrize("soft", [False, True])
def test_the_order_of_raters_and_rows_changes_no_label(by: CombiningRule, soft: bool) -> None:
    p = rated(300, missing=0.2, soft=soft)[0]
    sets = label_sets(p)
    first = by_id(combine(Ratings.of(sets), by, draws=2))
    rng = np.random.default_rng(1)
    turned = {}
    for name, labels in reversed(sets.items()):
        order = rng.permutation(len(labels))
        turned[name] = LabelSet(labels.ids[order], labels.p[order])
    second = by_id(combine(Ratings.of(turned), by, draws=2))
    assert second.keys() == first.keys()
    assert [second[row] for row in first] == pytest.approx(list(first.values()), abs=1e-5)


@pytest.mark.parametrize("by", RULES)
def test_the_classes_are_alike(by: CombiningRule) -> None:
    p = rated(300, missing=0.2)[0]
    one, other = (combine(Ratings.of(label_sets(votes)), by, draws=2).labels.p for votes in (p, 1 - p))
    assert other == pytest.approx(1 - one, abs=1e-4)


def test_rules_that_know_who_is_accurate_rank_better_than_the_mean() -> None:
    """Two good raters, two near chance: AUROC mean over five seeds; .88, .88, .90 and .93 in this order."""
    found: dict[str, list[float]] = {by: [] for by in RULES}
    for seed in range(5):
        p, truth = rated(1500, missing=0.3, seed=seed)
        ratings = Ratings.of(label_sets(p))
        of_id = {f"r{i}": t for i, t in enumerate(truth)}
        t = np.array([of_id[row] for row in ratings.ids])
        for by in RULES:
            found[by].append(auroc(t, combine(ratings, by, draws=2).labels.p))
    assert np.mean(found["weights"]) > np.mean(found["mean"]) + 0.01
    assert np.mean(found["dawid-skene"]) > np.mean(found["weights"]) + 0.01


def test_trusted_rows_teach_weights_and_never_become_labels() -> None:
    p, truth = rated(3000, missing=0.2)
    ratings = Ratings.of(label_sets(p))
    ids = np.array([f"r{i}" for i in range(400)], dtype=object)
    trusted = LabelSet(ids, truth[:400], "truth")
    combined = combine(ratings, "weights", trusted=trusted, draws=50)
    assert combined.trusted == 400
    judged = ~np.isnan(p[:400])
    for j in range(4):
        ones, zeros = judged[:, j] & (truth[:400] == 1), judged[:, j] & (truth[:400] == 0)
        line = combined.raters.iloc[j]
        assert line["sensitivity"] == pytest.approx(p[:400][ones, j].mean())
        assert line["specificity"] == pytest.approx(1 - p[:400][zeros, j].mean())
        assert line["weight_low"] < line["weight"] < line["weight_high"]
    other = LabelSet(ids, np.where(np.arange(400) == 7, 1 - truth[:400], truth[:400]), "truth")
    for by in ("weights", "dawid-skene"):
        one = by_id(combine(ratings, by, trusted=trusted, draws=2))["r7"]
        assert one not in (0.0, 1.0)
        assert by_id(combine(ratings, by, trusted=other, draws=2))["r7"] == pytest.approx(one, abs=0.05)


def test_a_copy_of_a_rater_doubles_its_say_by_trusted_rows() -> None:
    p, truth = rated(500)
    trusted = LabelSet(np.array([f"r{i}" for i in range(500)], dtype=object), truth, "truth")
    copied = np.column_stack([p, p[:, 0]])
    four, five = (combine(Ratings.of(label_sets(v)), "weights", trusted=trusted, draws=2).raters for v in (p, copied))
    assert five["weight"][0] == five["weight"][4]
    assert five["weight"][0] / five["weight"][1] == pytest.approx(four["weight"][0] / four["weight"][1])


def test_intervals_hold_planted_rates_and_are_wider_where_rows_come_in_groups() -> None:
    held = {"dawid-skene": 0, "weights": 0}
    for seed in range(3):
        p, _ = rated(1000, seed=seed)
        for by in ("dawid-skene", "weights"):
            raters = combine(Ratings.of(label_sets(p)), by, draws=50, seed=seed).raters
            for name, planted in (("sensitivity", SENSITIVITY), ("specificity", SPECIFICITY)):
                low, high = (raters[f"{name}_{end}"].to_numpy() for end in ("low", "high"))
                held[by] += int(((low <= np.array(planted)) & (high >= np.array(planted))).sum())
    assert min(held.values()) >= 20
    p = np.repeat(rated(200)[0], 5, axis=0)
    sets = label_sets(p)
    alone, grouped = (
        combine(Ratings.of(sets, groups), "weights", draws=60).raters for groups in (None, np.repeat(np.arange(200), 5))
    )
    widths = [(one["weight_high"] - one["weight_low"]).mean() for one in (alone, grouped)]
    assert widths[1] > 1.5 * widths[0]


def test_two_raters_are_said_to_be_two() -> None:
    p = rated(200)[0][:, :2]
    combined = combine(Ratings.of(label_sets(p)), "dawid-skene", draws=2)
    assert combined.status == "two raters"
    assert "whichever of them is right" in combined.meaning


def test_further_rows_are_combined_by_what_was_learned() -> None:
    p = rated(400, missing=0.2)[0]
    ratings = Ratings.of(label_sets(p))
    for by in RULES:
        combined = combine(ratings, by, draws=2)
        assert combined.combiner.combine(ratings.p) == pytest.approx(combined.labels.p)
        few = combined.combiner.combine(np.array([[np.nan] * 4, [1.0, np.nan, np.nan, np.nan]]))
        assert np.isnan(few[0])
        assert few[1] > 0.5


IDS = np.array(["a", "b", "c"], dtype=object)
GOOD = LabelSet(IDS, np.array([0.9, 0.2, 0.4]))
BAD: dict[str, tuple[dict[str, LabelSet], str]] = {
    "one alone": ({"a": GOOD}, "a: combining takes two raters or more"),
    "truth": ({"a": GOOD, "t": LabelSet(IDS, np.array([1.0, 0, 0]), "truth")}, "t: ground truth is no rater"),
    "one label": ({"a": GOOD, "b": LabelSet(IDS, np.ones(3))}, "b: says 1 of every row, which tells no row from"),
    "no overlap": (
        {"a": GOOD, "b": LabelSet(np.array(["x", "y"], dtype=object), np.array([0.1, 0.7]))},
        "'b': shares no row with 'a': raters are joined by `id`",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_raters_that_cannot_be_combined_are_refused(case: str) -> None:
    sets, said = BAD[case]
    with pytest.raises(InputError, match=said):
        Ratings.of(sets)


def test_trusted_rows_that_cannot_serve_are_refused() -> None:
    p, truth = rated(60)
    ratings, ids = Ratings.of(label_sets(p)), np.array([f"r{i}" for i in range(60)], dtype=object)
    with pytest.raises(InputError, match="labels of role truth, not another rater's"):
        combine(ratings, "weights", trusted=LabelSet(ids, truth))
    with pytest.raises(InputError, match="no trusted row is one that the raters have judged"):
        combine(ratings, "weights", trusted=LabelSet(np.array(["x"], dtype=object), np.array([1.0]), "truth"))
    ones = truth == 1
    with pytest.raises(InputError, match="a: has judged no trusted row of label 0"):
        combine(ratings, "weights", trusted=LabelSet(ids[ones], truth[ones], "truth"))
    with pytest.raises(InputError, match="combining by mean learns nothing, and takes no trusted rows"):
        combine(ratings, "mean", trusted=LabelSet(ids, truth, "truth"))
    with pytest.raises(InputError, match="by='means': did you mean 'mean'"):
        combine(ratings, "means")  # type: ignore[arg-type]
    few = np.r_[np.flatnonzero(ones)[:3], np.flatnonzero(~ones)[:3]]
    assert combine(ratings, "weights", trusted=LabelSet(ids[few], truth[few], "truth")).status == "few trusted rows"
