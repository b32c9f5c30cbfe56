"""A trial is one task and one seed: its weak supervisor comes first, and with its labels the ceiling and every method.

Each step asks for the lessons that it needs, and goes on when they have been taught.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from w2s_probes.errors import InputError

from .experiment.blind_view import blind_view
from .experiment.fusing import fused_models
from .experiment.gold_rows import GoldRows, GoldUse, gold_rows, reads_gold
from .experiment.kept_methods import METHOD, kept_method, method_description, truth_of
from .experiment.method import Method, run_method
from .experiment.opinions import asked_in
from .experiment.outcomes import Outcome
from .experiment.paired_tasks import contrast_in
from .experiment.row_sets import PLAIN, SPREAD, RowSets, is_scored
from .experiment.task_models import Sources, TaskModels, every_row
from .experiment.trusted_rows import TrustedRows, reads_trusted, trusted_rows
from .experiment.view import Experiment
from .lessons.clock import Clock
from .lessons.curves import Curves
from .lessons.engine import Rounds, StepLessons, Steps, together
from .lessons.lesson import TRAINED, Scores, ceiling_lesson
from .recipe.calibration_keys import calibrated_on_gold
from .recipe.debate_settings import BASE
from .recipe.rater_keys import reads_truth
from .recipe.schema import Recipe
from .results.names import CEILING, WEAK, trial_key
from .results.trial_result import TrialResult
from .supervisors import as_seen, described, supervise
from .supervisors.debating import Debating
from .supervisors.ensembles import member_names
from .supervisors.from_model import examples, tuned_model
from .supervisors.held_out import HELD_OUT, asks_supervisor, held_out_rows
from .supervisors.rater_scores import DISAGREEMENT, TRUSTED_READ, disagreement_record, rater_record
from .trial_steps import Step, ceiling

SUPERVISED = "weak"  # kind of the supervisor's labels in the cache
TITLES = {WEAK: "weak supervisor"}  # of steps that are not called by their line in the results


@dataclass(frozen=True)
class Trial:
    """One task and seed. Models and activations are shared with the task's other seeds."""

    recipe: Recipe
    task: str
    seed: int
    drawn: RowSets  # as the supervisor sees them
    methods: Mapping[str, Method]
    supervisor: TaskModels
    students: TaskModels  # which read no rows of weak-train, unless some method declares that it reads their truth

    @property
    def key(self) -> str:
        """Its key in the run's record, and its name in messages."""
        return trial_key(self.task, self.seed)

    @property
    def names(self) -> list[str]:
        """The names of its steps."""
        return [WEAK, CEILING, *self.methods]

    def title(self, name: str) -> str:
        """A step's name in progress lines and in the clock."""
        return f"{self.key}: {TITLES.get(name, name)}"

    @cached_property
    def debating(self) -> Debating | None:
        """The debate that the supervisor reads; None where the recipe has none."""
        return Debating.of(self.recipe, self.drawn, self.supervisor, self.task, self.seed)

    @cached_property
    def weak_description(self) -> dict[str, Any]:
        """All that decides the supervisor's labels: their key in the cache."""
        if self.debating is not None:
            return self.debating.description
        return described(self.recipe.weak, self.drawn, self.supervisor, self.recipe.strong, self.seed)

    @cached_property
    def tuned(self) -> Path | None:
        """The folder of the supervisor's trained model, where some method asks it; None where none does."""
        return tuned_model(self.recipe.weak, self.drawn, self.supervisor, task=self.task, seed=self.seed)

    @property
    def kept_labels(self) -> Scores | None:
        """The supervisor's labels in the cache; None where it lacks them, or the model that some method asks."""
        if self.tuned is not None and not self.tuned.is_dir():
            return None
        kept = self.supervisor.cache.read(SUPERVISED, self.weak_description)
        return None if kept is None else kept[0]

    def weak_steps(self) -> Steps[Scores]:
        """The supervisor's labels, made unless the cache has them."""
        cache = self.supervisor.cache
        kept = None if self.recipe.keep_students else self.kept_labels
        if kept is not None:
            return kept
        self.supervisor.clock.makes(SUPERVISED)
        weak, strong, models = self.recipe.weak, self.recipe.strong, self.supervisor
        plain = supervise(weak, self.drawn, models, strong, task=self.task, seed=self.seed)
        labels = yield from plain if self.debating is None else self.debating.labels()
        cache.write(SUPERVISED, self.weak_description, dict(labels), {})
        return labels

    def supervised(self, taught: StepLessons | None = None) -> "Rounds[LabelledTrial]":
        """The trial with its weak labels; InputError where there are none. Its lessons go into `taught`, by title."""
        title = self.title(WEAK)
        labels = (yield from together({title: self.weak_steps()}, self.supervisor.clock, taught))[title]
        if isinstance(labels, InputError):
            raise labels
        return LabelledTrial(self, labels)


