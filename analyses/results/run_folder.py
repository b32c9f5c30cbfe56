"""The files that a run writes beside its results: label files for the other commands, test scores, and its record."""

import platform
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.io.files import is_inside, replacing
from w2s_probes.io.json_files import read_json
from w2s_probes.io.sealed import FILES, write_sealed
from w2s_probes.io.tables import write_table
from w2s_probes.rows.groups import GROUP
from w2s_probes.store.manifest import identity_key

from ..experiment.outcomes import Outcome
from ..experiment.row_sets import OTHER_TEST, PLAIN, SPREAD, RowSets
from ..recipe.schema import Recipe
from ..recipe.write_toml import toml
from .gold_tables import BUDGET, CHOICES, budget_table, choice_table
from .names import (
    ALPHA,
    COMPARISONS,
    RECIPE,
    RECORD,
    RESULTS,
    TEST,
    UNCALIBRATED,
    labels_file,
    parse_trial_key,
    predictions_file,
    trial_files,
)
from .trial_result import TrialResult

PACKAGES = ("w2s-probes", "numpy", "scipy", "scikit-learn", "faiss-cpu", "torch", "transformers", "nnsight", "peft")


def write_labels(out: Path, task: str, seed: int, sets: RowSets, labels: dict[str, NDArray[Any]]) -> None:
    """Write the label files of one task and seed, as `w2s filter`, `relabel`, `student` and `extract` read them.

    One holds the weak labels of the training and validation rows, the other those of the test rows; test sets with
    rows of their own have a file each. `sd` is that over the members of a supervisor that has some.
    """
    parts = {
        part: sets.tables[part].rename(columns={"label": "truth"}).assign(label=labels[part], split=part)
        for part in ("train", "val", "test")
    }
    for part in [part for part in parts if SPREAD + part in labels]:
        parts[part]["sd"] = labels[SPREAD + part]
    taught = pd.concat([parts["train"], parts["val"]], ignore_index=True)
    write_table(taught, out / labels_file(task, seed, "weak"))
    write_table(parts["test"], out / labels_file(task, seed, "test"))
    for name, table in sets.tests.items():
        of_set = table.rename(columns={"label": "truth"}).assign(label=labels[OTHER_TEST + name], split="test")
        write_table(of_set, out / labels_file(task, seed, "test", name))


def write_predictions(out: Path, task: str, seed: int, result: TrialResult) -> None:
    """Write P(label = 1) of every test row by the supervisor, the ceiling and each method, beside the truth.

    A file for the task's own test set, and one for each that has rows of its own.
    """
    for test_set in (TEST, *result.tests):
        one = result.on(test_set)
        _write_scores(out / predictions_file(task, seed, test_set), one.test, one.outcomes)


def _write_scores(file: Path, test: pd.DataFrame, outcomes: Mapping[str, Outcome]) -> None:
    """The scores of one test set.

    `group` is the test row's: rows of one group are not independent. A method of several draws has a column for each,
    METHOD/1, METHOD/2, ...; one that fuses logits has α of each row in another, and one that the recipe calibrates its
    scores before that.
    """
    scores: dict[str, NDArray[Any]] = {}
    for method, outcome in outcomes.items():
        for name, of in ((method, TEST), (UNCALIBRATED + method, PLAIN + TEST)):
            drawn = outcome.scores.get(of, np.empty((0, len(test))))
            scores |= {name: drawn} if drawn.ndim == 1 else {f"{name}/{i}": one for i, one in enumerate(drawn, 1)}
        scores |= {ALPHA + method: outcome.alphas[TEST]} if TEST in outcome.alphas else {}
    table = pd.DataFrame({"id": test["id"], GROUP: test[GROUP], "truth": test["label"], **scores})
    write_table(table, file)


def remove_earlier(out: Path, own: Collection[str]) -> None:
    """Delete the files that the folder's earlier record names, but those of this run: `own` (as `trial_files`).

    Tables of gold rows are among them. Its record must still be there. A file of any other name is the user's, and is
    left, as is a table of gold rows that no record names.
    """
    try:
        record = read_json(out / RECORD)
        methods = {parse_trial_key(key): record["recipe"]["methods"] for key in record["runs"]}
        there = trial_files(methods, record.get("test_sets")) | {BUDGET, CHOICES}.intersection(record.get(FILES, ()))
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ):  # no earlier run, or another program's file
        return
    for name in there.difference(own):
        if is_inside(name) and (name.count("/") == 1 or name in (BUDGET, CHOICES)):
            (out / name).unlink(missing_ok=True)


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write the recipe as TOML, as it was run: with the settings of the command line, and absolute paths."""
    with replacing(path) as temporary:
        temporary.write_text(toml(recipe.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")


def write_gold(out: Path, results: pd.DataFrame, runs: Mapping[str, Any], recipe: Recipe) -> set[str]:
    """Write the tables of gold rows that there are; their names."""
    costs = recipe.gold.costs.model_dump()
    tables = {BUDGET: budget_table(results, runs, costs, recipe.baseline), CHOICES: choice_table(runs)}
    there = {name: table for name, table in tables.items() if not table.empty}
    for name, table in there.items():
        write_table(table, out / name)
    return set(there)


def recipe_key(recipe: Recipe) -> str:
    """A hash of all that a recipe says: runs of equal ones write equal files."""
    return identity_key({"recipe": recipe.model_dump(mode="json")})


def refuse_overwritten(out: Path, recipe: Recipe) -> None:
    """InputError where the recipe's gold labels stand in a file that the run would write."""
    file = recipe.gold.file
    for name in (BUDGET, CHOICES):
        if file is not None and file.resolve() == (out / name).resolve():
            raise InputError(f"gold.file: {file} is a file that this run would write: move it, or give another --out")


def write_record(path: Path, recipe: Recipe, files: Iterable[str] = (), **more: Any) -> None:
    """Write run.json: the whole configuration and versions, whatever else is given, and what belongs to the run.

    Those are results, comparisons and recipe beside it, and `files` (as `trial_files`): write it when they are there.
    """
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    content = {"recipe": recipe.model_dump(mode="json"), "versions": versions, **more}
    write_sealed(path, content, {RESULTS, COMPARISONS, RECIPE, *files})
