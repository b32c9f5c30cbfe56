"""Filters and relabelling: masks in input order, exact counts, out-of-sample by default."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import SVC

from tests.conftest import GOLDEN, planted
from tests.w2s_probes.probes.test_interface import CASES, EXAMPLE_A, EXAMPLE_B, LABELS_B
from w2s_probes import InputError, KNNProbe, LogisticProbe, TopoProbe, auroc, disagreement_filter, relabel, topo_filter
from w2s_probes.relabeling import cross_fitted

SOFT_A = np.array([0.9, 0.3, 0.8, 0.7, 0.6, 0.95, 0.1, 0.2, 0.05, 0.4])


@pytest.mark.parametrize("case", CASES)
def test_topo_filter_keeps_what_the_reference_keeps(case: str) -> None:
    golden = np.load(GOLDEN / f"{case}.npz")
    k_cc, k_zeta, contamination = int(golden["k_cc"]), int(golden["k_zeta"]), float(golden["contamination"])
    result = topo_filter(golden["X"], golden["soft"], k_cc, k_zeta, contamination)
    assert np.array_equal(np.flatnonzero(result.mask), golden["topofilter_kept"])
    gone_at_first = int((~golden["topocc"]).sum())
    assert result.overshoot == max(0, gone_at_first - round(len(golden["y"]) * contamination))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["knn", "logreg_0.001", "logreg_0.01", "logreg_0.1"])
def test_in_sample_filters_keep_what_the_reference_keeps(case: str, name: str) -> None:
    golden = np.load(GOLDEN / f"{case}.npz")
    kind, _, l2 = name.partition("_")
    probe = KNNProbe(int(golden["k_zeta"])) if kind == "knn" else LogisticProbe(float(l2))
    p = relabel(probe, golden["X"], golden["soft"], in_sample=True)
    result = disagreement_filter(golden["soft"], p, float(golden["contamination"]))
    expected = np.zeros(len(p), dtype=bool)
    expected[golden["knn_filter_kept" if kind == "knn" else f"logreg_filter_kept_{l2}"]] = True
    assert result.mask.sum() == expected.sum()
    # A mean of few hard labels ties; which of equally bad rows goes is each implementation's own affair.
    differing = result.mask != expected
    border = result.scores[result.mask].max()
    assert result.scores[differing] == pytest.approx(border, abs=1e-6)


@pytest.mark.parametrize(("contamination", "kept"), [(0.4, {0, 3, 5, 6, 7, 8}), (0.5, {0, 3, 5, 6, 7})])
def test_worked_example_with_soft_labels(contamination: float, kept: set[int]) -> None:
    result = topo_filter(EXAMPLE_A, SOFT_A, 2, 2, contamination)
    assert set(np.flatnonzero(result.mask).tolist()) == kept


def test_the_papers_form_drops_the_mislabelled_row() -> None:
    result = topo_filter(EXAMPLE_B, LABELS_B, 2, 3, connectivity="weak", zeta=0.5)
    assert result.removed.tolist() == [11]
    assert result.reasons[11] == "outside component"
    flipped = np.where(np.arange(12) == 2, 0, LABELS_B)
    majority = topo_filter(EXAMPLE_B, flipped, 6, 3, connectivity="weak", zeta=2)
    assert 2 in majority.removed


def test_zeta_keeps_rows_by_the_share_of_agreeing_neighbours() -> None:
    data = planted(n=200, noise=0.15)
    probe = TopoProbe(20, 9, "weak").fit(data.X, data.weak)
    share = (data.weak[probe.core_neighbors_] == data.weak[:, None]).mean(axis=1)
    for zeta in (0.0, 0.3, 0.5, 0.9):
        result = topo_filter(data.X, data.weak, 20, 9, connectivity="weak", zeta=zeta)
        assert np.array_equal(result.mask, probe.core_ & (share >= zeta))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60), st.floats(0, 0.99))
def test_a_disagreement_filter_removes_exactly_the_farthest(rows: list[tuple[float, float]], share: float) -> None:
    y, p = np.array([a for a, _ in rows]), np.array([b for _, b in rows])
    result = disagreement_filter(y, p, share)
    assert len(result.removed) == round(len(y) * share) == result.requested
    if result.mask.any() and len(result.removed):
        assert result.scores[result.mask].max() <= result.scores[result.removed].min()
    assert (result.reasons[result.mask] == "").all()
    assert (result.reasons[result.removed] == "disagreement").all()


@given(st.permutations(list(range(12))))
def test_the_mask_follows_the_rows_when_they_are_shuffled(order: list[int]) -> None:
    y, p = np.linspace(0, 1, 12), np.linspace(1, 0, 12) ** 2
    plain = disagreement_filter(y, p, 0.25).mask
    assert np.array_equal(disagreement_filter(y[order], p[order], 0.25).mask, plain[order])


def test_the_report_counts_with_truth_and_without() -> None:
    y, p, truth = np.array([1, 1, 0, 0.0]), np.array([0.1, 0.9, 0.2, 0.3]), np.array([0, 1, 0, 1.0])
    result = disagreement_filter(y, p, 0.25)
    assert result.removed.tolist() == [0]
    assert "precision" not in result.report()
    report = result.report(truth)
    assert report["base_rate"] == 0.5
    assert report["precision"] == 1
    assert report["recall"] == 0.5
    assert report["accuracy_after"] == pytest.approx(2 / 3)
    assert np.isnan(disagreement_filter(y, p, 0.0).report(truth)["precision"])


def test_filters_remove_more_wrong_labels_than_chance() -> None:
    data = planted(n=600, noise=0.2)
    p = relabel(KNNProbe(30), data.X, data.weak)
    report = disagreement_filter(data.weak, p, 0.2).report(data.truth)
    assert report["precision"] > 0.9 > 0.3 > report["base_rate"]
    topo = topo_filter(data.X, data.weak, 30, 30, 0.2).report(data.truth)
    assert topo["precision"] > 0.9


@pytest.mark.parametrize("contamination", [-0.1, 1.0, 2.0, float("nan")])
def test_a_contamination_outside_its_range_is_refused(contamination: float) -> None:
    with pytest.raises(InputError, match="must be in"):
        disagreement_filter([0, 1], [0, 1], contamination)


def test_scores_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(InputError, match="probe scores must be"):
        disagreement_filter([0, 1], [0, 1.5])
    with pytest.raises(InputError, match="2 labels but 3"):
        disagreement_filter([0, 1], [0, 1, 1])


PROBES: list[Any] = [KNNProbe(25), LogisticProbe(), TopoProbe(25, 25), LogisticRegression()]


@pytest.mark.parametrize("probe", PROBES, ids=repr)
def test_relabelling_corrects_labels_and_knows_nothing_of_pure_noise(probe: Any) -> None:
    data = planted(n=600, noise=0.2)
    assert auroc(data.truth, relabel(probe, data.X, data.weak)) > 0.97
    noise = planted(n=1000, d=40, noise=0.5, apart=0)
    assert abs(auroc(noise.weak, relabel(probe, noise.X, noise.weak)) - 0.5) < 0.06
    assert not hasattr(probe, "classes_")  # the probe that was passed is not changed
    leaky = auroc(noise.weak, relabel(probe, noise.X, noise.weak, in_sample=True))
    assert leaky > 0.55  # the control: in-sample, even noise is learned


def test_duplicates_and_groups_never_leak_across_folds() -> None:
    """Rows that come in pairs with one random label: whoever sees a twin knows the answer."""
    noise = planted(n=300, d=40, noise=0.5, apart=0)
    X, y = np.repeat(noise.X, 2, axis=0), np.repeat(noise.weak, 2)
    assert abs(auroc(y, relabel(LogisticProbe(1e-4), X, y)) - 0.5) < 0.1
    almost = X + np.random.default_rng(0).normal(scale=1e-3, size=X.shape).astype(np.float32)
    leaky = relabel(KNNProbe(1), almost, y)
    assert auroc(y, leaky) == 1  # the control: near-duplicates are not equal, so their twins are seen
    grouped = relabel(KNNProbe(1), almost, y, groups=np.repeat(np.arange(300), 2))
    assert abs(auroc(y, grouped) - 0.5) < 0.1


@pytest.mark.parametrize("probe", [SVC(), LinearRegression(), KNNProbe, None, MultinomialNB()], ids=str)
def test_what_cannot_judge_is_refused_in_one_line(probe: Any) -> None:
    data = planted()
    with pytest.raises(InputError, match=r"no classifier that gives probabilities|cannot judge these activations") as e:
        relabel(probe, data.X, data.weak)
    assert "\n" not in str(e.value)


def test_cross_fitting_scores_each_row_by_others() -> None:
    data = planted(n=100)
    mean = cross_fitted(DummyClassifier(), data.X, data.weak, folds=5)
    fold_means = sorted({round(float(m), 6) for m in mean})
    assert 1 <= len(fold_means) <= 5
    assert mean.mean() == pytest.approx(data.weak.mean(), abs=0.02)


def test_too_few_rows_for_the_folds_are_refused() -> None:
    with pytest.raises(InputError, match="5 folds need at least 5 groups of distinct rows in each class, got 2"):
        relabel(LogisticProbe(), np.random.default_rng(0).normal(size=(10, 2)), [1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    with pytest.raises(InputError, match=r"groups have shape \(2,\) but there are 300 rows"):
        relabel(LogisticProbe(), planted().X, planted().weak, groups=[0, 1])
