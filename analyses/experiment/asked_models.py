"""The models of a recipe that are asked about rows, or learn to say labels; refused before anything is trained."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from extract.asking.saying import Saying
from extract.models.source import ModelSource

from ..lessons.result_cache import ResultCache
from ..recipe.schema import Recipe, Strong, Weak
from .method import Method
from .opinions import Opinions, asked_in
from .row_sets import RowSets
from .task_models import every_row


def asked_models(recipe: Recipe, methods: Mapping[str, Method]) -> list[Strong | Weak]:
    """The supervisors and the strong models that are asked in a run, or learn to say labels."""
    asked: list[Strong | Weak] = [one for one in (recipe.weak, *recipe.weak.members) if one.kind in ("prior", "lm")]
    if recipe.student.kind == "lm":
        asked += [recipe.strong, *recipe.intermediate]
    elif any(method.asks or method.fuses for method in methods.values()):
        asked.append(recipe.strong)
    asked += [Strong(model=name) for name in recipe.fusion.models(methods)]
    return asked


def learns_to_say(recipe: Recipe, model: Strong | Weak) -> bool:
    """Whether a model of the recipe is fine-tuned to say labels."""
    if isinstance(model, Weak):
        return model.kind == "lm"
    return recipe.student.kind == "lm" and model in (recipe.strong, *recipe.intermediate)


def saying_in(recipe: Recipe, task: str, source: ModelSource) -> Saying:
    """How a model is asked about the rows of a task, by its short name; InputError where it cannot be."""
    return Opinions(source, asked_in(recipe, task), ResultCache(Path())).stated


def rows_asked_about(model: Strong | Weak, sets: Iterable[RowSets]) -> pd.DataFrame:
    """The rows (id, text) of one task that such a model reads over all seeds."""
    tables: list[pd.DataFrame] = []
    for one in sets:
        if isinstance(model, Strong):
            named = one.read_by_students
        else:
            named = one.tables if model.kind == "lm" else one.labelled
        tables += named.values()
    return every_row(tables)


def refuse_unasked(
    recipe: Recipe,
    methods: Mapping[str, Method],
    find: Callable[[str], ModelSource],
    splits: Mapping[str, Mapping[int, RowSets]],
) -> None:
    """InputError where a model that is asked cannot be, before anything is trained.

    It has no language-model head, does not know the answers of a task, or a row with its prompt exceeds its window.
    """
    for model in asked_models(recipe, methods):
        assert model.model is not None
        for task, seeds in splits.items():
            rows = rows_asked_about(model, seeds.values())
            _ = saying_in(recipe, task, find(model.model)).of(rows).tokens
            if learns_to_say(recipe, model):
                _ = Opinions(find(model.model), asked_in(recipe, task), ResultCache(Path())).saying
