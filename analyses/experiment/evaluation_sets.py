"""Test sets beside the task's own: rows of another file or task, and the task's test rows by the values of a field."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.tasks import TaskRows, load_test, load_test_file
from extract.tasks.fields import plain
from w2s_probes.errors import InputError, preview
from w2s_probes.io.readers import readable
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import GROUP

from ..recipe.schema import Recipe, Subset
from .drawing_rows import drawn
from .row_sets import RowSets

MOST_VALUES = 20  # of a field whose every value is a test set


def with_test_sets(recipe: Recipe, loaded: TaskRows, by_seed: Mapping[int, RowSets]) -> dict[int, RowSets]:
    """The row sets of a task by seed, with the test sets that the recipe names for it.

    InputError for a test set of one class, and for one that shares a text or a group with rows that some seed trains
    on: weak-train, strong-train or validation.
    """
    tests = other_tests(recipe, loaded)
    first = next(iter(by_seed.values()))
    for name, mask in first.subsets.items():
        refuse_one_class(f"{loaded.name}: test set {name!r}", first.test["label"][mask])
    if taken := tests.keys() & {*first.tests, *first.subsets}:
        raise InputError(f"data.tests.{min(taken)}: the stress of {loaded.name} has a test set of this name: rename it")
    for name, table in tests.items():
        _refuse_shared(loaded.name, name, table, by_seed)
    subsets: dict[str, NDArray[np.bool_]] = {}
    if recipe.data.subset is not None:  # the test rows are the same for every seed
        subsets = by_field(recipe.data.subset, loaded, first.test)
    return {
        seed: replace(sets, tests={**sets.tests, **tests}, subsets={**sets.subsets, **subsets})
        for seed, sets in by_seed.items()
    }


def other_tests(recipe: Recipe, loaded: TaskRows) -> dict[str, pd.DataFrame]:
    """The test sets with rows of their own that the recipe names for a task, each of `data.n_test` rows at most.

    A name that leads to the task itself is its own test set, and not given again.
    """
    found = {}
    for name, place in recipe.data.tests_of(loaded.name).items():
        where = f"{loaded.name}: test set {name!r}"
        if not place.endswith(readable()) and Path(place).stem in (loaded.name, loaded.drawn_as):
            continue
        try:
            table, balance, of = _read(loaded, name, place, recipe.data.folder)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        refuse_one_class(where, table["label"])
        found[name] = drawn(table, recipe.data.n_test, balance, stream(0, of, "test"), where, at_most=True)
    return found


def _read(loaded: TaskRows, name: str, place: str, folder: Path | None) -> tuple[pd.DataFrame, bool, str]:
    """The rows of a test set, whether they are balanced, and the name by which they are drawn."""
    if place.endswith(readable()):
        return load_test_file(loaded.task, Path(place)), loaded.task.balance, f"{loaded.name}@{name}"
    test = load_test(place, folder)
    return test.test, test.task.balance, test.name


def by_field(subset: Subset, loaded: TaskRows, test: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """The test rows (n_test,) of each value of a field, as FIELD=VALUE. InputError for a value with one class."""
    values = test["id"].map(loaded.fields[subset.field])
    there = sorted(set(values))
    named = f"{loaded.name}: data.subset: field {subset.field!r}"
    chosen = [plain(value) for value in subset.values] or there
    if absent := [value for value in chosen if value not in there]:
        raise InputError(f"{named} is {absent[0]!r} in no test row: it is {preview(there)}")
    if len(chosen) > MOST_VALUES:
        raise InputError(
            f"{named} has {len(chosen)} values among the test rows, and each would be a test set: name those wanted, "
            f"subset = {{ field = {subset.field!r}, values = [...] }}"
        )
    masks = {f"{subset.field}={value}": (values == value).to_numpy() for value in chosen}
    for name, mask in masks.items():
        remedy = f"name the values that have both: subset = {{ field = {subset.field!r}, values = [...] }}"
        refuse_one_class(f"{loaded.name}: test set {name!r}", test["label"][mask], remedy)
    return masks


def refuse_one_class(where: str, labels: pd.Series, remedy: str = "give it rows of both, or leave it out") -> None:
    """InputError where nothing can be ranked on a test set."""
    if labels.nunique() < 2:
        raise InputError(f"{where} has one class only ({len(labels)} rows): {remedy}")


def _refuse_shared(task: str, name: str, table: pd.DataFrame, by_seed: Mapping[int, RowSets]) -> None:
    """InputError where rows of a test set were trained on, by their text or their group."""
    trained = [one for sets in by_seed.values() for one in (sets.weak, sets.train, sets.val)]
    texts = {text for one in trained for text in one["text"]}
    groups = {group for one in trained for group in one[GROUP]}
    same_text, same_group = table["text"].isin(texts), table[GROUP].isin(groups)
    if (shared := int((same_text | same_group).sum())) > 0:
        raise InputError(
            f"{task}: test set {name!r} shares {shared} of its {len(table)} rows with training ({int(same_text.sum())} "
            f"by their text, {int(same_group.sum())} by their group): leave them out of its file, or out of the task's "
            "training rows"
        )
