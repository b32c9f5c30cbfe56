"""The graph probe beside the dense inverse, a graph solved by hand, and labels that must not come back."""

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from tests.conftest import planted
from w2s_probes import InputError, auroc, load_probe, relabel, save_probe
from w2s_probes.neighbors import search
from w2s_probes.probes import PROBES, GraphProbe
from w2s_probes.probes.graph_smoothing import FOLDS, out_of_fold, spread

RNG = np.random.default_rng(0)


def dense(neighbors: np.ndarray, y: np.ndarray, known: np.ndarray, alpha: float) -> np.ndarray:
    """F1 / (F0 + F1) of Zhou et al. by a dense inverse, with no label where it is not known."""
    n = len(y)
    W = np.zeros((n, n))
    for row, near in enumerate(neighbors):
        for other in near:
            W[row, other] = W[other, row] = 1
    S = W / np.sqrt(np.outer(W.sum(axis=1), W.sum(axis=1)))
    F = (1 - alpha) * np.linalg.inv(np.eye(n) - alpha * S) @ (np.column_stack([1 - y, y]) * known[:, None])
    return np.asarray(F[:, 1] / F.sum(axis=1))


@pytest.mark.parametrize(("k", "alpha"), [(1, 0.5), (7, 0.9), (7, 0.99), (40, 0.999), (3, 0.01), (3, 1e-4), (9, 1e-8)])
def test_scores_are_those_of_the_dense_inverse(k: int, alpha: float) -> None:
    X, y = RNG.normal(size=(150, 4)).astype(np.float32), expit(RNG.normal(size=150))
    probe = GraphProbe(k, alpha).fit(X, y)
    neighbors = probe.graph_.indices
    assert probe.smoothed_ == pytest.approx(dense(neighbors, y, np.ones(150), alpha), abs=1e-8)
    known = RNG.random((150, 3)) < 0.8
    if k > 1:  # at k = 1 a part of the graph may have no known label
        found = spread(neighbors, y, known, alpha)
        assert found == pytest.approx(np.column_stack([dense(neighbors, y, one, alpha) for one in known.T]), abs=1e-8)


def test_two_rows_by_hand() -> None:
    """S exchanges the rows, (I - S/2)^-1 is [[4, 2], [2, 4]] / 3: a row hears itself twice as loud as the other."""
    probe = GraphProbe(1, 0.5).fit([[0.0], [1.0]], [0.0, 0.9])
    assert probe.smoothed_ == pytest.approx([0.3, 0.6], abs=1e-9)
    only = spread(np.array([[1], [0]]), np.array([0.2, 0.9]), np.array([[True], [False]]), 0.5)
    assert only[:, 0] == pytest.approx([0.2, 0.2])


def test_rows_that_no_label_reaches_have_the_mean_of_the_known_ones() -> None:
    neighbors = np.array([[1], [0], [3], [2]])
    known = np.array([[True, False], [True, False], [False, False], [False, False]])
    found = spread(neighbors, np.array([0.2, 0.6, 1.0, 1.0]), known, 0.9)
    assert found[2:, 0] == pytest.approx([0.4, 0.4])
    assert found[:, 1].tolist() == [0.5] * 4


def test_no_label_of_a_row_or_its_kin_comes_back_to_it() -> None:
    X, y = RNG.normal(size=(120, 3)).astype(np.float32), RNG.uniform(0.6, 1, size=120) * (np.arange(120) % 3 > 0)
    groups = np.arange(120) // 6  # both classes in each
    X[1], X[7] = X[0], X[0]  # duplicates join the groups of rows 0 and 7
    before = relabel(GraphProbe(5), X, y, groups=groups)
    changed = y.copy()
    kin = (groups == 0) | (groups == 1)
    changed[kin] = np.where(y[kin] > 0, 1.0, 0.05)
    after = relabel(GraphProbe(5), X, changed, groups=groups)
    assert before[kin] == pytest.approx(after[kin], abs=1e-9)
    assert np.abs(before - after)[~kin].max() > 0.01


def test_scores_of_noise_do_not_lean_to_the_labels_or_against_them() -> None:
    found = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(300, 20)).astype(np.float32), (rng.random(300) < 0.5) * 1.0
        found.append(auroc(y, GraphProbe().fit(X, y).out_of_sample_))
    assert np.mean(found) == pytest.approx(0.5, abs=0.025)


def test_it_learns_through_noise_is_saved_and_scores_new_rows_from_a_search(tmp_path) -> None:  # type: ignore[no-untyped-def]
    train, new = planted(n=300, noise=0.3), planted(n=100, seed=2)
    probe = PROBES["graph"].make(20, alpha=0.8).fit(train.X, train.weak)
    assert (probe.k, probe.alpha) == (20, 0.8)
    assert auroc(train.truth, probe.out_of_sample_) > auroc(train.truth, train.weak) + 0.1
    p = probe.predict_proba(new.X)[:, 1]
    assert auroc(new.truth, p) > 0.9
    assert np.array_equal(probe.score_near(new.X, search(probe.X_, 30, new.X)), p)
    save_probe(probe, tmp_path / "graph.safetensors")
    assert np.array_equal(load_probe(tmp_path / "graph.safetensors").predict_proba(new.X)[:, 1], p)


def test_fewer_groups_than_folds_still_hide_each_group() -> None:
    neighbors, ids = np.array([[3], [4], [5], [0], [1], [2]]), np.array([0, 0, 0, 1, 1, 1])
    assert len(np.unique(ids)) < FOLDS
    found = out_of_fold(neighbors, np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9]), ids, 0.9)
    assert found == pytest.approx([0.7, 0.8, 0.9, 0.1, 0.2, 0.3])


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, float("nan"), "much", None])
def test_an_alpha_outside_of_0_and_1_is_refused(alpha: Any) -> None:
    with pytest.raises(InputError, match="must be between 0 and 1"):
        GraphProbe(1, alpha).fit([[0.0], [1.0], [2.0]], [0, 1, 1])


def test_more_neighbours_than_rows_are_refused() -> None:
    with pytest.raises(InputError, match="k=3 needs at least 4 rows"):
        GraphProbe(3).fit([[0.0], [1.0], [2.0]], [0, 1, 1])
