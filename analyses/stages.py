"""The stages of a run, and which of them are kept from an earlier one: what `--dry-run` shows."""

from dataclasses import dataclass
from pathlib import Path

from .learners import TRAINED
from .methods import find_methods
from .plan import reads_activations
from .protocol import METHOD, WEAK, blind_view, ceiling_lesson, method_description, split_task, weak_labels, workshops
from .recipe import Recipe
from .steps import Steps
from .supervisors import as_seen, described
from .workshop import Sources, every_row


@dataclass(frozen=True)
class Stage:
    """One thing that a run makes."""

    task: str
    seed: int | None  # None: for all seeds together
    name: str
    kept: bool  # whether it is there; whatever hangs on weak labels that are not, is not


def stages(recipe: Recipe, cache: Path) -> list[Stage]:
    """What `protocol.run` would do with this cache, in order; nothing is trained or extracted."""
    methods = find_methods(recipe.methods)
    sources, found = Sources(), []
    for name in recipe.data.tasks:
        task = Path(name).stem
        splits = split_task(recipe, name)
        supervisor, student = workshops(recipe, task, list(splits.values()), cache, sources, Steps())
        if reads_activations(recipe, methods) and recipe.weak.errors != "imitation":
            missing = len(student.activations(recipe.strong).missing())
            rows = len(student.rows)
            kept = f" ({rows - missing} kept)" if 0 < missing < rows else ""
            found.append(Stage(task, None, f"activations of {missing or rows} of {rows} rows{kept}", not missing))
        for seed, sets in splits.items():
            there = supervisor.kept.has(WEAK, described(recipe.weak, sets, supervisor, recipe.strong, seed))
            found.append(Stage(task, seed, "weak", there))
            if not there:
                found += [Stage(task, seed, one, False) for one in ("ceiling", *methods)]
                continue
            labels = weak_labels(recipe, sets, supervisor, task, seed)
            seen = as_seen(recipe.weak, sets, labels)
            own = student if seen is sets else student.of_rows(every_row(list(seen.labelled.values())))
            experiment = blind_view(recipe, seen, labels, own, seed)
            fit, stop, predict = ceiling_lesson(experiment, seen)
            lesson = experiment.student.describe(fit, stop, predict, loss="xent", seed=seed)
            found.append(Stage(task, seed, "ceiling", own.kept.has(TRAINED, lesson)))
            for one, method in methods.items():
                description = method_description(one, method, experiment, seen)
                found.append(Stage(task, seed, one, own.kept.has(METHOD, description)))
    return found
