"""Whether a recipe's positions are in its rows, and its sites in its models: known before anything is trained."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from extract.costs.lengths import Lengths, count_tokens
from extract.encoding import Encoding
from extract.marking import CutOff
from extract.positions import mark_of
from extract.site import site_of
from extract.tasks.contrast import contrast_rows
from w2s_probes.errors import InputError

from .experiment.method import Method
from .experiment.paired_tasks import contrast_in, reads_pairs
from .experiment.row_sets import RowSets
from .experiment.task_models import every_row
from .experiment.trusted_rows import reads_trusted
from .recipe.schema import Recipe, Strong
from .recipe.section import vector_position

if TYPE_CHECKING:
    from extract.models.source import ModelSource

SKIP = ", or leave them out by --missing skip"  # a remedy of extractions, which no recipe has


def lengths_at(source: "ModelSource", rows: pd.DataFrame, *, site: str, position: str, task: str) -> Lengths:
    """The tokens of rows (id, text); InputError, naming the task, where the position is nowhere, or is cut off."""
    if mark_of(position) is None:
        return count_tokens(source, rows, site=site)
    try:
        return count_tokens(source, rows, site=site, positions=[position])
    except CutOff as error:
        what, _, _ = str(error).rpartition(": ")
        raise InputError(f"task {task}: {what}: drop them, or choose another position") from error
    except InputError as error:
        raise InputError(f"task {task}: {error}".removesuffix(SKIP)) from error


def refuse_sites(recipe: Recipe, methods: Mapping[str, Method], find: "Callable[[str], ModelSource]") -> None:
    """InputError where a model's `logits:TOKENS` names what is no token of its tokenizer."""
    for model in (one for one in _read(recipe, methods) if one.site.startswith("logits")):
        source = find(str(model.model))
        try:
            site_of(model.site, source, Encoding.plan(source, None, "right", None))
        except InputError as error:
            raise InputError(f"model {source.name}: {error}") from error


def refuse_positions(
    recipe: Recipe,
    methods: Mapping[str, Method],
    rows: Mapping[str, pd.DataFrame],
    find: "Callable[[str], ModelSource]",
) -> None:
    """InputError, naming the task, for rows in which a position that is looked for is nowhere, or is cut off.

    `rows` are those that the models read of each task, once each.
    """
    for model in (one for one in _read(recipe, methods) if mark_of(vector_position(one.position)) is not None):
        for task, read in rows.items():
            contrast = contrast_in(task, recipe.data.tasks) if model is recipe.strong and reads_pairs(methods) else None
            for texts in (read, *([] if contrast is None else [contrast_rows(read, contrast)])):
                lengths_at(find(str(model.model)), texts, site=model.site, position=model.position, task=task)


def rows_read(methods: Mapping[str, Method], splits: Mapping[str, Mapping[int, RowSets]]) -> dict[str, pd.DataFrame]:
    """The rows of each task that a run's models read, once each."""
    trusted = reads_trusted(methods.values())
    return {task: rows_of(seeds.values(), with_weak=trusted) for task, seeds in splits.items()}


def rows_of(sets: Iterable[RowSets], *, with_weak: bool) -> pd.DataFrame:
    """The rows that students read of several splits of a task, or those of the supervisor, too, once each."""
    return every_row([table for one in sets for table in (one.tables if with_weak else one.read_by_students).values()])


def _read(recipe: Recipe, methods: Mapping[str, Method]) -> list[Strong]:
    """The models whose activations are read."""
    return [recipe.strong, *(recipe.intermediate if "bootstrap" in methods else [])]
