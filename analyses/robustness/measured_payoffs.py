"""Payoffs: what each student of each attack's labels is worth on the rows that judge, with paired resamples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_probes.metrics.intervals import share_interval
from w2s_probes.metrics.recovery import bootstraps, mean_metric
from w2s_probes.metrics.resampling import interval
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import group_numbers, groups_of

from ..experiment.row_sets import OTHER_TEST
from ..recipe.schema import Recipe
from .attacked_trials import AttackedStudents
from .attacks import TEST_SET, Attack
from .certainty import errors_needed
from .robust_files import EVERY_TASK, HELD_OUT_ROWS, TEST_ROWS

Values = NDArray[np.float64]
ROWS_OF = {HELD_OUT_ROWS: "test", TEST_ROWS: OTHER_TEST + TEST_SET}  # names of the row sets that judge


ENOUGH = 400  # resamples for an error alone, which they give to 4 %


@dataclass(frozen=True)
class TaskPayoffs:
    """The payoffs of one task, by seed, on one kind of rows."""

    task: str
    students: list[str]
    attacks: list[Attack]
    seeds: list[int]
    by_seed: Values  # (S, K, F)
    by_seed_draws: Values  # (draws, S, K, F) rows, or their groups, of each seed resampled; the same for all cells
    judged: str  # held-out, or test
    rows: list[int]  # (S,) that judged
    trusted: list[frozenset[str]]  # ids of the weak-train rows whose truth was read, by seed

    @property
    def value(self) -> Values:
        """The means over seeds (K, F)."""
        return np.asarray(self.by_seed.mean(axis=0))

    @property
    def all_trusted(self) -> int:
        """The number of rows whose truth was read for some seed, each counted once."""
        return len(frozenset().union(*self.trusted))

    @property
    def draws(self) -> Values:
        """Paired resamples of the means (draws, K, F): of the seeds, and within each seed of its rows.

        The seeds' rows come from one pool and overlap, so that resampling seeds alone would miss a part. A resample of
        S seeds scatters too little by (S - 1) / S, for which their deviations are made larger.
        """
        count, seeds = self.by_seed_draws.shape[:2]
        if seeds == 1:
            return self.by_seed_draws[:, 0]
        chosen = stream(0, self.task, "seeds of payoffs").integers(seeds, size=(count, seeds))
        drawn = self.by_seed_draws[np.arange(count)[:, None], chosen].mean(axis=1)
        by_chance = self.by_seed[chosen].mean(axis=1) - self.value
        return np.asarray(drawn + (np.sqrt(seeds / (seeds - 1)) - 1) * by_chance)

    def lines(self, metric: str, oracles: frozenset[str]) -> list[dict[str, Any]]:
        """Lines of payoff.csv: by seed, and over several with `seed` left empty."""
        parts = [
            (seed, self.by_seed[at], self.by_seed_draws[:, at], self.rows[at], 1, len(self.trusted[at]))
            for at, seed in enumerate(self.seeds)
        ]
        every: list[tuple[int | None, Values, Values, int, int, int]] = [*parts]
        if len(parts) > 1:
            every.append((None, self.value, self.draws, sum(self.rows), len(parts), self.all_trusted))
        found = []
        for seed, values, draws, rows, seeds, trusted in every:
            for k, student in enumerate(self.students):
                for f, attack in enumerate(self.attacks):
                    low, high = interval(draws[:, k, f])
                    if seeds > 1:
                        half = errors_needed(seeds) * float(np.std(draws[:, k, f], ddof=1))
                        low, high = share_interval(float(values[k, f]), half, min(self.rows))
                    line: dict[str, Any] = {"task": self.task, "seed": seed, "student": student}
                    line |= {"family": attack.family, "rate": attack.rate, "judged": self.judged}
                    line |= {"metric": metric, "value": values[k, f], "low": low, "high": high}
                    line |= {"n": rows, "seeds": seeds, "trusted": trusted}
                    found.append(line | {"oracle": self.judged == TEST_ROWS or student in oracles})
        return found


@dataclass(frozen=True)
class PayoffMean:
    """The payoffs that a choice reads: of one task, or their mean over tasks."""

    task: str
    students: list[str]
    attacks: list[Attack]
    value: Values  # (K, F)
    draws: Values  # (draws, K, F)
    seeds: int
    trusted: int  # different weak-train rows whose truth was read


def measured(recipe: Recipe, runs: Sequence[AttackedStudents], students: list[str], judged: str) -> TaskPayoffs:
    """The payoffs of a task's trials, one a seed."""
    settings, first = recipe.robustness, runs[0].trial
    values, draws, rows = [], [], []
    for run in runs:
        table = run.trial.sets.tables[ROWS_OF[judged]]
        truth = table["label"].to_numpy(dtype=np.float64)
        cells = {
            (k, f): run.scores(attack, student, ROWS_OF[judged])
            for k, student in enumerate(students)
            for f, attack in enumerate(first.attacks)
        }
        shape = (len(students), len(first.attacks))
        value = np.array([mean_metric(settings.metric, truth, scores) for scores in cells.values()])
        (drawn,) = bootstraps(truth, [(settings.metric, cells)], recipe.n_boot, run.trial.seed, groups=groups_of(table))
        values.append(value.reshape(shape))
        draws.append(np.array([drawn[cell] for cell in cells]).T.reshape(-1, *shape))
        rows.append(len(table))
    return TaskPayoffs(
        first.task,
        students,
        first.attacks,
        [run.trial.seed for run in runs],
        np.array(values),
        np.stack(draws, axis=1),
        judged,
        rows,
        [frozenset(run.trial.sets.weak["id"].astype(str)) for run in runs],
    )


