"""The experiment: recipe in, results out. Weak supervisor, ceiling and student are one operation, `Learner.train`."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from extract.tasks import TaskRows, load_task
from w2s_probes.errors import InputError
from w2s_probes.io.tables import write_table
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.losses import LOSSES
from w2s_probes.progress import Progress, silent
from w2s_probes.rows.groups import GROUP
from w2s_probes.students.finetuning.settings import Tracker
from w2s_probes.students.finetuning.tracking import refuse_absent

from .experiment.clock import Steps
from .experiment.learners import Curves, Examples, Leak, Scores
from .experiment.outcomes import kept_outcome, outcome_of, write_verdict
from .experiment.result_cache import Arrays, Record, array_hash, code_hash, table_hash
from .experiment.splits import Splits, split
from .experiment.task_models import Sources, Workshop, every_row
from .experiment.view import Experiment, Method, Outcome, Undeclared
from .methods import find_method, find_methods
from .recipe.layer_checks import refuse_layers
from .recipe.schema import Recipe
from .results.comparisons import compare
from .results.names import CEILING
from .results.run_folder import COMPARISONS as COMPARISONS
from .results.run_folder import CURVES as CURVES
from .results.run_folder import FILTERS as FILTERS
from .results.run_folder import LABELS as LABELS
from .results.run_folder import PREDICTIONS as PREDICTIONS
from .results.run_folder import RECIPE as RECIPE
from .results.run_folder import RECORD as RECORD
from .results.run_folder import RESULTS as RESULTS
from .results.run_folder import names_of, remove_earlier, write_labels, write_predictions, write_recipe, write_record
from .results.table import Judged, results_table, task_rows
from .supervisors import as_seen, described, supervise
from .supervisors.from_model import examples

WEAK, METHOD = "weak", "methods"  # kinds of kept results
REFERENCES = 2  # weak supervisor and ceiling, which are trained beside the methods


def run(
    recipe: Recipe,
    out: Path | str,
    progress: Progress = silent,
    *,
    cache: Path | None = None,
    track: Tracker | None = None,
) -> pd.DataFrame:
    """Run a recipe; write `results.csv`, `comparisons.csv` and `run.json` into `out` at the end; return the results.

    A method that cannot be used on a task and seed (labels of one class, say) is left out there and named in run.json.
    Label files, verdicts of filters and test scores of each task and seed are written on the way. Activations and
    everything that was trained are kept in `cache` (`out` unless given) under the names of all that decides them: a
    run that was killed goes on, and other runs there use what is the same. `track` draws the course of every
    fine-tuning that is not kept. Files that an earlier run into `out` wrote for other tasks, seeds and filters are
    deleted at the end. Raises InputError for tasks, models and sizes that do not fit, before any training;
    and for a method that cannot be used anywhere.
    """
    began = time.monotonic()
    if track is not None:
        refuse_absent(track)
    methods = find_methods(recipe.methods)
    try:
        find_method(recipe.baseline)
    except InputError as error:
        raise InputError(f"baseline: {error}") from error
    if "bootstrap" in methods and not recipe.intermediate:
        raise InputError("method 'bootstrap' needs models between weak and strong: add [[intermediate]] to the recipe")
    loaded = [load_task(name, recipe.data.folder) for name in recipe.data.tasks]
    splits = {task.name: split_loaded(recipe, task) for task in loaded}
    sources = Sources()
    for name in recipe.models:
        sources.find(name)
    refuse_layers(recipe, sources.find)
    steps = Steps(progress, len(splits) * len(recipe.seeds) * (REFERENCES + len(methods)))
    this = _Run(recipe, Path(out), methods, sources, steps, Path(cache or out), track)
    judged = {task: this.task(task, seeds) for task, seeds in splits.items()}
    runs = len(splits) * len(recipe.seeds)
    for name in methods:
        if sum(failure.method == name for failure in this.failed) == runs:
            reason = next(failure.reason for failure in this.failed if failure.method == name)
            raise InputError(f"method {name!r} cannot be used here: {reason}")
    results = results_table([line for task, runs in judged.items() for line in task_rows(task, runs, recipe.n_boot)])
    steps.finish()
    models = {name: source.weights for name, source in sources.found.items()}
    seconds = round(time.monotonic() - began, 1)
    write_table(compare(judged, recipe.baseline), this.out / COMPARISONS)
    rows = {task.name: task.source for task in loaded}
    failed = [asdict(failure) for failure in this.failed]
    made = {(task, seed): judged[task][seed].outcomes for task, seeds in splits.items() for seed in seeds}
    files = names_of(made)
    remove_earlier(this.out, files)
    write_recipe(this.out / RECIPE, recipe)
    write_table(results, this.out / RESULTS)
    more = {"models": models, "rows": rows, "runs": this.record, "failed": failed, "seconds": seconds}
    write_record(this.out / RECORD, recipe, files, **more)
    return results


def split_task(recipe: Recipe, name: str) -> dict[int, Splits]:
    """A task's row sets for every seed."""
    return split_loaded(recipe, load_task(name, recipe.data.folder))


