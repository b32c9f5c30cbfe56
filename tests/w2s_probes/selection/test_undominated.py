"""Margins, the undominated set and the greedy path: exact values, a linear program's dual, properties, noise."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog

from w2s_probes.errors import InputError
from w2s_probes.selection import discover, margin, margins, paired_errors, pareto, undominated

A, B, C, D, E, F = range(6)
J = np.array(
    [(0.9, 0.6, 0.7), (0.7, 0.8, 0.72), (0.79, 0.69, 0.69), (0.8, 0.7, 0.71), (0.6, 0.62, 0.85), (0.58, 0.6, 0.8)]
)
SEEDS = st.integers(0, 10_000)
few = settings(max_examples=12)  # a linear program takes a millisecond


def table(seed: int, students: int = 6, families: int = 4) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0.5, 1, size=(students, families))


def test_margins_and_attacks_of_six_students_by_hand() -> None:
    found = undominated(J, 0)
    assert found.margins == pytest.approx([0.1, 0.1, -0.01, 0, 0.05, -0.035328], abs=1e-6)
    assert found.kept == [A, B, E], "D is half A and half B: dominated by a mixture, not by a student"
    assert np.flatnonzero(pareto(J)).tolist() == [A, B, D, E]
    assert found.attacks[[A, B, E]].tolist() == np.eye(3).tolist()
    assert np.isnan(found.errors).all()
    value, attack = margin(J, A)
    assert value == pytest.approx(0.1)
    assert attack.tolist() == [1, 0, 0]
    assert margin(J, D, [A, B])[0] == pytest.approx(0, abs=1e-12)
    assert margin(J, D, [A])[0] == pytest.approx(0.1)
    assert found.rivals[D] == pytest.approx([0.5, 0.5, 0, 0, 0, 0])


def test_the_greedy_path_by_hand() -> None:
    path = discover(J, 0)
    assert path.order == [B, A, E]
    assert path.gains[1:] == pytest.approx([0.2, 0.13])
    assert np.isnan(path.gains[0])
    assert path.attacks.tolist() == np.eye(3)[[1, 0, 2]].tolist()
    assert path.refused == D
    shorter = discover(J, 0.15)
    assert (shorter.order, shorter.refused) == ([B, A], E)
    assert shorter.refused_gain == pytest.approx(0.13)
    other = discover(J, 0, first=A)
    assert other.order == [A, B, E]
    assert other.gains[1:] == pytest.approx([0.2, 0.13])


@few
@given(seed=SEEDS)
def test_a_margin_is_what_the_best_mixture_of_the_others_must_leave(seed: int) -> None:
    """The dual program, written down by itself: mixtures of others that are as near as can be in every family."""
    values = table(seed)
    for i in range(len(values)):
        others = np.delete(values, i, axis=0)
        families = values.shape[1]
        found = linprog(
            np.r_[np.zeros(len(others)), 1.0],
            A_ub=np.column_stack([-others.T, -np.ones(families)]),
            b_ub=-values[i],
            A_eq=np.r_[np.ones(len(others)), 0.0][None],
            b_eq=[1.0],
            bounds=[(0, None)] * len(others) + [(None, None)],
        )
        assert margin(values, i)[0] == pytest.approx(found.fun, abs=1e-9)


@few
@given(seed=SEEDS, at=st.integers(0, 3))
def test_rows_that_a_mixture_dominates_may_be_added_without_changing_the_set(seed: int, at: int) -> None:
    values = table(seed, 4)
    weights = np.random.default_rng(seed).dirichlet(np.ones(4))
    more = np.insert(values, at, weights @ values - 0.01, axis=0)
    before, after = undominated(values, 0), undominated(more, 0)
    assert np.delete(after.mask, at).tolist() == before.mask.tolist()
    assert not after.mask[at]


@few
@given(seed=SEEDS, scale=st.floats(1e-6, 1e6), family=st.integers(0, 3))
def test_margins_scale_and_ignore_what_is_added_to_a_family(seed: int, scale: float, family: int) -> None:
    values = table(seed)
    moved = values.copy()
    moved[:, family] += 3.0
    assert margins(values * scale) == pytest.approx(margins(values) * scale, rel=1e-7, abs=1e-9 * scale)
    assert margins(moved) == pytest.approx(margins(values), abs=1e-9)
    assert undominated(moved, 0).kept == undominated(values, 0).kept


@few
@given(seed=SEEDS)
def test_permuting_students_permutes_the_answer(seed: int) -> None:
    values, order = table(seed), np.random.default_rng(seed).permutation(6)
    assert undominated(values[order], 0.01).mask.tolist() == undominated(values, 0.01).mask[order].tolist()
    assert [int(order[i]) for i in discover(values[order], 0.01).order] == discover(values, 0.01).order


def world(rng: np.random.Generator, means: Any, n: int = 1500, draws: int = 200) -> tuple[Any, Any]:
    """Accuracies of students on n rows a family, and paired resamples of the rows."""
    right = (rng.random((*np.shape(means), n)) < np.asarray(means)[..., None]).astype(float)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=draws) / n
    return right.mean(axis=2), np.einsum("bn,kfn->bkf", counts, right)


def test_of_equal_students_none_is_kept_by_default_and_half_of_them_at_a_delta_of_0() -> None:
    kept: dict[object, list[int]] = {}
    for seed in range(40):
        values, draws = world(np.random.default_rng(seed), np.full((6, 3), 0.8))
        found = undominated(values, draws=draws)
        for delta in (0, 0.01, 0.02):
            kept.setdefault(delta, []).append(int((found.margins > delta).sum()))
        kept.setdefault(None, []).append(len(found.kept))
    means = {delta: float(np.mean(counts)) for delta, counts in kept.items()}
    assert means[0] == pytest.approx(3.1, abs=0.4)
    assert means[0.01] == pytest.approx(0.9, abs=0.4)
    assert means[0.02] < 0.25
    assert means[None] < 0.15, "the reason for the default"


def test_students_that_differ_by_more_than_their_errors_are_kept_and_their_intervals_hold_the_margin() -> None:
    means, hits = np.array([(0.9, 0.6, 0.7), (0.7, 0.8, 0.7), (0.75, 0.65, 0.65)]), []
    for seed in range(20):
        values, draws = world(np.random.default_rng(seed), means)
        found = undominated(values, draws=draws)
        assert found.kept == [0, 1]
        assert discover(values, draws=draws).order in ([0, 1], [1, 0])
        hits.append((found.low[:2] <= [0.15, 0.15]) & ([0.15, 0.15] <= found.high[:2]))
        assert undominated(draws).kept == [0, 1]
        assert (found.mask == (found.low > 0)).all()
    assert np.mean(hits) > 0.85


def test_paired_errors_leave_out_what_students_share() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(scale=0.05, size=(500, 1, 3))
    draws = 0.8 + shared + rng.normal(scale=0.002, size=(500, 4, 3))
    assert draws.std(axis=0).min() > 0.04
    assert paired_errors(draws)[~np.eye(4, dtype=bool)].max() < 0.004
    assert undominated(draws + np.array([0.02, 0, 0, 0])[:, None]).kept == [0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: undominated([[0.9, 0.8]], 0), "1 student: a choice needs at least two"),
        (lambda: undominated(np.empty((3, 0)), 0), "no family"),
        (lambda: undominated([0.9, 0.8], 0), "1 axes"),
        (lambda: undominated([[0.9], [0.8, 0.7]], 0), "rows of one length"),
        (
            lambda: undominated([[0.9, np.nan], [0.8, 0.7]], 0, students=["a", "b"], families=["own", "random"]),
            "no number for student 'a' and family 'random'",
        ),
        (lambda: discover([[0.9, 0.8], [0.8, np.inf]], 0), "student 1 and family 1"),
        (lambda: undominated(J, -0.1), "delta = -0.1 must be at least 0"),
        (lambda: undominated(J, float("nan")), "delta = nan"),
        (lambda: undominated(J), "no errors: give its draws"),
        (lambda: undominated(J, draws=np.zeros((5, 2, 3))), r"shape \(5, 2, 3\)"),
        (lambda: discover(J, 0, first=6), "first = 6"),
        (lambda: discover(J, 0, first=1.5), "first = 1.5 is not in the table"),  # type: ignore[arg-type]
        (lambda: discover(J, 0, first="a"), "first = 'a' is not in the table"),  # type: ignore[arg-type]
        (lambda: undominated(J, "a"), "delta = 'a' must be at least 0"),  # type: ignore[arg-type]
        (lambda: margin(J, 9), "student 9 is not in the table"),
        (lambda: margin(J, 0, []), "no others"),
    ],
    ids=range(16),
)
def test_what_is_no_payoff_table_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
