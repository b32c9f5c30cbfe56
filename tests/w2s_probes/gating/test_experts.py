"""Gated experts in the planted world: what training adds to the heads that they start from, and when it stops."""

from typing import Any

import numpy as np
import pytest

from tests.worlds.gated import gated_world
from w2s_probes import InputError, LabelSet, LogisticProbe, auroc
from w2s_probes.gating import GatedExperts, LinearHead

WORLD = gated_world(0, corner=True, trusted=400)
HELD = np.arange(400) >= 320


def head(probe: LogisticProbe) -> LinearHead:
    return LinearHead(np.asarray(probe.coef_, dtype=np.float64).ravel(), float(np.ravel(probe.intercept_)[0]))


STARTS = {"weak": head(WORLD.supervisor), "strong": head(WORLD.student)}


def trained(*, truth: Any = None, **settings: Any) -> GatedExperts:
    rows = WORLD.trusted
    return GatedExperts(**settings).fit(rows.weak, rows.strong, rows.truth if truth is None else truth, HELD, **STARTS)


@pytest.mark.parametrize("joint", [False, True])
def test_trained_experts_rank_better_than_either_start(joint: bool) -> None:
    experts = trained(joint=joint)
    mixed = experts.mix(WORLD.test.weak, WORLD.test.strong)
    found = WORLD.auroc(mixed.p)
    assert found > max(WORLD.auroc(WORLD.weak(WORLD.test)), WORLD.auroc(WORLD.strong(WORLD.test))) + 0.01
    again = trained(joint=joint).mix(WORLD.test.weak, WORLD.test.strong)
    assert np.array_equal(again.p, mixed.p)
    inside = WORLD.test.weak[:, 2] > 0
    assert mixed.confidence[inside].mean() > mixed.confidence[~inside].mean() + 0.1  # where the student sees nothing


@pytest.mark.parametrize("joint", [False, True])
def test_truth_that_says_nothing_teaches_nothing(joint: bool) -> None:
    """Labels by lot: the rows that stop training keep the experts near their starts."""
    lot = np.random.default_rng(0).integers(0, 2, 400).astype(float)
    experts = trained(truth=lot, joint=joint)
    by_truth = WORLD.auroc(trained(joint=joint).mix(WORLD.test.weak, WORLD.test.strong).p)
    assert WORLD.auroc(experts.mix(WORLD.test.weak, WORLD.test.strong).p) < by_truth


def test_the_start_stays_where_nothing_can_be_gained() -> None:
    """A penalty without end: both experts are their starts, and the gate alone is learned."""
    experts = trained(l2=1e9)
    mixed = experts.mix(WORLD.test.weak, WORLD.test.strong)
    assert auroc(WORLD.test.truth, mixed.weak) == pytest.approx(WORLD.auroc(WORLD.weak(WORLD.test)), abs=1e-3)
    assert auroc(WORLD.test.truth, mixed.strong) == pytest.approx(WORLD.auroc(WORLD.strong(WORLD.test)), abs=1e-3)
    assert experts.gate_coef_.shape == (3,)


def test_bad_input_is_named() -> None:
    rows = WORLD.trusted

    def fit(n: int, truth: Any, held: Any) -> None:
        GatedExperts().fit(rows.weak[:n], rows.strong[:n], truth, held, **STARTS)

    for wanted, n, truth, held in (
        ("99 rows with true labels: gated experts learn from 100", 99, rows.truth[:99], HELD[:99]),
        ("rows of both classes", 400, np.ones(400), HELD),
        ("stopped by rows that are held out", 400, rows.truth, np.zeros(400, dtype=bool)),
        ("one of each a row is needed", 400, rows.truth[:5], HELD),
    ):
        with pytest.raises(InputError, match=wanted):
            fit(n, truth, held)
    narrow = {"weak": LinearHead(np.ones(2)), "strong": STARTS["strong"]}
    with pytest.raises(
        InputError, match=r"rows of the weak model have the shape \(400, \d+\) .* weights \(2,\): .* width"
    ):
        GatedExperts().fit(rows.weak, rows.strong, rows.truth, HELD, **narrow)
    with pytest.raises(InputError, match=r"one number in \[0, 1\] a row"):
        fit(400, 3 * rows.truth, HELD)
    with pytest.raises(InputError, match="true or false"):
        fit(400, rows.truth, HELD.astype(int))
    with pytest.raises(InputError, match="true labels must be an array of numbers"):
        fit(400, ["a"] * 400, HELD)
    with pytest.raises(InputError, match="learned nothing yet"):
        GatedExperts().mix(rows.weak, rows.strong)
    ids = np.array([f"r{i}" for i in range(400)], dtype=object)
    with pytest.raises(InputError, match=r"experts needs true labels: .* role weak .* the mixture copi"):
        fit(400, LabelSet(ids, rows.truth, "weak"), HELD)
    fit(400, LabelSet(ids, rows.truth, "truth"), HELD)
    with pytest.raises(InputError, match="l2 above 0"):
        GatedExperts(l2=0)
