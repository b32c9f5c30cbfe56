"""The stages of a run, and which of them are kept from an earlier one: what `--dry-run` shows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from w2s_probes.errors import InputError

from .costs import reads_activations
from .experiment.clock import Clock
from .experiment.learners import Leak
from .experiment.result_cache import ResultCache
from .experiment.splits import split_task
from .experiment.task_models import Sources
from .experiment.view import Undeclared
from .methods import find_methods
from .recipe.schema import Recipe
from .results.names import WEAK
from .trial import Step, Trial, trials


@dataclass(frozen=True)
class Stage:
    """One piece of a run's work."""

    task: str
    seed: int | None  # None: for all seeds together
    name: str
    kept: bool  # whether all that it takes is there; whatever hangs on weak labels that are not, is not
    left_out: str = ""  # why a run leaves this method out, where that can be told from what is kept


class _NotKept(Exception):  # no error: the answer to a question
    """Something would have to be trained, searched, probed or extracted."""


class _StoppedClock(Clock):
    """A clock under which nothing may be made: what is not kept ends the look at a stage."""

    def timer(self, kind: str) -> NoReturn:
        raise _NotKept(kind)


def stages(recipe: Recipe, cache: Path) -> list[Stage]:
    """The stages of `protocol.run` with this cache, in order; nothing is trained, searched, extracted or written.

    Looked at by content: a method whose settings have changed and that comes to a student which has been trained
    already, on the same rows and labels, is kept.
    """
    methods = find_methods(recipe.methods)
    sources, every = Sources(), []
    for name in recipe.data.tasks:
        task = Path(name).stem
        of_task = trials(recipe, task, split_task(recipe, name), methods, cache, sources, _StoppedClock())
        for number, trial in enumerate(of_task):  # one at a time: each holds activations
            if number == 0 and reads_activations(recipe, methods) and recipe.weak.errors != "imitation":
                every.append(_activations_stage(trial))
            every += _trial_stages(trial)
    return every


def _activations_stage(trial: Trial) -> Stage:
    """The strong model's activations, which a task's trials share."""
    activations = trial.students.activations(trial.recipe.strong)
    missing, rows = len(activations.missing()), len(trial.students.rows)
    kept = f" ({rows - missing} kept)" if 0 < missing < rows else ""
    return Stage(trial.task, None, f"activations of {missing or rows} of {rows} rows{kept}", not missing)


def _trial_stages(trial: Trial) -> list[Stage]:
    """Ask the cache for each step; if it lacks the weak labels, on which all others depend, for no other."""
    cache = trial.supervisor.cache
    looked_at = []
    for step in trial.steps():
        looked_at.append(_stage(trial, step, cache))
        if step.name == WEAK and not looked_at[0].kept:
            return [Stage(trial.task, trial.seed, name, False) for name in trial.names]
    return looked_at


def _stage(trial: Trial, step: Step, cache: ResultCache) -> Stage:
    """A step, and whether the cache has its result or all the students that the result is made of."""
    kept, left_out = _is_kept(lambda: cache.get(step.kind, step.description, _refuse)), ""
    if not kept and step.assemble is not None:
        try:
            kept = _is_kept(step.assemble)
        except (Leak, Undeclared):
            raise
        except InputError as error:
            kept, left_out = True, str(error)
    return Stage(trial.task, trial.seed, step.name, kept, left_out)


def _is_kept(look: Callable[[], object]) -> bool:
    try:
        look()
    except _NotKept:
        return False
    return True


def _refuse() -> NoReturn:
    raise AssertionError("nothing is made here")
