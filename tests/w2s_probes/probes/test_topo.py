"""TopoCC and TopoFilter against a dense reference, their nesting, caps and budgets, and one graph for all."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import planted
from tests.w2s_probes.probes.test_interface import EXAMPLE_A, EXAMPLE_B, LABELS_A, LABELS_B
from tests.worlds import dense
from w2s_probes import TOPO_MODES, InputError, KNNProbe, TopoProbe, relabel, topo_cc, topo_filter
from w2s_probes.neighbors import search
from w2s_probes.rows.groups import group_ids

CONNECTIVITIES = ("weak", "strong", "mutual")
Connected = st.sampled_from(CONNECTIVITIES)


@pytest.mark.parametrize(
    ("X", "y", "connectivity", "kept"),
    [
        (EXAMPLE_A, LABELS_A, "weak", {0, 2, 3, 5, 6, 7, 8, 9}),
        (EXAMPLE_A, LABELS_A, "strong", {0, 3, 5, 6, 7, 8, 9}),
        (EXAMPLE_A, LABELS_A, "mutual", {0, 3, 5, 6, 7, 8}),
        (EXAMPLE_B, LABELS_B, "weak", set(range(11))),
        (EXAMPLE_B, LABELS_B, "strong", {0, 1, 2, 3, 4, 7, 8, 9}),
    ],
)
def test_worked_examples_of_topo_cc(X: Any, y: Any, connectivity: Any, kept: set[int]) -> None:
    assert set(np.flatnonzero(topo_cc(X, y, 2, connectivity)).tolist()) == kept


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
def test_masks_equal_a_dense_reference_on_many_random_cases(connectivity: Any) -> None:
    """150 cases a connectivity: rows, widths, class shares, soft and hard labels, either form of the second step."""
    judged = 0
    for case in range(150):
        rng = np.random.default_rng(case)
        n, d = int(rng.integers(12, 120)), int(rng.integers(1, 12))
        y = rng.random(n) if case % 3 else (rng.random(n) < 0.4).astype(float)
        y[:2] = 0, 1
        X = rng.normal(size=(n, d)).astype(np.float32) + np.float32(rng.uniform(0, 3)) * (y > 0.5)[:, None]
        k_cc, k_zeta = int(rng.integers(1, 9)), int(rng.integers(1, 9))
        contamination, zeta = float(rng.uniform(0, 0.6)), (None, 0.5, 0.8, 2.0)[case % 4]
        order, positive = dense.neighbour_order(X), y > 0.5
        inside = dense.core(order, positive, k_cc, connectivity)
        assert np.array_equal(topo_cc(X, y, k_cc, connectivity), inside), case
        if inside.sum() <= k_zeta:
            with pytest.raises(InputError, match="rows in the components"):
                topo_filter(X, y, k_cc, k_zeta, contamination, connectivity, zeta)
            continue
        expected = dense.filtered(X, y, k_cc, k_zeta, contamination, connectivity, zeta)
        assert np.array_equal(topo_filter(X, y, k_cc, k_zeta, contamination, connectivity, zeta).mask, expected), case
        judged += 1
    assert judged > 60


@given(st.integers(0, 10**6), st.integers(6, 60), st.integers(1, 6))
def test_components_nest_mutual_in_strong_in_weak(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    X, positive = rng.normal(size=(n, 2)).astype(np.float32), rng.random(n) < 0.5
    positive[:2] = True, False
    order = dense.neighbour_order(X)
    mutual, strong, weak = (dense.together(order, positive, min(k, n - 1), c) for c in ("mutual", "strong", "weak"))
    assert (mutual <= strong).all()
    assert (strong <= weak).all()
    # Ours are the largest of these components: each is one of the reference's, so they nest likewise.
    for connectivity, same in (("mutual", mutual), ("strong", strong), ("weak", weak)):
        kept = topo_cc(X, positive.astype(float), min(k, n - 1), connectivity)  # type: ignore[arg-type]
        for side in (False, True):
            rows = np.flatnonzero(kept & (positive == side))
            assert same[np.ix_(rows, rows)].all()
            assert not same[np.ix_(rows, np.flatnonzero(~kept))].any()


def test_one_graph_serves_knn_at_every_k_and_both_steps_of_topo() -> None:
    data = planted(n=400, noise=0.2)
    ids = group_ids(data.X)
    graph = search(data.X, TopoProbe(20, 30).graph_k, group_ids=ids)
    shared = topo_filter(data.X, data.weak, 20, 30, 0.2, graph=graph)
    alone = topo_filter(data.X, data.weak, 20, 30, 0.2)
    assert np.array_equal(shared.mask, alone.mask)
    assert shared.scores == pytest.approx(alone.scores)
    ks = [1, 5, 10, 30]
    path = KNNProbe.path(data.X, data.weak, k=ks, graph=graph)
    for k, scores, loss in zip(ks, path.out_of_sample, path.loss, strict=True):
        assert scores == pytest.approx(relabel(KNNProbe(k), data.X, data.weak))
        assert loss == pytest.approx(((scores - data.weak) ** 2).mean())
    assert path.best == ks[int(np.argmin(path.loss))]
    assert "best" in repr(path)
    with pytest.raises(InputError, match="k=70, but the graph given has"):
        KNNProbe(70).fit(data.X, data.weak, graph=graph)
    with pytest.raises(InputError, match="the graph given is of 400 rows, the activations have 300"):
        KNNProbe(6).fit(data.X[:300], data.weak[:300], graph=graph)


def test_a_narrow_graph_gives_the_same_scores_after_a_second_search() -> None:
    data = planted(n=300, noise=0.3, d=40)
    narrow = search(data.X, 3, group_ids=group_ids(data.X))
    probe = TopoProbe(3, 40).fit(data.X, data.weak, group_ids=group_ids(data.X), graph=narrow)
    assert not probe.core_.all()
    order = dense.neighbour_order(data.X)
    near = np.stack([row[probe.core_[row]][:40] for row in order])
    assert np.array_equal(probe.core_neighbors_, near)


def overshooting() -> Any:
    """Rows of which the strong components drop far more than a tenth."""
    data = planted(n=500, d=60, noise=0.2)
    return data, topo_filter(data.X, data.weak, 5, 10, 0.1)


def test_a_cap_takes_the_rows_farthest_from_agreement_first() -> None:
    data, plain = overshooting()
    assert plain.overshoot > 50
    assert plain.report()["overshoot"] == plain.overshoot
    outside = plain.reasons == "outside component"
    for share in (0.0, 0.04, 0.1, 0.2):
        capped = topo_filter(data.X, data.weak, 5, 10, 0.1, max_removed=share)
        first = capped.reasons == "outside component"
        assert first.sum() == round(500 * share)
        assert (first <= outside).all()
        if first.any():
            assert capped.scores[first].min() >= capped.scores[outside & ~first].max()
        assert len(capped.removed) == max(50, round(500 * share))
        assert capped.overshoot == max(0, round(500 * share) - 50)
    assert np.array_equal(topo_filter(data.X, data.weak, 5, 10, 0.1, max_removed=1.0).mask, plain.mask)


@pytest.mark.parametrize("max_removed", [None, 0.05])
def test_budgets_by_class_keep_the_class_mix(max_removed: float | None) -> None:
    data = planted(n=500, d=60, noise=0.2)
    weak = np.where(np.arange(500) % 10 < 7, np.minimum(data.weak, 0.3), data.weak)  # a fifth or so is positive
    before = (weak > 0.5).mean()
    free = topo_filter(data.X, weak, 30, 10, 0.3, "weak", max_removed=max_removed).report()["positive_after"]
    bound = topo_filter(data.X, weak, 30, 10, 0.3, "weak", max_removed=max_removed, per_class=True)
    assert abs(bound.report()["positive_after"] - before) < 0.005 < abs(free - before)
    assert abs(len(bound.removed) - 150) <= 1


def test_both_published_forms_have_a_name() -> None:
    data = planted(n=300, noise=0.2)
    paper = topo_filter(data.X, data.weak, **TOPO_MODES["paper"])
    assert np.array_equal(paper.mask, dense.filtered(data.X, data.weak, 4, 32, 0, "weak", 0.5))
    eleuther = topo_filter(data.X, data.weak, contamination=0.25, **TOPO_MODES["eleuther"])
    assert np.array_equal(eleuther.mask, dense.filtered(data.X, data.weak, 50, 50, 0.25, "strong", None))


def test_twins_do_not_vouch_for_each_other_unless_asked_to() -> None:
    data = planted(n=200, noise=0.5, apart=0, d=20)
    X, y = np.repeat(data.X, 2, axis=0), np.repeat(data.weak, 2)
    out, published = topo_filter(X, y, 8, 1, 0.2, "weak"), topo_filter(X, y, 8, 1, 0.2, "weak", in_sample=True)
    assert (published.scores == 0).mean() > 0.9  # the twin has the same label
    assert (out.scores == 0).mean() < 0.65
    assert published.in_sample
    assert "in-sample" in repr(published)
    assert not out.in_sample
    group = np.arange(400) // 4
    apart = topo_filter(X, y, 8, 5, 0.2, "weak", groups=group)
    probe = TopoProbe(8, 5, "weak").fit(X, y, group_ids=group_ids(X, group))
    assert not (group[probe.core_neighbors_] == group[:, None]).any()
    assert apart.p == pytest.approx(probe.core_scores_)


def test_a_fold_whose_others_keep_too_few_rows_is_refused_as_a_fit_is() -> None:
    """All 40 rows are one component; of those outside a fold some 32 are left."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)).astype(np.float32), np.arange(40) % 2
    probe = TopoProbe(30, 35, "weak").fit(X, y)
    assert probe.core_scores_.shape == (40,)
    with pytest.raises(InputError, match=r"k_zeta=35 needs at least 36 rows .* kept 32 of 32: lower k_zeta"):
        _ = probe.out_of_sample_
