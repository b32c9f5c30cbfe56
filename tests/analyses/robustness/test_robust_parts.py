"""Parts of weak-train, attacks, paired resamples over seeds, and replays in planted worlds."""

from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from analyses.experiment.row_sets import RowSets
from analyses.recipe.robustness import Family, Robustness
from analyses.robustness.attacks import Attack, attacks_of, divided, error_rate
from analyses.robustness.choosing import Choice
from analyses.robustness.measured_payoffs import TaskPayoffs, payoff_means, permutation
from analyses.robustness.replays import audited, played, schedules
from analyses.robustness.robust_files import EVERY_TASK, HELD_OUT_ROWS
from w2s_probes.errors import InputError
from w2s_probes.simulated import ERROR_KINDS

ATTACKS = [Attack("random", 0.2), Attack("longest", 0.2)]


def table(rows: int, of_group: int = 3) -> pd.DataFrame:
    at = np.arange(rows)
    texts = [f"text {'a' * (i % 17)}" for i in at]
    return pd.DataFrame(
        {"id": [f"r{i}" for i in at], "text": texts, "label": at % 2, "group": [f"g{i // of_group}" for i in at]}
    )


def test_weak_train_is_divided_by_groups_into_rows_that_teach_stop_and_judge() -> None:
    whole = table(300)
    nobody = whole.iloc[:0]
    sets = divided(RowSets(whole, nobody, nobody, nobody), "t", 0, 0.4, describe=False)
    parts = [sets.train, sets.val, sets.test]
    assert [len(part) for part in parts] == [144, 36, 120]
    assert sorted(pd.concat(parts)["id"]) == sorted(whole["id"])
    groups = [set(part["group"]) for part in parts]
    assert not groups[0] & groups[1]
    assert not (groups[0] | groups[1]) & groups[2]
    assert sets.tests == {}
    other = divided(RowSets(whole, nobody, nobody, whole), "t", 1, 0.4, describe=True)
    assert set(other.test["id"]) != set(sets.test["id"])
    assert list(other.tests) == ["recipe"]
    with pytest.raises(InputError, match=r"raise weak\.n_truth"):
        divided(RowSets(table(6), nobody, nobody, nobody), "t", 0, 0.4, describe=False)


def test_the_families_are_those_of_simulated_supervisors() -> None:
    assert get_args(Family) == ERROR_KINDS


def test_the_supervisors_own_errors_stand_once_and_others_at_every_rate() -> None:
    settings = Robustness(families=["random", "own"], rates=[0.1, 0.3])
    assert [attack.name for attack in attacks_of(settings)] == ["random@0.1", "random@0.3", "own"]


def test_errors_are_where_the_family_says_and_a_rate_that_it_cannot_have_is_refused() -> None:
    rows = table(100)
    parts = {"train": rows, "val": rows}
    sets = RowSets(rows, rows, rows, rows)
    longest = Attack("longest", 0.1).labels(parts, {}, {}, 0)
    wrong = longest["train"] != rows["label"]
    assert wrong.sum() == 10
    assert rows["text"][wrong].str.len().min() >= rows["text"][~wrong].str.len().quantile(0.8)
    assert error_rate(longest, sets) == pytest.approx(0.1)
    wrong_everywhere = {part: 1.0 - rows["label"].to_numpy() for part in parts}
    with pytest.raises(InputError, match=r"strong-confidently-correct@0\.1: .* lower robustness.rates"):
        Attack("strong-confidently-correct", 0.1).labels(parts, {}, wrong_everywhere, 0)


def read(seeds: int) -> list[frozenset[str]]:
    """200 rows a seed, of which 150 are those of the seed before, too."""
    return [frozenset(f"r{i}" for i in range(50 * seed, 50 * seed + 200)) for seed in range(seeds)]


def payoffs(task: str, seeds: int, rng: np.random.Generator, luck: float) -> TaskPayoffs:
    """Two students; the second better by .02 in the second attack, but for each seed's luck."""
    base = np.array([[0.8, 0.8], [0.8, 0.82]]) + luck * rng.normal(size=(seeds, 2, 2))
    draws = base + 0.001 * rng.normal(size=(500, seeds, 2, 2))
    judging = (HELD_OUT_ROWS, [100] * seeds, read(seeds))
    return TaskPayoffs(task, ["a", "b"], ATTACKS, list(range(seeds)), base, draws, *judging)