def split_loaded(recipe: Recipe, loaded: TaskRows) -> dict[int, Splits]:
    """The row sets of a task that has been read."""
    sizes = {"n_weak": recipe.weak.n_truth, **recipe.data.model_dump(include={"n_train", "n_val", "n_test"})}
    if recipe.weak.kind == "labels":
        sizes["n_weak"] = 0
    found = {}
    for seed in recipe.seeds:
        sets = split(
            loaded.train,
            loaded.test,
            **sizes,
            at_most=recipe.data.at_most,
            balance=loaded.task.balance,
            seed=seed,
            task=loaded.name,
        )
        if loaded.candidates is not None:
            sets = replace(sets, candidates=loaded.candidates_of(sets.test["id"]))
        found[seed] = sets
    return found


@dataclass(frozen=True)
class Failure:
    """A method that could not be used on one task and seed, and why."""

    task: str
    seed: int
    method: str
    reason: str


@dataclass
class _Run:
    recipe: Recipe
    out: Path
    methods: Mapping[str, Method]
    sources: Sources
    steps: Steps
    cache: Path
    track: Tracker | None = None
    record: dict[str, Any] = field(default_factory=dict)  # for run.json
    failed: list[Failure] = field(default_factory=list)

    def task(self, task: str, seeds: dict[int, Splits]) -> dict[int, Judged]:
        """What every method gave for one task, by seed."""
        supervisor, student = workshops(self.recipe, task, list(seeds.values()), self.cache, self.sources, self.steps)
        if self.track is not None:
            curves = Curves(self.track, self.out / CURVES, lambda: self.steps.doing)
            supervisor, student = (replace(one, curves=curves) for one in (supervisor, student))
        return {seed: self.seed(task, seed, sets, supervisor, student) for seed, sets in seeds.items()}

    def seed(self, task: str, seed: int, sets: Splits, supervisor: Workshop, student: Workshop) -> Judged:
        """One task and seed: weak supervisor, ceiling, and every method."""
        recipe = self.recipe
        self.steps.next(f"{task}, seed {seed}: weak supervisor")
        labels = weak_labels(recipe, sets, supervisor, task, seed)
        taken = {"weak": self.steps.taken()}
        sets = as_seen(recipe.weak, sets, labels)
        if recipe.weak.errors == "imitation":
            student = student.of_rows(every_row(list(sets.labelled.values())))
        write_labels(self.out / LABELS, f"{task}-{seed}", sets, labels)
        experiment = blind_view(recipe, sets, labels, student, seed)
        self.steps.next(f"{task}, seed {seed}: ceiling")
        outcomes = {"weak": Outcome(experiment.judged(labels)), "ceiling": ceiling(experiment, sets)}
        taken["ceiling"] = self.steps.taken()
        layer = student.activations(recipe.strong).index
        for name, method in self.methods.items():
            self.steps.next(f"{task}, seed {seed}: {name}")
            try:
                outcomes[name] = method_outcome(name, method, experiment, sets)
            except (Leak, Undeclared):
                raise
            except InputError as error:  # labels of one class, too few rows in the components: the others go on
                self.failed.append(Failure(task, seed, name, str(error)))
                continue
            taken[name] = self.steps.taken()
            write_verdict(self.out / FILTERS, f"{task}-{seed}-{name}", sets, labels["val"], outcomes[name], layer)
        self.record[f"{task}, seed {seed}"] = {
            "splits": sets.summary(),
            "activations": sorted({*supervisor.stores, *student.stores}),
            "methods": {name: outcome.notes for name, outcome in outcomes.items() if outcome.notes},
            "taken": {name: asdict(one) for name, one in taken.items()},
        }
        oracles = frozenset({"ceiling", *(name for name, method in self.methods.items() if method.oracle)})
        write_predictions(self.out / PREDICTIONS, f"{task}-{seed}", sets.test, outcomes)
        own = {
            name: method.ceiling
            for name, method in self.methods.items()
            if method.ceiling in outcomes and method.ceiling != CEILING
        }
        return Judged(sets.test, sets.candidates, outcomes, oracles, seed, layer, own)


