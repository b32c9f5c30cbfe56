"""Exp3, Hedge and replays: exact values, sums in closed form, regret in planted worlds, bad input."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s_probes.errors import InputError
from w2s_probes.selection import Exp3, Hedge, Replay, Uniform, replay

ARMS, REWARDS = [0, 1, 2, 0, 0, 1, 2, 2, 1, 0], [0.9, 0.4, 0.7, 0.8, 1, 0.5, 0.6, 0.9, 0.2, 0.85]
AFTER = {
    "published": {
        1: [0.490835, 0.254582, 0.254582],
        5: [0.636815, 0.155293, 0.207892],
        10: [0.507592, 0.148880, 0.343528],
    },
    "loss": {10: [0.483760, 0.137086, 0.379154]},
}
ROUNDS, BATCH, SEEDS = 2000, 20, 20


@pytest.mark.parametrize("form", ["published", "loss"])
def test_exp3_by_hand(form: Any) -> None:
    learner = Exp3(3, 10, 2, form)
    assert learner.eta == pytest.approx(0.382729, abs=1e-6)
    assert learner.gamma == pytest.approx(0.191365, abs=1e-6)
    for number, (arm, reward) in enumerate(zip(ARMS, REWARDS, strict=True), start=1):
        learner.update(arm, reward)
        if number in AFTER[form]:
            assert learner.p == pytest.approx(AFTER[form][number], abs=1e-6)


def test_hedge_by_hand() -> None:
    learner = Hedge(3, 10)
    assert learner.eta == pytest.approx(0.937491, abs=1e-6)
    for rewards, chances in (
        ([0.9, 0.4, 0.7], [0.407362, 0.254922, 0.337716]),
        ([0.8, 0.5, 0.6], [0.463036, 0.218724, 0.318240]),
        ([0.2, 0.9, 0.6], [0.343582, 0.312835, 0.343582]),
    ):
        learner.update(rewards)
        assert learner.p == pytest.approx(chances, abs=1e-6)


@given(seed=st.integers(0, 10_000), form=st.sampled_from(["loss", "published"]), lr=st.floats(0.1, 20))
def test_weights_round_by_round_are_the_product_of_their_factors(seed: int, form: Any, lr: float) -> None:
    rng = np.random.default_rng(seed)
    learner, sums = Exp3(4, 50, lr, form), np.zeros(4)
    for arm, reward in zip(rng.integers(4, size=50), rng.random(50), strict=True):
        sums[arm] += learner.eta * (reward if form == "published" else reward - 1) / (learner.p[arm] + learner.gamma)
        learner.update(int(arm), float(reward))
    assert learner.log_weights == pytest.approx(sums - sums.max(), abs=1e-12 * max(1, np.abs(sums).max()))


@given(seed=st.integers(0, 10_000))
def test_hedge_is_the_softmax_of_the_sums_in_any_order(seed: int) -> None:
    rewards = np.random.default_rng(seed).random((40, 5))
    learner = Hedge(5, 40)
    for row in rewards:
        learner.update(row)
    odds = np.exp(learner.eta * (rewards.sum(axis=0) - rewards.sum(axis=0).max()))
    assert learner.p == pytest.approx(odds / odds.sum(), abs=1e-12)


@given(seed=st.integers(0, 10_000), name=st.sampled_from(["loss", "published", "hedge", "uniform"]))
def test_a_replay_is_the_rounds_one_by_one(seed: int, name: str) -> None:
    rewards, draws = np.random.default_rng(seed).random((30, 4)), np.random.default_rng(seed + 1).random(30)
    learner: Any = {"hedge": Hedge(4, 30), "uniform": Uniform(4, 30)}.get(name) or Exp3(4, 30, 2, name)  # type: ignore[arg-type]
    chosen, weights = learner.play(rewards, draws)
    for row, u, arm, chances in zip(rewards, draws, chosen, weights, strict=True):
        assert learner.p == pytest.approx(chances, abs=1e-12)
        assert learner.choose(u) == arm
        if name == "hedge":
            learner.update(row)
        elif name != "uniform":
            learner.update(int(arm), float(row[arm]))


def test_the_chosen_student_is_the_first_whose_cumulative_chance_exceeds_the_draw() -> None:
    learner = Uniform(4, 10)
    assert [learner.choose(u) for u in (0, 0.2499, 0.25, 0.5, 0.9999999)] == [0, 0, 1, 2, 3]


def test_ten_thousand_rounds_overflow_nothing() -> None:
    learner = Exp3(3, 10_000, 20, "published")
    for _ in range(10_000):
        learner.update(0, 1.0)
    assert np.isfinite(learner.log_weights).all()
    assert learner.p[0] == pytest.approx(1)


def rewards_of(world: str, seed: int) -> Any:
    """Accuracies on batches of audited rows whose means are constant, periodic, or switch once."""
    at = np.arange(ROUNDS)
    means = {
        "steady": np.tile([0.9, 0.6, 0.7], (ROUNDS, 1)),
        "periodic": np.where((at // 100 % 2 == 0)[:, None], [0.9, 0.6, 0.75], [0.55, 0.85, 0.75]),
        "switch": np.where((at < 1000)[:, None], [0.9, 0.6, 0.75], [0.3, 0.85, 0.75]),
    }[world]
    return np.random.default_rng(seed).binomial(BATCH, means) / BATCH


@pytest.fixture(scope="module")
def played() -> dict[tuple[str, str], list[Replay]]:
    learners = {
        "published": Exp3(3, ROUNDS, 2, "published"),
        "loss": Exp3(3, ROUNDS),
        "hedge": Hedge(3, ROUNDS),
        "uniform": Uniform(3, ROUNDS),
    }
    return {
        (world, name): [replay(rewards_of(world, seed), learner, seed) for seed in range(SEEDS)]
        for world in ("steady", "periodic", "switch")
        for name, learner in learners.items()
    }


def mean(replays: list[Replay]) -> float:
    return float(np.mean([one.regret for one in replays]))


def test_hedge_stays_within_its_bound_in_every_run(played: Any) -> None:
    assert Hedge(3, ROUNDS).bound == pytest.approx(33.1, abs=0.05)
    assert all(one.regret < Hedge(3, ROUNDS).bound for (_, name), of in played.items() if name == "hedge" for one in of)


def test_the_loss_form_stays_within_its_bound_on_average_and_the_published_one_does_not_after_a_switch(
    played: Any,
) -> None:
    bound = Exp3(3, ROUNDS).bound
    assert bound == pytest.approx(114.8, abs=0.05)
    assert all(mean(of) < bound for (_, name), of in played.items() if name == "loss")
    assert mean(played["switch", "published"]) > bound, "the reason for the default"
    assert np.isnan(Exp3(3, ROUNDS, 2, "published").bound)


@pytest.mark.parametrize(
    ("world", "name", "expected", "within"),
    [
        ("steady", "published", 39.9, 12),
        ("steady", "loss", 67.0, 3),
        ("steady", "hedge", 17.1, 2),
        ("steady", "uniform", 332.7, 8),
        ("periodic", "loss", 28.4, 8),
        ("periodic", "hedge", 17.1, 4),
        ("periodic", "uniform", 33.2, 8),
        ("switch", "published", 249.7, 90),
        ("switch", "loss", 7.4, 14),
        ("switch", "hedge", 17.8, 4),
        ("switch", "uniform", 116.3, 8),
    ],
)
def test_regret_in_planted_worlds(played: Any, world: str, name: str, expected: float, within: float) -> None:
    assert mean(played[world, name]) == pytest.approx(expected, abs=within)


def test_a_replay_is_by_the_seed_and_leaves_the_learner_as_it_was() -> None:
    learner = Exp3(3, ROUNDS)
    first, again, other = (replay(rewards_of("steady", 0), learner, seed) for seed in (0, 0, 1))
    assert learner.p.tolist() == pytest.approx([1 / 3] * 3)
    assert (first.chosen == again.chosen).all()
    assert (first.chosen != other.chosen).any()
    assert first.weights[0] == pytest.approx([1 / 3] * 3)
    assert first.weights.sum(axis=1) == pytest.approx(np.ones(ROUNDS))
    assert first.regret == pytest.approx(first.curve[-1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Hedge(1, 10), "K = 1"),
        (lambda: Hedge(3, 0), "T = 0"),
        (lambda: Exp3(3, 10, 0), "lr = 0"),
        (lambda: Exp3(3, 10, float("nan")), "lr = nan"),
        (lambda: Exp3(3, 10, 1, "los"), "form 'los': did you mean 'loss'"),  # type: ignore[arg-type]
        (lambda: Exp3(3, 10, "a"), "lr = 'a' must be a number"),  # type: ignore[arg-type]
        (lambda: Hedge(2.5, 10), "K = 2.5 must be a whole number"),  # type: ignore[arg-type]
        (lambda: Hedge(2, "a"), "T = 'a' must be a whole number"),  # type: ignore[arg-type]
        (lambda: replay("x", Hedge(2, 10)), "rewards must be an array of numbers"),
        (lambda: Exp3(3, 10).update(0.5, 0.5), "student 0.5 was chosen"),  # type: ignore[arg-type]
        (lambda: replay([[0.5, 6000]], Hedge(2, 10)), "divide by 6000"),
        (lambda: replay([[-1, 0.5]], Hedge(2, 10)), "shift and scale"),
        (lambda: replay([[0.5, np.nan]], Hedge(2, 10)), "finite"),
        (lambda: replay([[0.5, 0.5, 0.5]], Hedge(2, 10)), r"shape \(1, 3\)"),
        (lambda: replay(np.empty((0, 2)), Hedge(2, 10)), "no rounds"),
        (lambda: Exp3(3, 10).update(3, 0.5), "student 3 was chosen"),
        (lambda: Exp3(3, 10).update(0, 1.5), "divide by 1.5"),
    ],
    ids=range(17),
)
def test_what_no_learner_can_read_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