@dataclass(frozen=True)
class LabelledTrial:
    """A trial with its weak labels: the ceiling and the methods are its steps."""

    trial: Trial
    labels: Scores

    @cached_property
    def sets(self) -> RowSets:
        """The row sets as ceiling and methods see them."""
        return as_seen(self.trial.recipe.weak, self.trial.drawn, self.labels)

    @cached_property
    def models(self) -> TaskModels:
        """The models of ceiling and methods: of rows of their own where the supervisor changes the texts."""
        students = self.trial.students
        if self.sets is self.trial.drawn:
            return students
        return students.of_rows(every_row(list(self.sets.read_by_students.values())))

    @cached_property
    def view(self) -> Experiment:
        """The view that methods have."""
        trial = self.trial
        view, tuned = blind_view(trial.recipe, self.sets, self.labels, self.models, trial.seed), trial.tuned
        if tuned is not None:
            base, after = self.models.before_and_after(trial.recipe.weak, tuned)
            view = replace(view, base=base, tuned=after)
        fusing = fused_models(trial.recipe, self.models.opinions_of, view.tuned, self.models.asked)
        apart = self.labels.get(DISAGREEMENT)
        calibrating = self.gold.of(GoldUse()) if self.gold and calibrated_on_gold(trial.recipe) else None
        more: dict[str, Any] = {"disagreement": apart, "calibrating": calibrating}
        return replace(view, debates=trial.debating, fusing=fusing, **more)

    @cached_property
    def trusted(self) -> TrustedRows | None:
        """The rows of weak-train with their truth, for methods that declare that they read some; None without rows."""
        trial, scores = self.trial, self.labels.get(HELD_OUT)
        if self.sets is not trial.drawn:  # students read texts that say what the supervisor thinks
            return None
        held = None if scores is None else held_out_rows(self.sets.weak, trial.task, trial.seed)
        return trusted_rows(self.sets.weak, held, scores)

    @cached_property
    def gold(self) -> GoldRows | None:
        """A few rows of strong-train with their truth, for methods that declare that they read some."""
        trial = self.trial
        if not reads_gold(trial.methods.values()) and not calibrated_on_gold(trial.recipe):
            return None
        return gold_rows(trial.recipe.gold, self.sets, trial.task, trial.seed)

    def steps(self) -> Iterator[Step]:
        """The steps in order."""
        view, sets, clock, true = self.view, self.sets, self.models.clock, (self.trusted, self.gold)
        fit, stop = examples(sets.train), examples(sets.val)
        lesson = ceiling_lesson(view.student, fit, stop, view.predicted, view.seed)
        taught_truth = partial(ceiling, view, lesson)
        yield Step(CEILING, TRAINED, lambda: lesson.description, taught_truth, taught_truth)
        for name, method in self.trial.methods.items():
            assemble = partial(run_method, name, method, view, truth_of(sets), *true)
            described_by = partial(method_description, name, method, view, sets, *true)
            run = partial(kept_method, described_by, assemble, view.cache, clock)
            yield Step(name, METHOD, described_by, run, assemble if method.students else None)

    def run(self, taught: StepLessons | None = None) -> Rounds[dict[str, Outcome | InputError]]:
        """The outcome of every step, or the reason why it has none. Their lessons are put into `taught`, by title.

        Where students are kept, a method is made of its lessons and not taken from the cache, which lacks them.
        """
        title, keeps = self.trial.title, self.trial.recipe.keep_students
        steps = {step.name: step.assemble() if keeps and step.assemble else step.run() for step in self.steps()}
        named = {title(name): step for name, step in steps.items()}
        results = yield from together(named, self.models.clock, taught)
        return {name: results[title(name)] for name in steps}

    @property
    def weak_outcome(self) -> Outcome:
        """The supervisor's scores of the evaluation sets."""
        spread, trusted = self.labels.get(f"{SPREAD}test"), int(self.labels.get(TRUSTED_READ, np.zeros(1))[0])
        notes = {} if spread is None else {"sd": float(spread.mean())}
        scores = {name: labels for name, labels in self.labels.items() if is_scored(name) or name.startswith(PLAIN)}
        return Outcome(scores, notes=notes, trusted=trusted)

    @property
    def raters(self) -> dict[str, Any]:
        """What a run's record says of several raters; empty where there is one."""
        names = member_names(self.trial.recipe.weak.model_dump(mode="json"))
        truth = self.sets.test["label"].to_numpy(dtype=np.float64)
        found = {"raters": rater_record(names, self.labels, truth), "disagreement": disagreement_record(self.labels)}
        return {name: part for name, part in found.items() if part}

    @property
    def layer(self) -> int:
        """The layer of the strong model that is read, by its number."""
        return self.models.activations(self.trial.recipe.strong).index

    @property
    def stores(self) -> list[str]:
        """The keys of the stores that were read."""
        return sorted({*self.trial.supervisor.stores, *self.models.stores})

    def result(self, outcomes: Mapping[str, Outcome]) -> TrialResult:
        """The outcomes of the steps, beside the truth that evaluates them."""
        methods, sets = self.trial.methods, self.sets
        oracles = frozenset({CEILING, *(name for name, method in methods.items() if method.oracle)})
        ceilings = {
            name: method.ceiling
            for name, method in methods.items()
            if method.ceiling in outcomes and method.ceiling != CEILING
        }
        judged = TrialResult(sets.test, sets.candidates, outcomes, oracles, self.trial.seed, self.layer, ceilings)
        return replace(judged, tests=sets.tests, subsets=sets.subsets, base=BASE if BASE in outcomes else "")


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
    trusted, tuned = reads_trusted(methods.values()), asks_supervisor(recipe, methods)
    supervisor, students = task_models(
        recipe, task, list(splits.values()), cache, sources, clock, curves, trusted=trusted, tuned=tuned
    )
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
    *,
    trusted: bool = False,
    tuned: bool = False,
) -> tuple[TaskModels, TaskModels]:
    """The models of the supervisor and those of students, which read rows of weak-train where these are `trusted`.

    The supervisor's trained model is kept where it is asked as `tuned`.
    """
    labelled = every_row([table for sets in seeds for table in sets.labelled.values()])
    read = every_row([table for sets in seeds for table in sets.read_by_students.values()])
    # Trusted rows are read by students, too; a supervisor of first features is a head on the student's activations.
    shared = trusted or recipe.weak.errors == "first-features"
    own = read if shared else labelled
    every = every_row([own, *(sets.weak for sets in seeds)]) if reads_truth(recipe.weak) else own
    asked, contrast = asked_in(recipe, task), contrast_in(task, recipe.data.tasks)
    keeps = (recipe.keep_students, tuned)
    supervisor = TaskModels(task, every, cache, sources, clock, curves, *keeps, asked, contrast, recipe.device)
    return supervisor, supervisor if shared else supervisor.of_rows(read)
