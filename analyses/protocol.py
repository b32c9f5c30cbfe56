"""The experiment: recipe in, results out."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from extract.extractor import Extraction
from w2s_probes.errors import InputError
from w2s_probes.io.tables import write_table
from w2s_probes.places import HERE, Place
from w2s_probes.places.sole_writer import sole_writer
from w2s_probes.progress import Progress, silent
from w2s_probes.share import WHOLE, Share
from w2s_probes.students.finetuning.settings import Tracker

from .checked_recipe import CheckedRecipe
from .costs import layers_read, reads_known_rows, reads_tokens
from .debates import keep_debate, transcripts_of
from .experiment.outcomes import Outcome, write_verdict
from .experiment.paired_tasks import reads_pairs
from .experiment.trusted_rows import reads_trusted
from .lessons.clock import Clock, processes
from .lessons.crew import Crew
from .lessons.curves import Curves
from .lessons.engine import Here, Rounds, StepLessons, Teacher, conduct
from .lessons.result_cache import table_hash
from .recipe.schema import Recipe
from .results.comparisons import compare
from .results.names import (
    COMPARISONS,
    CURVES,
    RECIPE,
    RECORD,
    REFERENCES,
    RESULTS,
    WEAK,
    filter_file,
    trial_files,
    trial_key,
)
from .results.run_folder import (
    recipe_key,
    remove_earlier,
    write_gold,
    write_labels,
    write_predictions,
    write_recipe,
    write_record,
)
from .results.student_folders import put_students, remove_other_students
from .results.table import results_table, task_rows
from .results.trial_result import TrialResult
from .results.weak_rates import rates_beside
from .trial import Trial, task_models, trials

Judged = dict[str, dict[int, TrialResult]]  # by task and seed


def run(
    recipe: Recipe,
    out: Path | str,
    progress: Progress = silent,
    *,
    cache: Path | None = None,
    track: Tracker | None = None,
    place: Place = HERE,
    share: Share | None = None,
) -> pd.DataFrame:
    """Run a recipe; write `results.csv`, `comparisons.csv` and `run.json` into `out` at the end; return the results.

    A method that cannot be used on a task and seed (labels of one class, say) is left out there and named in run.json.
    Label files, verdicts of filters and test scores of each task and seed are written on the way. Activations and
    everything that was trained are kept in `cache` (`out` unless given) under the names of all that decides them: a
    run that was killed goes on, and other runs there use what is the same. `track` draws the course of every
    fine-tuning that is not kept. `place` says where models are trained: here, in several processes, on a Ray or Dask
    cluster. Processes that run a recipe with one cache share its trainings; each begins with the trials of its
    `share`, and all end with the same results. Files that an earlier run into `out` wrote for other tasks, seeds and
    filters are deleted at the end. Raises InputError for tasks, models and sizes that do not fit, and for a place that
    is not there, before any training; where a process runs another recipe into `out`; and for a method that cannot be
    used anywhere.
    """
    began = time.monotonic()
    checked = CheckedRecipe.of(recipe, Path(out), place, share, track)
    clock = Clock(progress, checked.fits)
    with sole_writer(Path(out), Path(out) / RECORD, work=recipe_key(recipe)):
        this = _Run(checked, Path(out), clock, Path(cache or out), track)
        by_task = this.results(place, share)
        this.refuse_used_nowhere()
        lines = []
        for task, judged in by_task.items():
            clock.report(f"{task}: intervals of its results")
            lines += task_rows(task, judged, recipe.n_boot, recipe.results.every_metric)
        results = results_table(lines)
        clock.report("comparisons over tasks")
        comparisons = compare(by_task, recipe.baseline, recipe.results.every_metric)
        clock.finish()
        this.write(by_task, results, comparisons, round(time.monotonic() - began, 1))
    return results


@dataclass(frozen=True)
class Failure:
    """A method that could not be used on one task and seed, and why."""

    task: str
    seed: int
    method: str
    reason: str


@dataclass
class _Run:
    checked: CheckedRecipe
    out: Path
    clock: Clock
    cache: Path
    track: Tracker | None = None
    record: dict[str, Any] = field(default_factory=dict)  # for run.json, by the trials' keys
    failed: list[Failure] = field(default_factory=list)
    students: set[str] = field(default_factory=set)  # folders of those that were kept, within `out`

    def __post_init__(self) -> None:
        self.recipe, self.methods = self.checked.recipe, self.checked.methods
        self.splits, self.sources = self.checked.splits, self.checked.sources

    def results(self, place: Place, share: Share | None) -> Judged:
        """The results of all trials, by task and seed."""
        with ExitStack() as stack:
            teacher: Teacher = Here(self.clock)
            at_once = 1
            if processes() == 1:
                teacher = crew = stack.enter_context(closing(Crew(self.clock, place, shared=share is not None)))
                self.sources.extract, at_once = crew.extract, crew.trials_at_once
            if isinstance(teacher, Crew) and not teacher.alone:
                for plan, folder in self.extractions():
                    teacher.begin(plan, folder, among=len(self.splits))
            return self.tasks(teacher, at_once, share or WHOLE)

    def tasks(self, teacher: Teacher, at_once: int, share: Share) -> Judged:
        """The results of all trials, `at_once` under way at a time."""
        names = self.checked.trials
        begun = share.index * len(names) // share.count
        order = names[begun:] + names[:begun]
        found = conduct((self.trial(trial) for trial in self._trials(order)), teacher, at_once)
        results = dict(zip(order, found, strict=True))
        self.record = {trial_key(*name): self.record[trial_key(*name)] for name in names}
        self.failed.sort(
            key=lambda failure: (names.index((failure.task, failure.seed)), list(self.methods).index(failure.method))
        )
        return {task: {seed: results[task, seed] for seed in seeds} for task, seeds in self.splits.items()}

    def extractions(self) -> Iterator[tuple[Extraction, Path]]:
        """What the strong model has to read, task by task, and the folder of the stores."""
        if not reads_known_rows(self.recipe, dict(self.methods)):
            return
        for task, seeds in self.splits.items():
            trusted = reads_trusted(self.methods.values())
            sets = list(seeds.values())
            models = task_models(self.recipe, task, sets, self.cache, self.sources, self.clock, trusted=trusted)[1]
            needed = [models.activations(self.recipe.strong)]
            needed += [models.tokens(self.recipe.strong)] if reads_tokens(self.recipe, dict(self.methods)) else []
            if reads_pairs(self.methods) and (pairs := models.pairs(self.recipe.strong)) is not None:
                needed.append(pairs.sides)
            needed += [models.activations(model) for model in layers_read(self.recipe, dict(self.methods))]
            for activations in needed:
                if len(missing := activations.missing()):
                    yield activations.plan(missing), activations.folder

    def _trials(self, order: list[tuple[str, int]]) -> Iterator[Trial]:
        """Trials in this order, each made when it is begun."""
        curves = None if self.track is None else Curves(self.track, self.out / CURVES)
        for task, wanted in groupby(order, key=lambda name: name[0]):
            seeds = {seed for _, seed in wanted}
            of_task = trials(
                self.recipe, task, self.splits[task], self.methods, self.cache, self.sources, self.clock, curves
            )
            yield from (trial for trial in of_task if trial.seed in seeds)

    def trial(self, trial: Trial) -> Rounds[TrialResult]:
        """Make the steps of a trial and write its files."""
        named = (trial.task, trial.seed)
        taught: StepLessons = {}
        labelled = yield from trial.supervised(taught)
        sets, labels = labelled.sets, labelled.labels
        write_labels(self.out, *named, sets, labels)
        heard = yield from transcripts_of(trial)
        debate = keep_debate(self.out, trial, heard) if heard else None
        outcomes: dict[str, Outcome] = {WEAK: labelled.weak_outcome}
        for name, outcome in (yield from labelled.run(taught)).items():
            if isinstance(outcome, Outcome):
                outcomes[name] = outcome
                write_verdict(self.out / filter_file(*named, name), sets, labels["val"], outcome, labelled.layer)
            elif name in REFERENCES:
                raise outcome
            else:  # labels of one class, too few rows in the components: the others go on
                self.failed.append(Failure(*named, name, str(outcome)))
        notes = {name: outcome.notes for name, outcome in outcomes.items() if outcome.notes}
        self.record[trial.key] = {
            "splits": sets.summary(),
            "activations": labelled.stores,
            **labelled.raters,
            "methods": notes,
            **rates_beside(notes, sets.train["label"].to_numpy(dtype=float), labels["train"]),
            **({} if debate is None else {"debate": debate}),
            "taken": {name: asdict(self.clock.taken(trial.title(name))) for name in outcomes},
        }
        if self.recipe.keep_students:
            by_name = {name: taught.get(trial.title(name), []) for name in trial.names}
            self.students |= put_students(self.out, *named, by_name)
        result = labelled.result(outcomes)
        write_predictions(self.out, *named, result)
        return result

    def refuse_used_nowhere(self) -> None:
        """InputError for a method that could not be used in any trial."""
        for name in self.methods:
            reasons = [failure.reason for failure in self.failed if failure.method == name]
            if len(reasons) == len(self.checked.trials):
                raise InputError(f"method {name!r} cannot be used here: {reasons[0]}")

    def write(self, by_task: Judged, results: pd.DataFrame, comparisons: pd.DataFrame, seconds: float) -> None:
        """Put the tables and the record into the folder, and delete what an earlier run has left there."""
        write_table(comparisons, self.out / COMPARISONS)
        used = {(task, seed): by_task[task][seed].outcomes for task, seed in self.checked.trials}
        test_sets = {
            task: {name: table_hash(table) for name, table in next(iter(seeds.values())).tests.items()}
            for task, seeds in self.splits.items()
        }
        files = trial_files(used, test_sets)
        files |= write_gold(self.out, results, self.record, self.recipe)
        remove_earlier(self.out, files)
        remove_other_students(self.out, self.students)
        write_recipe(self.out / RECIPE, self.recipe)
        write_table(results, self.out / RESULTS)
        more = {
            "models": {name: source.weights for name, source in self.sources.by_name.items()},
            "rows": {task.name: task.source for task in self.checked.loaded},
            "runs": self.record,
            "failed": [asdict(failure) for failure in self.failed],
            "seconds": seconds,
        }
        more |= {"test_sets": test_sets} if any(test_sets.values()) else {}
        write_record(self.out / RECORD, self.recipe, files, **more)
