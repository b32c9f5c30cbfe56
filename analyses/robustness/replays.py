"""Replays: students chosen online by audited rows, while the supervisor's errors change by a schedule."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_probes.randomness import stream
from w2s_probes.selection import Exp3, Hedge, Uniform, replay
from w2s_probes.selection.online_learners import OnlineLearner

from ..recipe.robustness import Robustness
from .attacked_trials import AttackedStudents

Values = NDArray[np.float64]
REPLAYS = 20  # of each schedule, over the trials in turn
PERIODS = 20  # of the schedule that goes through the attacks
POINTS = 40  # of a curve
FIXED, SWITCHING = "best fixed in hindsight", "switching with the attack"


@dataclass(frozen=True)
class PlayedLearner:
    """A learner's replays under one schedule."""

    schedule: str
    learner: str
    regrets: Values  # (replays, T) so far, to the student that is best over all rounds
    reward: float  # mean of a round: accuracy on audited rows
    bound: float  # of the expected regret; NaN: none is known
    trusted: int  # audits of a replay, of rows drawn with replacement
    oracle: bool

    def line(self) -> dict[str, Any]:
        """The line of replay.csv; `low` and `high` are the least and the most of the replays."""
        last = self.regrets[:, -1]
        line = {"schedule": self.schedule, "learner": self.learner, "reward": self.reward, "regret": last.mean()}
        line |= {"low": last.min(), "high": last.max(), "bound": self.bound}
        return line | {"trusted": self.trusted, "oracle": self.oracle}

    def curve_lines(self) -> list[dict[str, Any]]:
        """Lines of replay_curves.csv."""
        rounds = self.regrets.shape[1]
        at = np.unique(np.linspace(0, rounds - 1, min(POINTS, rounds)).round().astype(int))
        common = {"schedule": self.schedule, "learner": self.learner, "oracle": self.oracle}
        return [
            common | {"round": int(t) + 1, "regret": values.mean(), "low": values.min(), "high": values.max()}
            for t in at
            for values in [self.regrets[:, t]]
        ]


def schedules(attacks: int, rounds: int) -> dict[str, Callable[[np.random.Generator], NDArray[np.intp]]]:
    """The attack of each round (T,), by the name of a schedule."""
    at = np.arange(rounds)
    steady = np.zeros(rounds, dtype=np.intp)
    found: dict[str, Callable[[np.random.Generator], NDArray[np.intp]]] = {"steady": lambda rng: steady}
    if attacks > 1:
        switched = np.where(at < rounds // 2, 0, attacks - 1)
        turns = at // max(1, rounds // PERIODS) % attacks
        found |= {
            "switch": lambda rng: switched,
            "periods": lambda rng: turns,
            "random": lambda rng: rng.integers(attacks, size=rounds),
        }
    return found


def played(
    settings: Robustness,
    runs: Sequence[AttackedStudents],
    students: Sequence[str],
    fixed: dict[str, str],
    oracles: frozenset[str],
) -> list[PlayedLearner]:
    """Replays of learners over these students, beside students that are `fixed` in advance, by the choice's name.

    A round audits rows that judge, drawn with replacement, and rewards each student by its accuracy there, under the
    attack of that round.
    """
    right = [_right(run, students) for run in runs]
    rounds, size = settings.rounds, len(students)
    learners: dict[str, OnlineLearner] = {
        "hedge": Hedge(size, rounds),
        "exp3": Exp3(size, rounds),
        "exp3 as published": Exp3(size, rounds, 2.0, "published"),
        "uniform": Uniform(size, rounds),
    }
    found = []
    reads_truth = bool(oracles.intersection(students))
    for schedule, drawn in schedules(len(runs[0].trial.attacks), rounds).items():
        regrets: dict[str, list[Values]] = {}
        rewards: dict[str, list[float]] = {}
        for number in range(REPLAYS):
            of_trial = right[number % len(right)]
            rng = stream(number, "audited rows", schedule)
            attack = drawn(rng)
            table = audited(of_trial, attack, settings.audited, rng)
            means = of_trial.mean(axis=2)  # (F, K)
            best = int(table.sum(axis=0).argmax())
            chosen = {name: replay(table, learner, number).chosen for name, learner in learners.items()}
            chosen |= {name: np.full(rounds, students.index(student)) for name, student in fixed.items()}
            chosen |= {FIXED: np.full(rounds, best), SWITCHING: means[attack].argmax(axis=1)}
            for name, arms in chosen.items():
                got = table[np.arange(rounds), arms]
                regrets.setdefault(name, []).append(np.cumsum(table[:, best] - got))
                rewards.setdefault(name, []).append(float(got.mean()))
        for name, curves in regrets.items():
            oracle = reads_truth or name in (FIXED, SWITCHING)
            bound = learners[name].bound if name in learners else float("nan")
            trusted = rounds * settings.audited if name in learners and name != "uniform" else 0
            reward = float(np.mean(rewards[name]))
            found.append(PlayedLearner(schedule, name, np.array(curves), reward, bound, trusted, oracle))
    return found


def audited(right: Values, attack: NDArray[np.intp], rows: int, rng: np.random.Generator) -> Values:
    """The accuracy (T, K) of each student on a batch of audited rows in each round, under the attack of the round.

    `right` (F, K, n) says of each attack's students which judging rows they get right.
    """
    drawn = rng.integers(right.shape[2], size=(len(attack), rows))
    rewards = np.empty((len(attack), right.shape[1]))
    for f in range(len(right)):
        at = attack == f
        rewards[at] = right[f][:, drawn[at]].mean(axis=2).T
    return rewards


def _right(run: AttackedStudents, students: Sequence[str]) -> Values:
    """Whether each student is right on each judging row (F, K, n); of several draws of a control the share."""
    positive = run.trial.sets.test["label"].to_numpy() > 0.5
    return np.array(
        [
            [((np.atleast_2d(run.scores(attack, name, "test")) > 0.5) == positive).mean(axis=0) for name in students]
            for attack in run.trial.attacks
        ]
    )
