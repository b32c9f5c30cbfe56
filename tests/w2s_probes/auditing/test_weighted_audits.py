"""Audits by known probabilities: intervals that cover the planted share, estimates that a plain count has not."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.w2s_probes.noise.test_model import Rows, flipped, misled
from w2s_probes import InputError, noise_model
from w2s_probes.auditing.designs import DrawnBy, draw_rows
from w2s_probes.metrics.audit_design import AuditDesign
from w2s_probes.noise.weighted_joint import weighted_joint

AUDITS, N, DRAWN = 300, 600, 100
OFF, WEAK_0 = ~np.eye(2, dtype=bool), np.array([[True, True], [False, False]])  # entries [weak class, true class]
WORLDS: dict[str, Callable[[np.random.Generator], Rows]] = {
    "flipped": lambda rng: flipped(rng, N, 2, 0.1, 0.3),
    # The probe has learned the supervisor's mistakes, and sees none of them.
    "misled": lambda rng: misled(rng, N, 2, 1),
}


@cache
def simulated(by: DrawnBy, world: str) -> dict[str, Any]:
    """Estimates, with their intervals, of many audits of one planted label set."""
    truth, weak, p = WORLDS[world](np.random.default_rng(1))
    positive = weak > 0.5
    wrong = positive != truth
    f = None if by == "uniform" else np.where(positive, 1 - p, p)
    planted = {
        "powered": wrong.mean(),
        "hajek": wrong.mean(),
        "weights": wrong.mean(),
        "wrong given weak 0": wrong[~positive].mean(),
        "wrong given true 1": wrong[truth].mean(),
    }
    found: dict[str, list[Any]] = {name: [] for name in (*planted, "naive")}
    for seed in range(AUDITS):
        drawn = draw_rows(by, positive, DRAWN, f=f, seed=seed)
        design = AuditDesign.of(drawn.inclusion[drawn.rows], drawn.strata[drawn.rows])
        seen = np.isin(np.arange(N), drawn.rows)  # what `noise_model` does with them, without its tables
        joint = weighted_joint(positive, p, seen, seen & wrong, design.ordered(np.argsort(drawn.rows)))
        found["powered"].append(joint.ratio(OFF, np.ones((2, 2), dtype=bool)))
        found["hajek"].append(design.share_of(wrong[drawn.rows]))
        found["weights"].append(design.of_all(wrong[drawn.rows], N))
        found["wrong given weak 0"].append(joint.ratio(OFF & WEAK_0, WEAK_0))
        found["wrong given true 1"].append(joint.ratio(OFF & WEAK_0, WEAK_0[::-1].T))
        found["naive"].append(wrong[drawn.rows].mean())
    return {"planted": planted, "found": found}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("by", ["uniform", "stratified", "disagreement"])
def test_intervals_cover_the_planted_shares(by: DrawnBy, world: str) -> None:
    one = simulated(by, world)
    for name, planted in one["planted"].items():
        covered = np.mean([e.low <= planted <= e.high for e in one["found"][name]])
        assert covered >= 0.92, (name, covered)


@pytest.mark.parametrize("by", ["uniform", "stratified", "disagreement"])
def test_weights_take_away_the_bias_that_a_count_has(by: DrawnBy) -> None:
    one = simulated(by, "flipped")
    rate = one["planted"]["weights"]
    for name in ("weights", "hajek", "powered"):
        values = np.array([e.value for e in one["found"][name]])
        assert abs(values.mean() - rate) < 4 * values.std() / np.sqrt(AUDITS), name
    naive = np.array(one["found"]["naive"]) - rate
    error = naive.std() / np.sqrt(AUDITS)
    if by == "uniform":
        assert abs(naive.mean()) < 4 * error
    else:  # rows that the probe doubts are drawn more often, and more of them are wrong
        assert naive.mean() > max(0.03, 10 * error)


def test_the_claimed_errors_are_those_of_the_draws() -> None:
    for by in ("uniform", "stratified", "disagreement"):
        estimates = simulated(by, "flipped")["found"]["hajek"]
        claimed = np.sqrt(np.mean([e.error**2 for e in estimates]))
        assert claimed == pytest.approx(np.std([e.value for e in estimates]), rel=0.12)


def test_a_design_of_equal_probabilities_is_the_count_of_each_class_by_its_size() -> None:
    truth, weak, _ = flipped(np.random.default_rng(2), 300, 2, 0.1, 0.3)
    positive, rows = weak > 0.5, np.random.default_rng(0).permutation(300)[:80]
    wrong = positive != truth
    model = noise_model(
        weak, np.full(300, 0.5), audited=(rows, truth[rows]), design=AuditDesign.of(np.full(80, 80 / 300))
    )
    by_class = sum(wrong[rows][positive[rows] == side].mean() * (positive == side).mean() for side in (False, True))
    assert model.noise.value == pytest.approx(by_class)
    # The order of the rows is the caller's: a mask and indices say the same.
    turned = np.sort(rows)
    again = noise_model(
        weak,
        np.full(300, 0.5),
        audited=(np.isin(np.arange(300), rows), truth[turned]),
        design=AuditDesign.of(np.full(80, 80 / 300)),
    )
    assert again.to_frame().equals(model.to_frame())


def test_probabilities_follow_their_rows_whatever_the_order() -> None:
    truth, weak, p = flipped(np.random.default_rng(3), 300, 2, 0.1, 0.3)
    drawn = draw_rows("disagreement", weak > 0.5, 80, f=np.where(weak > 0.5, 1 - p, p))
    design = AuditDesign.of(drawn.inclusion[drawn.rows], drawn.strata[drawn.rows])
    model = noise_model(weak, p, audited=(drawn.rows, truth[drawn.rows]), design=design)
    order = np.argsort(drawn.rows)
    rows = drawn.rows[order]
    sorted_model = noise_model(weak, p, audited=(rows, truth[rows]), design=design.ordered(order))
    assert sorted_model.noise.value == pytest.approx(model.noise.value, abs=1e-12)


def test_an_audit_of_every_row_has_no_error_of_sampling() -> None:
    truth, weak, p = flipped(np.random.default_rng(4), 120, 2, 0.1, 0.3)
    wrong = (weak > 0.5) != truth
    design = AuditDesign.of(np.ones(120))
    noise = noise_model(weak, p, audited=(np.arange(120), truth), design=design).noise
    for estimate in (noise, design.share_of(wrong), design.of_all(wrong, 120)):
        assert (estimate.low, estimate.value, estimate.high) == pytest.approx([wrong.mean()] * 3)


def test_designs_that_are_none_are_refused() -> None:
    truth, weak, p = flipped(np.random.default_rng(5), 120, 2, 0.1, 0.3)
    rows = np.arange(40)
    for inclusion, strata, message in (
        (np.zeros(40), None, "above 0 and at most 1"),
        (np.full(40, np.nan), None, "above 0 and at most 1"),
        (np.full(40, 0.5), np.arange(39), "one a row each"),
        (np.full(40, 0.5), np.r_[np.zeros(39), 1], "a single row that was drawn by chance"),
    ):
        with pytest.raises(InputError, match=message):
            AuditDesign.of(inclusion, strata)
    with pytest.raises(InputError, match="the design is of 39 rows but 40 are audited"):
        noise_model(weak, p, audited=(rows, truth[rows]), design=AuditDesign.of(np.full(39, 0.5)))
    with pytest.raises(InputError, match="none is audited"):
        noise_model(weak, p, design=AuditDesign.of(np.full(39, 0.5)))
