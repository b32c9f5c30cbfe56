"""A trial is one task and one seed. Its steps are the weak supervisor, the ceiling, and every method.

A run makes the steps one after another; a dry run asks the cache for the results that they describe.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2s_probes.labels.label_set import LabelSet
from w2s_probes.losses import LOSSES
from w2s_probes.losses.names import LossName
from w2s_probes.rows.groups import GROUP

from .experiment.clock import Clock
from .experiment.learners import TRAINED, Curves, Examples, Scores
from .experiment.outcomes import kept_outcome, outcome_of
from .experiment.result_cache import Arrays, Record, array_hash, code_hash, table_hash
from .experiment.splits import RowSets
from .experiment.task_models import Sources, TaskModels, every_row
from .experiment.view import SCORED, Experiment, Method, Outcome, probe_code
from .recipe.schema import Recipe
from .results.names import CEILING, WEAK, trial_key
from .results.table import TrialResult
from .supervisors import as_seen, described, supervise
from .supervisors.from_model import examples

SUPERVISED, METHOD = "weak", "methods"  # kinds of results in the cache, beside TRAINED
TITLES = {WEAK: "weak supervisor"}  # of steps that are not called by their line in the results
CEILING_LOSS: LossName = "xent"


@dataclass(frozen=True)
class Step:
    """One piece of a trial's work, whose result is a line in the results."""

    name: str  # weak, ceiling, or a method's
    kind: str  # of its result in the cache
    describe: Callable[[], dict[str, Any]]  # all that decides the result: its key in the cache
    make: Callable[[], Outcome]  # reads what the cache has, makes the rest, and puts the result into the cache
    assemble: Callable[[], Outcome] | None = None  # makes it of students that are in the cache; None: of nothing less

    @cached_property
    def description(self) -> dict[str, Any]:
        """All that decides the result: its key in the cache."""
        return self.describe()

    @property
    def title(self) -> str:
        """The step's name in progress lines."""
        return TITLES.get(self.name, self.name)


@dataclass(frozen=True)
class Trial:
    """One task and seed. Models and activations are shared with the task's other seeds."""

    recipe: Recipe
    task: str
    seed: int
    drawn: RowSets  # as the supervisor sees them
    methods: Mapping[str, Method]
    supervisor: TaskModels
    students: TaskModels  # which read no rows of weak-train

    @property
    def key(self) -> str:
        """Its key in the run's record, and its name in messages."""
        return trial_key(self.task, self.seed)

    @property
    def names(self) -> list[str]:
        """The names of its steps."""
        return [WEAK, CEILING, *self.methods]

    def steps(self) -> Iterator[Step]:
        """The steps in order. Each after the first reads the weak labels, and makes them where they are not there."""
        yield Step(WEAK, SUPERVISED, self._weak_description, self._weak_outcome)
        view = self.view
        yield Step(CEILING, TRAINED, partial(ceiling_description, view, self.sets), partial(ceiling, view, self.sets))
        for name, method in self.methods.items():
            described_by = partial(method_description, name, method, view, self.sets)
            make = partial(method_outcome, name, method, view, self.sets)
            assemble = partial(run_method, method, view, self.sets) if method.students else None
            yield Step(name, METHOD, described_by, make, assemble)

    @cached_property
    def labels(self) -> Scores:
        """The supervisor's labels, made unless the cache has them."""
        return weak_labels(self.recipe, self.drawn, self.supervisor, self.task, self.seed)

    @cached_property
    def sets(self) -> RowSets:
        """The row sets as ceiling and methods see them."""
        return as_seen(self.recipe.weak, self.drawn, self.labels)

    @cached_property
    def student_models(self) -> TaskModels:
        """The models of ceiling and methods: of rows of their own where the supervisor changes the texts."""
        if self.sets is self.drawn:
            return self.students
        return self.students.of_rows(every_row(list(self.sets.labelled.values())))

    @cached_property
    def view(self) -> Experiment:
        """The view that methods have."""
        return blind_view(self.recipe, self.sets, self.labels, self.student_models, self.seed)

    @property
    def layer(self) -> int:
        """The layer of the strong model that is read, by its number."""
        return self.student_models.activations(self.recipe.strong).index

    @property
    def stores(self) -> list[str]:
        """The keys of the stores that were read."""
        return sorted({*self.supervisor.stores, *self.student_models.stores})

    def result(self, outcomes: Mapping[str, Outcome]) -> TrialResult:
        """The outcomes of the steps, beside the truth that evaluates them."""
        oracles = frozenset({CEILING, *(name for name, method in self.methods.items() if method.oracle)})
        ceilings = {
            name: method.ceiling
            for name, method in self.methods.items()
            if method.ceiling in outcomes and method.ceiling != CEILING
        }
        sets = self.sets
        return TrialResult(sets.test, sets.candidates, outcomes, oracles, self.seed, self.layer, ceilings)

    def _weak_description(self) -> dict[str, Any]:
        return described(self.recipe.weak, self.drawn, self.supervisor, self.recipe.strong, self.seed)

    def _weak_outcome(self) -> Outcome:
        return Outcome({name: self.labels[name] for name in SCORED if name in self.labels})


