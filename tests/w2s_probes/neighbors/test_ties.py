"""Equal disagreement is equal: rounding parts no two rows, and no verdict knows which class is called 1."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import rankdata

from tests.conftest import planted
from w2s_probes import KNNProbe, accuracy, disagreement_filter, probe_filter, relabel, report_card, topo_filter
from w2s_probes.filtering.disagreement import verdict
from w2s_probes.filtering.matched_controls import chosen_by_row_order, least_confident
from w2s_probes.filtering.shares import share_of
from w2s_probes.neighbors import mean_over, search
from w2s_probes.ties import above_half, levels

VOTES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=60)
SHARES = st.sampled_from([0.05, 0.1, 0.25, 0.3, 0.5, 0.7])


@given(VOTES, st.integers(1, 30), SHARES, st.booleans(), st.booleans())
def test_a_filter_decides_as_on_whole_numbers_of_votes_and_alike_for_both_classes(
    votes: list[tuple[int, int]], k: int, share: float, per_class: bool, tenths: bool
) -> None:
    counts = np.minimum(np.array(votes), k)
    y, p = counts[:, 0] / k, counts[:, 1] / k
    y[0], y[1] = 0, 1
    counts[:2, 0] = 0, k
    y = np.where(y == 0.5, 1, y)  # ½ is of class 0 under both names: not what this is about
    counts[:, 0] = np.where(2 * counts[:, 0] == k, k, counts[:, 0])
    core = counts[:, 1] % 3 > 0
    cap = 0.2 if tenths else None
    found = verdict(y, p, share, core, max_removed=cap, per_class=per_class)
    swapped = verdict(1 - y, 1 - p, share, core, max_removed=cap, per_class=per_class)
    exact = verdict(counts[:, 0] * 1.0, counts[:, 1] * 1.0, share, core, max_removed=cap)
    assert np.array_equal(found.mask, swapped.mask)
    assert np.array_equal(found.reasons, swapped.reasons)
    if not per_class:
        assert np.array_equal(found.mask, exact.mask)
    whole = np.abs(counts[:, 0] - counts[:, 1])
    assert np.array_equal(levels(found.scores), rankdata(whole, method="dense") - 1)


@pytest.mark.parametrize("soft", [(0.0, 1.0), (0.1, 0.9), (0.3, 0.7)])
@pytest.mark.parametrize("k", [5, 10, 15, 30])
def test_swapping_the_classes_changes_no_verdict_of_probes(soft: tuple[float, float], k: int) -> None:
    data = planted(n=400, noise=0.25, apart=1.5)
    y = np.where(data.weak > 0.5, soft[1], soft[0])
    other = np.where(data.weak > 0.5, soft[0], soft[1])
    for one, two in (
        (probe_filter(KNNProbe(k), data.X, labels, 0.2) for labels in (y, other)),
        (topo_filter(data.X, labels, k, k, 0.3, "weak", max_removed=0.1) for labels in (y, other)),
        (topo_filter(data.X, labels, k, k, zeta=0.4) for labels in (y, other)),
    ):
        assert np.array_equal(one.mask, two.mask)
        assert np.array_equal(one.reasons, two.reasons)
    removed = y[probe_filter(KNNProbe(k), data.X, y, 0.2).removed] > 0.5
    assert 0.3 < removed.mean() < 0.7


def test_a_mean_over_neighbours_does_not_know_their_order_and_is_the_same_everywhere() -> None:
    rng = np.random.default_rng(0)
    X, p = rng.normal(size=(300, 4)).astype(np.float32), rng.choice([0.1, 0.3, 0.7, 0.9], size=300)
    graph = search(X, 40)
    shuffled = rng.permuted(graph.indices, axis=1)
    assert np.array_equal(mean_over(p, graph.indices), mean_over(p, shuffled))
    assert np.array_equal(graph.means(p, [7, 40])[1], mean_over(p, graph.indices))
    assert np.array_equal(graph.means(p, [7, 40])[0], mean_over(p, graph.indices[:, :7]))
    assert mean_over(p, graph.indices) == pytest.approx(p[graph.indices].mean(axis=1), abs=1e-15)
    assert (p[graph.indices].mean(axis=1) != p[shuffled].mean(axis=1)).any()  # the control: sums of floats do
    far = 1e6 * rng.normal(size=300)
    assert mean_over(far, graph.indices) == pytest.approx(far[graph.indices].mean(axis=1), abs=1e-8)


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=50), st.floats(-9e-14, 9e-14), st.integers(0, 10**6))
def test_levels_are_dense_ranks_of_numbers_that_rounding_has_moved(values: list[int], noise: float, seed: int) -> None:
    moved = np.array(values) / 7 + noise * np.random.default_rng(seed).uniform(-1, 1, size=len(values))
    assert np.array_equal(levels(moved), rankdata(values, method="dense") - 1)


def test_levels_of_nothing_of_nan_and_of_infinities() -> None:
    assert levels([]).tolist() == []
    assert levels([np.nan, 1, np.inf, np.nan]).tolist() == [2, 0, 1, 3]


def test_one_half_but_for_rounding_is_class_0_wherever_classes_are_told() -> None:
    half = np.array([0.1 + 0.4, 0.3 + 0.2, 0.5 + 2e-16, 0.5 - 2e-16, 0.7 - 0.2])
    assert not above_half(half).any()
    assert above_half(half + 1e-9).all()
    assert accuracy([0, 1, 0], [0.5 + 2e-16, 0.9, 0.1]) == 1
    result = disagreement_filter(np.append(half, [1, 0]), np.zeros(7), 0.5)
    assert result.report()["positive_before"] == pytest.approx(1 / 7)


def test_equal_confidence_is_equal_too() -> None:
    labels = np.array([0.3, 1 - 0.7, 0.1, 0.2 + 0.1, 0.0])
    gone = np.arange(5) >= 3
    chosen = least_confident(labels, gone)
    assert chosen.tolist() == [True, True, False, False, False]
    assert chosen_by_row_order(labels, chosen) == 2


@pytest.mark.parametrize(
    ("rows", "share", "count"), [(100, 0.575, 58), (100, 0.565, 56), (1000, 0.1, 100), (7, 0.5, 4)]
)
def test_a_share_of_rows_is_that_of_the_number_as_written(rows: int, share: float, count: int) -> None:
    assert share_of(rows, share) == count


def test_a_report_card_of_swapped_classes_is_the_same() -> None:
    data = planted(n=600, noise=0.25, apart=1.5)

    def card(labels: NDArray[Any], truth: NDArray[Any]) -> Any:
        p = relabel(KNNProbe(15), data.X, labels)
        return report_card(disagreement_filter(labels, p, 0.2), truth, draws=50)

    one, two = card(data.weak, data.truth), card(1 - data.weak, 1 - data.truth)
    assert one.filter.precision == two.filter.precision
    assert one.filter.recall == two.filter.recall
    assert one.found_by_filter > 0
