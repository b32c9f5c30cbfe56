"""Rows of another task, which an implicit conflict mixes into the training rows."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from extract.tasks import TaskRows, load_task
from w2s_probes.errors import InputError
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import GROUP
from w2s_probes.rows.ids import content_id

from ..recipe.schema import Recipe
from .row_sets import RowSets


def with_conflict(recipe: Recipe, loaded: TaskRows, by_seed: Mapping[int, RowSets]) -> dict[int, RowSets]:
    """The row sets of a task by seed, with rows of `conflict.task` where the recipe names one.

    They are `conflict.share` times as many as the training rows, drawn from its train part by seed, and have ids of
    their own, since a text may be in both tasks. InputError where they share an id, a text or a group with test rows,
    where there are too few, and where a share comes to none.
    """
    settings = recipe.conflict
    if settings.task is None or not settings.share:
        return dict(by_seed)
    other = load_task(settings.task, recipe.data.folder)
    if other.drawn_as == loaded.drawn_as:
        raise InputError(f"conflict.task: {other.name!r} is the task itself: name another")
    _refuse_test_rows(other, loaded, by_seed)
    ids = [content_id(f"{other.name}\x1f{row_id}") for row_id in other.train["id"]]
    pool, found = other.train.assign(id=ids), {}
    for seed, sets in by_seed.items():
        wanted = round(settings.share * len(sets.train))
        if not wanted:
            raise InputError(
                f"conflict.share = {settings.share:g} of {len(sets.train)} training rows is no row of {other.name}: "
                "raise it, or set it to 0 for a student without the conflict"
            )
        if wanted > len(pool) and not recipe.data.at_most:
            raise InputError(
                f"conflict.share = {settings.share:g} asks for {wanted} rows of {other.name}, whose train part has "
                f"{len(pool)}: lower it or data.n_train, or set data.at_most = true"
            )
        chosen = stream(seed, other.drawn_as, "conflict").permutation(len(pool))[:wanted]
        rows = pool.iloc[np.sort(chosen)][["id", "text", "label", GROUP]]
        found[seed] = replace(sets, conflict=rows.reset_index(drop=True))
    return found


def _refuse_test_rows(other: TaskRows, loaded: TaskRows, by_seed: Mapping[int, RowSets]) -> None:
    """InputError where the rows to be mixed in are among those that students are judged on."""
    judged: pd.DataFrame = pd.concat(
        [table for sets in by_seed.values() for table in (sets.test, *sets.tests.values())]
    )
    shared = {name: int(other.train[name].isin(set(judged[name])).sum()) for name in ("id", "text", GROUP)}
    if any(shared.values()):
        most = max(shared, key=shared.__getitem__)
        raise InputError(
            f"conflict.task: {shared[most]} training rows of {other.name} have the {most} of a test row of "
            f"{loaded.name}, and would be taught: name another task, or leave these rows out of its file"
        )