def trials(
    recipe: Recipe,
    task: str,
    splits: Mapping[int, RowSets],
    methods: Mapping[str, Method],
    cache: Path,
    sources: Sources,
    clock: Clock,
    curves: Curves | None = None,
) -> Iterator[Trial]:
    """The trials of one task, one for each seed. Drop each before the next: it holds activations."""
    supervisor, students = task_models(recipe, task, list(splits.values()), cache, sources, clock, curves)
    for seed, sets in splits.items():
        yield Trial(recipe, task, seed, sets, methods, supervisor, students)


def task_models(
    recipe: Recipe,
    task: str,
    seeds: list[RowSets],
    cache: Path,
    sources: Sources,
    clock: Clock,
    curves: Curves | None = None,
) -> tuple[TaskModels, TaskModels]:
    """The models of the supervisor and those of students, which read no rows of weak-train."""
    labelled = every_row([table for sets in seeds for table in sets.labelled.values()])
    every = every_row([labelled, *(sets.weak for sets in seeds)]) if recipe.weak.kind != "labels" else labelled
    supervisor = TaskModels(task, every, cache, sources, clock, curves)
    return supervisor, supervisor if recipe.weak.errors == "first-features" else supervisor.of_rows(labelled)


def weak_labels(recipe: Recipe, sets: RowSets, models: TaskModels, task: str, seed: int) -> Scores:
    """The supervisor's labels of one task and seed, from the cache where it has them."""

    def make() -> tuple[Arrays, Record]:
        return dict(supervise(recipe.weak, sets, models, recipe.strong, task=task, seed=seed)), {}

    return models.cache.get(SUPERVISED, described(recipe.weak, sets, models, recipe.strong, seed), make)[0]


def blind_view(recipe: Recipe, sets: RowSets, labels: Scores, models: TaskModels, seed: int) -> Experiment:
    """The view that methods have of one task and seed: texts, activations and weak labels, no ground truth."""
    ids = np.concatenate([sets.train["id"], sets.val["id"]])
    training = recipe.student.training
    return Experiment(
        rows={name: table[["id", "text", GROUP]] for name, table in sets.labelled.items()},
        weak=LabelSet(ids, np.concatenate([labels["train"], labels["val"]]), "weak"),
        activations=models.activations(recipe.strong),
        student=models.learner(recipe.strong, training),
        loss=recipe.student.loss,
        probes=recipe.probes,
        seed=seed,
        cache=models.cache,
        intermediate=tuple(models.learner(model, training) for model in recipe.intermediate),
    )


def ceiling(experiment: Experiment, sets: RowSets) -> Outcome:
    """The student's twin that learned, and was stopped by, ground truth."""
    fit, stop, predict = ceiling_examples(experiment, sets)
    return experiment.outcome(
        experiment.student.train(fit, stop, predict, loss=CEILING_LOSS, seed=experiment.seed, role="truth")
    )


def ceiling_description(experiment: Experiment, sets: RowSets) -> dict[str, Any]:
    """All that decides the ceiling's scores."""
    fit, stop, predict = ceiling_examples(experiment, sets)
    return experiment.student.describe(fit, stop, predict, loss=CEILING_LOSS, seed=experiment.seed)


def ceiling_examples(experiment: Experiment, sets: RowSets) -> tuple[Examples, Examples, dict[str, pd.DataFrame]]:
    """The rows that the ceiling learns from, those that stop it, and those that it scores."""
    return examples(sets.train), examples(sets.val), experiment.predicted


def method_description(name: str, method: Method, experiment: Experiment, sets: RowSets) -> dict[str, Any]:
    """All that decides a method's outcome."""
    return {
        "method": name,
        "code": [code_hash(method.run), *([code_hash(method.removal)] if method.removal else [])],
        "rows": {name: table_hash(table) for name, table in experiment.rows.items()},
        "labels": array_hash(experiment.weak.p),
        "truth": array_hash(truth_of(sets).p) if method.oracle else None,
        "activations": experiment.activations.identity,
        "student": experiment.student.description,
        "intermediate": [learner.description for learner in experiment.intermediate],
        "loss": experiment.loss,
        "losses": {name: code_hash(loss) for name, loss in LOSSES.items()},
        "probes": experiment.probes.model_dump(mode="json", include=set(method.settings)),
        "seed": experiment.seed,
        **probe_code(method.settings),
    }


def method_outcome(name: str, method: Method, experiment: Experiment, sets: RowSets) -> Outcome:
    """A method's outcome, from the cache where it has it."""

    def make() -> tuple[Arrays, Record]:
        return kept_outcome(run_method(method, experiment, sets))

    return outcome_of(*experiment.cache.get(METHOD, method_description(name, method, experiment, sets), make))


def run_method(method: Method, experiment: Experiment, sets: RowSets) -> Outcome:
    """The outcome of a method, which sees the settings that it declares, and the truth if it is a declared oracle."""
    return method.run(experiment.view(method.settings, truth_of(sets) if method.oracle else None))


def truth_of(sets: RowSets) -> LabelSet:
    """The true labels of the training and validation rows."""
    both = pd.concat([sets.train, sets.val])
    return LabelSet(both["id"].to_numpy(dtype=object), both["label"].to_numpy(dtype=np.float64), "truth")
