"""Labels before and after a change, by the truth: counts, paired differences and their intervals."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from w2s_probes import LabelSet
from w2s_probes.errors import InputError
from w2s_probes.labels.quality import label_change

RNG = np.random.default_rng(0)


def drawn(rng: np.random.Generator, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, labels of which some are wrong, and better ones that share some of their errors."""
    truth = rng.integers(0, 2, n).astype(float)
    shared = rng.normal(size=n)
    weak = 1 / (1 + np.exp(-(1.2 * (2 * truth - 1) + 1.5 * shared)))
    better = 1 / (1 + np.exp(-(2.0 * (2 * truth - 1) + shared + rng.normal(size=n))))
    return truth, weak, better


def test_values_are_those_of_scikit_learn_and_moves_are_counted_each_way() -> None:
    truth, weak, better = drawn(RNG)
    change = label_change(weak, better, truth)
    assert change.auroc is not None
    assert change.accuracy is not None
    assert change.auroc.before.value == pytest.approx(roc_auc_score(truth, weak))
    assert change.auroc.after.value == pytest.approx(roc_auc_score(truth, better))
    assert change.auroc.difference.value == pytest.approx(roc_auc_score(truth, better) - roc_auc_score(truth, weak))
    assert change.accuracy.after.value == pytest.approx(((better > 0.5) == truth).mean())
    assert change.to_one == int(((better > 0.5) & (weak <= 0.5)).sum())
    assert change.to_zero == int(((better <= 0.5) & (weak > 0.5)).sum())
    assert change.moved == change.to_one + change.to_zero
    frame = change.to_frame()
    assert list(frame["of"]) == ["before", "after", "difference"] * 2
    assert frame["oracle"].all()
    assert (frame["low"] <= frame["value"]).all()


def test_the_interval_of_the_difference_covers_and_is_narrower_than_that_of_unpaired_labels() -> None:
    rng = np.random.default_rng(1)
    large = [drawn(rng, 4000) for _ in range(20)]
    expected = np.mean([roc_auc_score(t, b) - roc_auc_score(t, w) for t, w, b in large])
    covered, widths, apart = [], [], []
    for _ in range(300):
        truth, weak, better = drawn(rng)
        change = label_change(weak, better, truth).auroc
        assert change is not None
        covered.append(change.difference.low <= expected <= change.difference.high)
        widths.append(change.difference.high - change.difference.low)
        apart.append(2 * 1.96 * np.hypot(change.before.error, change.after.error))
    assert 0.91 <= np.mean(covered) <= 0.985
    assert np.mean(widths) < 0.95 * np.mean(apart)


def test_rows_that_come_in_groups_widen_the_interval_and_rows_of_unknown_truth_are_left_out() -> None:
    truth, weak, better = (np.repeat(one, 5) for one in drawn(RNG, 80))
    groups = np.repeat(np.arange(80), 5)
    alone, together = label_change(weak, better, truth), label_change(weak, better, truth, groups=groups)
    assert alone.accuracy is not None
    assert together.accuracy is not None
    assert together.accuracy.after.error > 1.8 * alone.accuracy.after.error
    some = np.where(np.arange(400) < 100, truth, np.nan)
    part = label_change(weak, better, some, groups=groups)
    assert part.known == 100
    first = label_change(weak[:100], better[:100], truth[:100], groups=groups[:100])
    assert part.auroc == first.auroc
    assert part.accuracy == first.accuracy


def test_without_truth_only_moves_are_told_and_of_one_true_class_there_is_no_auroc() -> None:
    _, weak, better = drawn(RNG)
    assert label_change(weak, better).auroc is None
    assert label_change(weak, better, np.full(len(weak), np.nan)).accuracy is None
    one = label_change(weak, better, np.ones(len(weak)))
    assert one.auroc is not None
    assert np.isnan(one.auroc.before.value)
    assert one.accuracy is not None
    assert one.accuracy.before.value == (weak > 0.5).mean()


def test_lengths_that_differ_and_numbers_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(InputError, match="3 labels before but 2 after"):
        label_change([0, 1, 1], [0, 1])
    with pytest.raises(InputError, match="the truth of 2 rows"):
        label_change([0, 1, 1], [0, 1, 1], [0, 1])
    with pytest.raises(InputError, match="probabilities"):
        label_change([0, 1, 2], [0, 1, 1])


def test_label_sets_in_another_order_are_refused() -> None:
    truth, weak, better = drawn(RNG, 30)
    ids = np.array([f"r{i}" for i in range(30)], dtype=object)
    before, told = LabelSet(ids, weak), LabelSet(ids, truth, "truth")
    assert label_change(before, LabelSet(ids, better), told).known == 30
    for after, known in (
        (LabelSet(ids[::-1], better), told),
        (LabelSet(ids, better), LabelSet(ids[::-1], truth, "truth")),
    ):
        with pytest.raises(InputError, match="r0"):
            label_change(before, after, known)
