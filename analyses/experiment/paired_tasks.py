"""Whether the tasks of a recipe have the contrast pairs that its methods read."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from extract.tasks import find_task
from extract.tasks.contrast import unknown_words
from w2s_probes.errors import InputError

from ..recipe.schema import Recipe
from .method import Method

if TYPE_CHECKING:
    from extract.models.source import ModelSource


def contrast_in(task: str, names: Sequence[str]) -> tuple[str, str] | None:
    """The templates of a task by its short name, among the `names` in a recipe; None where it has none."""
    by_name = {Path(name).stem: name for name in names}
    templates = find_task(by_name[task])[1].contrast if task in by_name else None
    return None if templates is None else (templates[0], templates[1])


def reads_pairs(methods: Mapping[str, Method]) -> bool:
    """Whether some method reads contrast pairs."""
    return any(method.pairs for method in methods.values())


def refuse_unpaired(recipe: Recipe, methods: Mapping[str, Method]) -> None:
    """InputError for a method that reads contrast pairs where a task says none."""
    name = next((name for name, method in methods.items() if method.pairs), None)
    if name is None:
        return
    for task in recipe.data.tasks:
        short, definition = find_task(task)
        if definition.contrast is None:
            raise InputError(
                f"method {name!r} reads contrast pairs, and task {short!r} has none: give it `contrast`, such as "
                'contrast = ["{text} Yes", "{text} No"]'
            )


def refuse_unknown_words(recipe: Recipe, methods: Mapping[str, Method], find: "Callable[[str], ModelSource]") -> None:
    """InputError where a task's contrast has words that the strong model's tokenizer does not know, or tells not apart.

    Sides that differ in such words alone are the same tokens, and what is read of them is their order.
    """
    if not reads_pairs(methods):
        return
    source = find(recipe.strong.model)
    for task in recipe.data.tasks:
        short, definition = find_task(task)
        if definition.contrast is None:  # `refuse_unpaired`
            continue
        for template in definition.contrast:
            if words := unknown_words(source.tokenizer, template):
                raise InputError(
                    f"task {short!r}: the tokenizer of {source.name} does not know {', '.join(map(repr, words))} of "
                    f"its contrast {template!r}: say it in words of the model's vocabulary"
                )