def workshops(
    recipe: Recipe, task: str, seeds: list[Splits], cache: Path, sources: Sources, steps: Steps
) -> tuple[Workshop, Workshop]:
    """Where the supervisor and where students work: the strong model does not read weak-train."""
    seen = every_row([table for sets in seeds for table in sets.labelled.values()])
    taught = every_row([seen, *(sets.weak for sets in seeds)]) if recipe.weak.kind != "labels" else seen
    supervisor = Workshop(task, taught, cache, sources, steps)
    return supervisor, supervisor if recipe.weak.errors == "first-features" else supervisor.of_rows(seen)


def weak_labels(recipe: Recipe, sets: Splits, workshop: Workshop, task: str, seed: int) -> Scores:
    """The supervisor's labels of one task and seed, kept."""

    def make() -> tuple[Arrays, Record]:
        return dict(supervise(recipe.weak, sets, workshop, recipe.strong, task=task, seed=seed)), {}

    return workshop.kept.get(WEAK, described(recipe.weak, sets, workshop, recipe.strong, seed), make)[0]


def blind_view(recipe: Recipe, sets: Splits, labels: Scores, workshop: Workshop, seed: int) -> Experiment:
    """What methods see of one task and seed: texts, activations and weak labels, no ground truth."""
    ids = np.concatenate([sets.train["id"], sets.val["id"]])
    training = recipe.student.training
    return Experiment(
        rows={name: table[["id", "text", GROUP]] for name, table in sets.labelled.items()},
        weak=LabelSet(ids, np.concatenate([labels["train"], labels["val"]]), "weak"),
        activations=workshop.activations(recipe.strong),
        student=workshop.learner(recipe.strong, training),
        loss=recipe.student.loss,
        probes=recipe.probes,
        seed=seed,
        kept=workshop.kept,
        intermediate=tuple(workshop.learner(model, training) for model in recipe.intermediate),
    )


def ceiling(experiment: Experiment, sets: Splits) -> Outcome:
    """The student's twin that learned, and was stopped by, ground truth."""
    fit, stop, predict = ceiling_lesson(experiment, sets)
    return experiment.outcome(
        experiment.student.train(fit, stop, predict, loss="xent", seed=experiment.seed, role="truth")
    )


def ceiling_lesson(experiment: Experiment, sets: Splits) -> tuple[Examples, Examples, dict[str, pd.DataFrame]]:
    """What the ceiling learns from, is stopped by, and predicts."""
    return examples(sets.train), examples(sets.val), experiment.predicted


def method_description(name: str, method: Method, experiment: Experiment, sets: Splits) -> dict[str, Any]:
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
    }


def method_outcome(name: str, method: Method, experiment: Experiment, sets: Splits) -> Outcome:
    """What a method gives, kept. Truth is at hand for those alone that are declared oracles."""

    def make() -> tuple[Arrays, Record]:
        return kept_outcome(method.run(method_view(method, experiment, sets)))

    return outcome_of(*experiment.kept.get(METHOD, method_description(name, method, experiment, sets), make))


def method_view(method: Method, experiment: Experiment, sets: Splits) -> Experiment:
    """The experiment as a method may see it: the settings that it declares, and truth for declared oracles alone."""
    return experiment.view(method.settings, truth_of(sets) if method.oracle else None)


def truth_of(sets: Splits) -> LabelSet:
    """The true labels of the training and validation rows."""
    both = pd.concat([sets.train, sets.val])
    return LabelSet(both["id"].to_numpy(dtype=object), both["label"].to_numpy(dtype=np.float64), "truth")