def payoff_means(by_task: Sequence[TaskPayoffs]) -> list[PayoffMean]:
    """What choices are made by: each task's payoffs, and where there are several tasks their mean."""
    means = [
        PayoffMean(one.task, one.students, one.attacks, one.value, one.draws, len(one.seeds), one.all_trusted)
        for one in by_task
    ]
    if len(means) > 1:
        means.append(
            PayoffMean(
                EVERY_TASK,
                means[0].students,
                means[0].attacks,
                np.mean([one.value for one in means], axis=0),
                np.mean([one.draws for one in means], axis=0),
                means[0].seeds,
                sum(one.trusted for one in means),
            )
        )
    return means


def permuted_payoffs(recipe: Recipe, runs: Sequence[AttackedStudents], students: list[str], number: int) -> TaskPayoffs:
    """The payoffs with the truth of the judging rows, or groups, permuted: no student is better than another."""
    recipe = recipe.model_copy(update={"n_boot": min(recipe.n_boot, ENOUGH)})
    shuffled = []
    for run in runs:
        table = run.trial.sets.test
        order = permutation(groups_of(table), len(table), stream(run.trial.seed, run.trial.task, "permuted", number))
        sets = replace(run.trial.sets, test=table.assign(label=table["label"].to_numpy()[order]))
        shuffled.append(replace(run, trial=replace(run.trial, sets=sets)))
    return measured(recipe, shuffled, students, HELD_OUT_ROWS)


def permutation(groups: NDArray[np.object_] | None, rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """An order (n,) of the rows; with groups (n,) each takes the place of another of its size, in any order within.

    A group that is alone of its size keeps its place, and its rows are permuted.
    """
    numbers = group_numbers(groups, rows)
    order = np.array(rng.permutation(rows), dtype=np.intp)
    if numbers is None:
        return order
    sizes, found = np.bincount(numbers), np.empty(rows, dtype=np.intp)
    by_group = order[np.argsort(numbers[order], kind="stable")]
    for size in np.unique(sizes):
        places = by_group[sizes[numbers[by_group]] == size].reshape(-1, size)
        found[places] = rng.permuted(rng.permutation(places), axis=1)
    return found