def test_the_luck_of_seeds_is_in_the_errors_and_several_tasks_have_a_mean() -> None:
    rng = np.random.default_rng(0)
    lucky, plain = payoffs("t", 10, rng, 0.03), payoffs("u", 10, rng, 0.0)
    expected = np.std(lucky.by_seed[:, 1, 1] - lucky.by_seed[:, 0, 1], ddof=1) / np.sqrt(10)
    error = np.std(lucky.draws[:, 1, 1] - lucky.draws[:, 0, 1])
    assert error == pytest.approx(expected, rel=0.2)
    assert np.std(plain.draws[:, 1, 1] - plain.draws[:, 0, 1]) < 0.001
    means = payoff_means([lucky, plain])
    assert [one.task for one in means] == ["t", "u", EVERY_TASK]
    assert means[2].value == pytest.approx((lucky.value + plain.value) / 2)
    assert Choice.of(means[1], None).found.kept == [1]
    assert Choice.of(means[1], None).student_lines(frozenset())[1]["best_at"] == "longest@0.2"
    lines = lucky.lines("auroc", frozenset({"b"}))
    assert len(lines) == 4 * 11
    assert {line["oracle"] for line in lines if line["student"] == "b"} == {True}
    assert {line["trusted"] for line in lines if line["seed"] is not None} == {200}
    assert {line["trusted"] for line in lines if line["seed"] is None} == {650}, "each row once"
    assert [one.trusted for one in means] == [650, 650, 1300]


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_of_two_students_that_differ_by_the_luck_of_seeds_alone_one_in_twenty_tables_keeps_one(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    kept, errors, differences = 0, [], []
    for _ in range(300):
        base = 0.8 + 0.02 * rng.normal(size=(seeds, 2, 1))
        draws = base + 0.0005 * rng.normal(size=(400, seeds, 2, 1))
        judging = (HELD_OUT_ROWS, [100] * seeds, read(seeds))
        one = TaskPayoffs("t", ["a", "b"], ATTACKS[:1], list(range(seeds)), base, draws, *judging)
        found = Choice.of(payoff_means([one])[0], None).found
        kept += bool(found.mask.any())
        errors.append(found.errors[0])
        differences.append(one.value[0, 0] - one.value[1, 0])
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(differences), rel=0.12)
    assert 3 <= kept <= 27  # 15 are expected; two errors of a plain resample kept 123, 76 and 31


def test_the_interval_of_a_mean_over_seeds_has_students_quantile_and_stays_a_share() -> None:
    rng = np.random.default_rng(0)
    three = payoffs("t", 3, rng, 0.01)
    lines = [line for line in three.lines("auroc", frozenset()) if line["seed"] is None]
    for line in lines:
        at = (["a", "b"].index(line["student"]), ["random", "longest"].index(line["family"]))
        half = 4.3027 * np.std(three.draws[:, at[0], at[1]], ddof=1)
        assert 0 < line["low"] < line["value"] < line["high"] < 1
        assert line["high"] - line["low"] == pytest.approx(2 * half, rel=0.1)


def test_groups_are_permuted_whole_as_the_bootstrap_draws_them() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(60)], [3] * 30 + [2] * 29 + [5]).astype(object)
    shuffled = rng.permutation(len(groups))
    groups = groups[shuffled]
    seen: list[float] = []
    for _ in range(50):
        order = permutation(groups, len(groups), rng)
        assert sorted(order) == list(range(len(groups)))
        taken = pd.Series(groups[order]).groupby(groups)
        assert (taken.nunique() == 1).all(), "no group is parted"
        seen.append(float((taken.first() == taken.first().index).mean()))
    assert 0.02 < np.mean(seen) < 0.08, "1 of 60 is alone of its size, and of each size one stays by chance"
    truth = (pd.factorize(groups)[0] % 2).astype(float)
    assert np.std([np.corrcoef(truth, truth[permutation(groups, 153, rng)])[0, 1] for _ in range(300)]) > 0.1
    plain = permutation(None, 153, rng)
    assert sorted(plain) == list(range(153))
    assert np.std([np.corrcoef(truth, truth[permutation(None, 153, rng)])[0, 1] for _ in range(300)]) < 0.1


def test_schedules_change_the_attack_as_they_say() -> None:
    rng = np.random.default_rng(0)
    found = {name: make(rng) for name, make in schedules(3, 2000).items()}
    assert set(found["steady"]) == {0}
    assert found["switch"].tolist() == [0] * 1000 + [2] * 1000
    assert found["periods"][::100].tolist() == [0, 1, 2] * 6 + [0, 1]
    assert np.bincount(found["random"]).min() > 550
    assert list(schedules(1, 50)) == ["steady"]


def test_audited_rows_reward_a_student_by_its_accuracy_under_the_attack_of_the_round() -> None:
    rng = np.random.default_rng(0)
    right = (rng.random((2, 3, 400)) < np.array([[0.9, 0.6, 0.7], [0.3, 0.8, 0.7]])[:, :, None]).astype(float)
    attack = np.arange(4000) % 2
    rewards = audited(right, attack, 20, rng)
    assert rewards.shape == (4000, 3)
    for f in (0, 1):
        assert rewards[attack == f].mean(axis=0) == pytest.approx(right[f].mean(axis=1), abs=0.01)


def test_after_a_switch_the_published_form_is_stuck_and_hedge_is_not() -> None:
    rng = np.random.default_rng(0)
    means = np.array([[0.9, 0.6, 0.75], [0.3, 0.85, 0.75]])
    truth = np.ones(500)
    scores = (rng.random((2, 3, 500)) < means[:, :, None]).astype(float)
    trial: Any = SimpleNamespace(attacks=ATTACKS, sets=SimpleNamespace(test=pd.DataFrame({"label": truth})))
    run: Any = SimpleNamespace(trial=trial, scores=lambda attack, name, rows: scores[ATTACKS.index(attack), int(name)])
    found = played(Robustness(rounds=2000), [run], ["0", "1", "2"], {"best mean": "2"}, frozenset())
    regret = {(one.schedule, one.learner): one.line()["regret"] for one in found}
    bound = {one.learner: one.bound for one in found}
    assert regret["switch", "exp3 as published"] > bound["exp3"] > regret["switch", "exp3"]
    assert all(value < bound["hedge"] for (_, learner), value in regret.items() if learner == "hedge")
    assert regret["steady", "uniform"] > 200
    assert regret["switch", "switching with the attack"] < -100
    trusted = {one.learner: one.trusted for one in found}
    assert (trusted["hedge"], trusted["uniform"]) == (40_000, 0)
