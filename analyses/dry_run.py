"""The stages of a run, and which of them are kept from an earlier one: what `--dry-run` shows."""

from dataclasses import dataclass
from pathlib import Path

from w2s_probes.errors import InputError

from .costs import layers_read, reads_known_rows, reads_tokens
from .experiment.paired_tasks import reads_pairs, refuse_unknown_words, refuse_unpaired
from .experiment.splits import split_task
from .experiment.task_models import Sources
from .lessons.activations import Activations
from .lessons.engine import drive, together
from .lessons.kept_only import KeptLessons, NotKept, StoppedClock
from .methods import find_methods
from .recipe.schema import Recipe
from .results.names import WEAK
from .supervisors.held_out import refuse_without_truth
from .trial import LabelledTrial, Trial, trials
from .trial_steps import Step


@dataclass(frozen=True)
class Stage:
    """One piece of a run's work."""

    task: str
    seed: int | None  # None: for all seeds together
    name: str
    kept: bool  # whether all that it takes is there; whatever hangs on weak labels that are not, is not
    left_out: str = ""  # why a run leaves this method out, where that can be told from what is kept


def stages(recipe: Recipe, cache: Path) -> list[Stage]:
    """The stages of `protocol.run` with this cache, in order; nothing is trained, searched, extracted or written.

    Looked at by content: a method whose settings have changed and that comes to a student which has been trained
    already, on the same rows and labels, is kept.
    """
    methods = find_methods(recipe.methods)
    refuse_unpaired(recipe, methods)
    sources, every = Sources(), []
    refuse_unknown_words(recipe, methods, sources.find)
    for name in recipe.data.tasks:
        task, splits = Path(name).stem, split_task(recipe, name)
        refuse_without_truth(recipe, methods, {task: splits})
        of_task = trials(recipe, task, splits, methods, cache, sources, StoppedClock())
        for number, trial in enumerate(of_task):  # one at a time: each holds activations
            if number == 0 and reads_known_rows(recipe, methods):
                every.append(_activations_stage(trial, trial.students.activations(recipe.strong)))
                if reads_tokens(recipe, methods):
                    every.append(_activations_stage(trial, trial.students.tokens(recipe.strong), " of every token"))
                pairs = trial.students.pairs(recipe.strong) if reads_pairs(methods) else None
                if pairs is not None:
                    every.append(_activations_stage(trial, pairs.sides, " of contrast pairs"))
                for model in layers_read(recipe, methods):
                    read = trial.students.activations(model)
                    every.append(_activations_stage(trial, read, f" of layer {model.layer}"))
            every += _trial_stages(trial)
    return every


def _activations_stage(trial: Trial, activations: Activations, of: str = "") -> Stage:
    """The strong model's activations, which a task's trials share."""
    missing, rows = len(activations.missing()), len(activations.rows)
    kept = f" ({rows - missing} kept)" if 0 < missing < rows else ""
    return Stage(trial.task, None, f"activations{of} of {missing or rows} of {rows} rows{kept}", not missing)


def _trial_stages(trial: Trial) -> list[Stage]:
    """Ask the cache for each step; if it lacks the weak labels, on which all others depend, for no other."""
    kept = trial.kept_labels
    if kept is None:
        return [Stage(trial.task, trial.seed, name, False) for name in trial.names]
    labelled = LabelledTrial(trial, kept)
    return [Stage(trial.task, trial.seed, WEAK, True), *(_stage(labelled, step) for step in labelled.steps())]


def _stage(labelled: LabelledTrial, step: Step) -> Stage:
    """A step, and whether the cache has its result or all the students that the result is made of."""
    trial, left_out = labelled.trial, ""
    kept = labelled.view.cache.read(step.kind, step.description) is not None
    if trial.recipe.keep_students and step.assemble is not None:
        kept = False  # unless all of its students are there
    if not kept and step.assemble is not None:
        try:
            outcome = drive(together({step.name: step.assemble()}, labelled.models.clock), KeptLessons())[step.name]
        except NotKept:
            return Stage(trial.task, trial.seed, step.name, False)
        kept, left_out = True, str(outcome) if isinstance(outcome, InputError) else ""
    return Stage(trial.task, trial.seed, step.name, kept, left_out)
