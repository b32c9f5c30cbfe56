"""The stages of a run, and which of them are kept from an earlier one: what `--dry-run` shows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from w2s_probes.errors import InputError

from .costs import reads_activations
from .experiment.clock import Steps
from .experiment.learners import Leak
from .experiment.splits import Splits
from .experiment.task_models import Sources, every_row
from .experiment.view import Experiment, Method, Undeclared
from .methods import find_methods
from .protocol import (
    METHOD,
    WEAK,
    blind_view,
    ceiling,
    method_description,
    method_view,
    split_task,
    weak_labels,
    workshops,
)
from .recipe.schema import Recipe
from .supervisors import as_seen, described


@dataclass(frozen=True)
class Stage:
    """One thing that a run makes."""

    task: str
    seed: int | None  # None: for all seeds together
    name: str
    kept: bool  # whether all that it takes is there; whatever hangs on weak labels that are not, is not
    left_out: str = ""  # why a run leaves this method out, where that can be told from what is kept


class _NotKept(Exception):  # no error: the answer to a question
    """Something would have to be trained, searched, probed or extracted."""


class _NothingMade(Steps):
    """Steps in which nothing may be made: what is not kept ends the look at a stage."""

    def making(self, kind: str) -> NoReturn:
        raise _NotKept(kind)


def stages(recipe: Recipe, cache: Path) -> list[Stage]:
    """What `protocol.run` would do with this cache, in order; nothing is trained, searched, extracted or written.

    Looked at by content: a method whose settings have changed and that comes to a student which has been trained
    already, on the same rows and labels, is kept.
    """
    methods = find_methods(recipe.methods)
    sources, found = Sources(), []
    for name in recipe.data.tasks:
        task = Path(name).stem
        splits = split_task(recipe, name)
        supervisor, student = workshops(recipe, task, list(splits.values()), cache, sources, _NothingMade())
        if reads_activations(recipe, methods) and recipe.weak.errors != "imitation":
            missing = len(student.activations(recipe.strong).missing())
            rows = len(student.rows)
            kept = f" ({rows - missing} kept)" if 0 < missing < rows else ""
            found.append(Stage(task, None, f"activations of {missing or rows} of {rows} rows{kept}", not missing))
        for seed, sets in splits.items():
            if not supervisor.kept.has(WEAK, described(recipe.weak, sets, supervisor, recipe.strong, seed)):
                found += [Stage(task, seed, one, False) for one in ("weak", "ceiling", *methods)]
                continue
            try:
                labels = weak_labels(recipe, sets, supervisor, task, seed)
            except _NotKept:  # there, and damaged
                found += [Stage(task, seed, one, False) for one in ("weak", "ceiling", *methods)]
                continue
            found.append(Stage(task, seed, "weak", True))
            seen = as_seen(recipe.weak, sets, labels)
            own = student if seen is sets else student.of_rows(every_row(list(seen.labelled.values())))
            experiment = blind_view(recipe, seen, labels, own, seed)
            found.append(Stage(task, seed, "ceiling", _is_kept(partial(ceiling, experiment, seen))))
            found += [_method_stage(task, seed, one, method, experiment, seen) for one, method in methods.items()]
    return found


def _method_stage(task: str, seed: int, name: str, method: Method, experiment: Experiment, sets: Splits) -> Stage:
    """A method with what is kept: its outcome, or all the parts that its outcome is put together from."""
    description = method_description(name, method, experiment, sets)
    if _is_kept(lambda: experiment.kept.get(METHOD, description, _refuse)):
        return Stage(task, seed, name, True)
    if not method.students:  # a probe that is fitted anew: nothing of it is kept but its outcome
        return Stage(task, seed, name, False)
    try:
        return Stage(task, seed, name, _is_kept(lambda: method.run(method_view(method, experiment, sets))))
    except (Leak, Undeclared):
        raise
    except InputError as error:
        return Stage(task, seed, name, True, str(error))


def _is_kept(look: Callable[[], object]) -> bool:
    try:
        look()
    except _NotKept:
        return False
    return True


def _refuse() -> NoReturn:
    raise AssertionError("nothing is made here")
