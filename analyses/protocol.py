"""The experiment: recipe in, results out. Weak supervisor, ceiling and student are the same few steps."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.extractor import Done, Extraction, extract_cached
from extract.models import ModelSource
from extract.tasks import read_task
from w2s_probes.store import ActivationStore
from w2s_probes.students import HeadStudent
from w2s_probes.tables import write_table

from .artifacts import write_labels, write_record
from .experiment import Experiment, Method, Outcome
from .methods import find_methods
from .recipe import Recipe, Strong, Weak
from .results import result_rows, results_table
from .splits import Splits, split
from .supervisors import head_supervisor, text_supervisor

RESULTS, RECORD, ACTIVATIONS, LABELS = "results.csv", "run.json", "activations", "labels"

Report = Callable[[str, int, int], None]  # what is being done, steps done, steps in all


def run(recipe: Recipe, out: Path | str, report: Report = lambda doing, done, total: None) -> pd.DataFrame:
    """Run a recipe; write `results.csv` and `run.json` into `out` at the end, and return the results.

    The label files of each task and seed are written on the way (`write_labels`). Activations are kept in
    `out`/activations under their keys and used again by any run there that needs the same. Raises InputError
    for tasks, models and sizes that do not fit, before any training.
    """
    began = time.monotonic()
    methods = find_methods(recipe.methods)
    splits = {Path(name).stem: split_task(recipe, name) for name in recipe.data.tasks}
    strong = ModelSource.find(recipe.strong.model)
    weak = ModelSource.find(recipe.weak.model) if recipe.weak.model is not None else None
    per_seed = 2 + len(methods)  # weak supervisor and ceiling beside them
    steps = _Steps(report, len(splits) * (1 + (weak is not None) + len(recipe.seeds) * per_seed))
    this = _Run(recipe, Path(out), methods, strong, weak, steps)
    lines = [line for task, seeds in splits.items() for line in this.task(task, seeds)]
    steps.finish()
    results = results_table(lines)
    models = {role: source.weights for role, source in (("strong", strong), ("weak", weak)) if source}
    seconds = round(time.monotonic() - began, 1)
    write_record(this.out / RECORD, recipe, models=models, runs=this.record, seconds=seconds)
    write_table(results, this.out / RESULTS)
    return results


def split_task(recipe: Recipe, name: str) -> dict[int, Splits]:
    """A task's row sets for every seed."""
    task, rows = read_task(name, recipe.data.folder)
    sizes = {"n_weak": recipe.weak.n_truth, **recipe.data.model_dump(include={"n_train", "n_val", "n_test"})}
    return {
        seed: split(rows["train"], rows["test"], **sizes, balance=task.balance, seed=seed, task=Path(name).stem)
        for seed in recipe.seeds
    }


@dataclass
class _Steps:
    report: Report
    total: int
    done: int = 0

    def next(self, doing: str) -> None:
        self.report(doing, self.done, self.total)
        self.done += 1

    def rows(self, doing: str) -> Callable[[Done], None]:
        """Progress within the step that was begun last."""
        return lambda done: self.report(f"{doing}, row {done.rows} of {done.of_rows}", self.done - 1, self.total)

    def finish(self) -> None:
        self.report("done", self.total, self.total)


@dataclass
class _Run:
    recipe: Recipe
    out: Path
    methods: Mapping[str, Method]
    strong: ModelSource
    weak: ModelSource | None
    steps: _Steps
    record: dict[str, Any] = field(default_factory=dict)  # for run.json

    def task(self, task: str, seeds: dict[int, Splits]) -> list[dict[str, Any]]:
        """The result rows of one task: activations once, everything else by seed."""
        sets = list(seeds.values())
        strong = self.activations(task, "strong", self.strong, self.recipe.strong, rows_needed(sets, False))
        weak = None
        if self.weak is not None:
            weak = self.activations(task, "weak", self.weak, self.recipe.weak, rows_needed(sets, True))
        return [line for seed, chosen in seeds.items() for line in self.seed(task, seed, chosen, strong, weak)]

    def activations(
        self, task: str, role: str, source: ModelSource, settings: Strong | Weak, rows: pd.DataFrame
    ) -> ActivationStore:
        """The store of one model's activations at the recipe's layer and position."""
        doing = f"{task}: {role} model"
        self.steps.next(doing)
        plan = Extraction.plan(source, rows, layers=settings.layer, position=settings.position)
        return extract_cached(plan, self.out / ACTIVATIONS, self.steps.rows(doing))

    def seed(
        self, task: str, seed: int, sets: Splits, strong: ActivationStore, weak: ActivationStore | None
    ) -> list[dict[str, Any]]:
        """The result rows of one task and seed: weak supervisor, ceiling, and every method."""
        self.steps.next(f"{task}: weak supervisor")
        epochs = self.recipe.student.epochs
        labels = head_supervisor(sets, weak, epochs=epochs, seed=seed) if weak else text_supervisor(sets)
        write_labels(self.out / LABELS, f"{task}-{seed}", sets, labels)
        experiment = blind_view(self.recipe, sets, strong, labels, seed)
        self.steps.next(f"{task}: ceiling")
        outcomes = {"weak": Outcome(labels["test"]), "ceiling": Outcome(ceiling(experiment, sets))}
        for name, method in self.methods.items():
            self.steps.next(f"{task}: {name}")
            outcomes[name] = method(experiment)
        self.record[f"{task}, seed {seed}"] = {
            "splits": sets.summary(),
            "activations": {"strong": strong.key, "weak": weak.key if weak else None},
            "methods": {name: outcome.notes for name, outcome in outcomes.items() if outcome.notes},
        }
        (layer,) = strong.layers
        truth = sets.test["label"].to_numpy(dtype=np.float64)
        return result_rows(outcomes, truth, task=task, seed=seed, layer=layer, n_boot=self.recipe.n_boot)


def rows_needed(splits: list[Splits], with_weak: bool) -> pd.DataFrame:
    """Every row (id, text) that any seed reads, once; weak-train only where the weak model needs it."""
    names = ("weak", "train", "val", "test") if with_weak else ("train", "val", "test")
    tables = [getattr(sets, name)[["id", "text"]] for sets in splits for name in names]
    rows: pd.DataFrame = pd.concat(tables).drop_duplicates("id").sort_values("id").reset_index(drop=True)
    return rows


def blind_view(
    recipe: Recipe, sets: Splits, store: ActivationStore, labels: dict[str, NDArray[np.float64]], seed: int
) -> Experiment:
    """What methods see of one task and seed: activations and weak labels, no ground truth."""
    (layer,) = store.layers
    X = {name: store.layer(layer, ids=getattr(sets, name)["id"].to_numpy()) for name in ("train", "val", "test")}
    groups = sets.train["group"]
    return Experiment(
        X_train=X["train"],
        X_val=X["val"],
        X_test=X["test"],
        weak_train=labels["train"],
        weak_val=labels["val"],
        groups=groups.to_numpy(dtype=object) if groups.duplicated().any() else None,
        student=recipe.student,
        probes=recipe.probes,
        seed=seed,
    )


def ceiling(experiment: Experiment, sets: Splits) -> NDArray[np.float64]:
    """Test scores (n_test,) of the student's twin that learned, and was stopped, by ground truth."""
    train, val = (table["label"].to_numpy(dtype=np.float64) for table in (sets.train, sets.val))
    head = HeadStudent("xent", epochs=experiment.student.epochs, seed=experiment.seed)
    head.fit(experiment.X_train, train, experiment.X_val, val)
    return head.predict_proba(experiment.X_test)[:, 1]
