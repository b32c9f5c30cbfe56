"""What `w2s robust` would make, and what is kept from an earlier run: what its `--dry-run` shows."""

from dataclasses import dataclass
from pathlib import Path

from w2s_probes.errors import InputError

from ..costs import reads_tokens
from ..experiment.paired_tasks import reads_pairs, refuse_unknown_words
from ..experiment.splits import load_rows, split_loaded
from ..experiment.task_models import Sources
from ..lessons.engine import drive, together
from ..lessons.kept_only import KeptLessons, NotKept, StoppedClock
from ..recipe.layer_checks import refuse_layers
from ..recipe.schema import Recipe
from ..trial import SUPERVISED
from .attacked_trials import OWN_LABELS, AttackedTrial
from .attacks import Attack
from .robust_run import refuse_unreadable, robust_methods, robust_trials

ACTIVATIONS, EVERY_TOKEN = "activations", "activations of every token"
PAIRS = "activations of contrast pairs"


@dataclass(frozen=True)
class RobustStage:
    """One piece of the work."""

    place: str  # TASK, seed SEED
    attack: str  # what it is made under; empty for what comes before all attacks
    name: str  # of a student, or what comes before
    kept: bool


def robust_stages(recipe: Recipe, cache: Path, *, oracle: bool = False) -> list[RobustStage]:
    """The stages of `run_robust` with this cache, in order; nothing is trained, extracted or written."""
    methods = robust_methods(recipe, oracle=oracle)
    loaded = {task.name: split_loaded(recipe, task) for task in (load_rows(recipe, name) for name in recipe.data.tasks)}
    sources = Sources()
    refuse_layers(recipe, sources.find)
    refuse_unknown_words(recipe, methods, sources.find)
    refuse_unreadable(recipe, methods, loaded, sources, describe=oracle)
    stages: list[RobustStage] = []
    for trial in robust_trials(recipe, loaded, methods, cache, sources, StoppedClock(), describe=oracle):
        stages += _trial_stages(trial)
    return stages


def stage_lines(stages: list[RobustStage]) -> list[str]:
    """The stages in words: by trial and attack what is to do and what is kept; and their number."""
    lines = []
    for place, attack in dict.fromkeys((stage.place, stage.attack) for stage in stages):
        here = [stage for stage in stages if (stage.place, stage.attack) == (place, attack)]
        to_do, there = ([stage.name for stage in here if stage.kept is kept] for kept in (False, True))
        where = f"{place}: {attack}" if attack else place
        lines.append(f"{where}: to do {', '.join(to_do) or 'nothing'}; kept {', '.join(there) or 'nothing'}")
    left = sum(not stage.kept for stage in stages)
    return [*lines, f"{left:,} of {len(stages):,} stages to do"]


def _trial_stages(trial: AttackedTrial) -> list[RobustStage]:
    strong, models = trial.recipe.strong, trial.models
    stages = [RobustStage(trial.key, "", ACTIVATIONS, not len(models.activations(strong).missing()))]
    if reads_tokens(trial.recipe, dict(trial.methods)):
        stages.append(RobustStage(trial.key, "", EVERY_TOKEN, not len(models.tokens(strong).missing())))
    pairs = models.pairs(strong) if reads_pairs(trial.methods) else None
    if pairs is not None:
        stages.append(RobustStage(trial.key, "", PAIRS, not len(pairs.sides.missing())))
    own = _own_kept(trial)
    if trial.needs_own:
        stages.append(RobustStage(trial.key, "", OWN_LABELS, own))
    for attack in trial.attacks:
        stages += [RobustStage(trial.key, attack.name, name, kept) for name, kept in _students(trial, attack, own)]
    return stages


def _own_kept(trial: AttackedTrial) -> bool:
    if not trial.needs_own:
        return True
    return all(one.supervisor.cache.has(SUPERVISED, one.weak_description) for one in trial.own_trials)


def _students(trial: AttackedTrial, attack: Attack, own_kept: bool) -> list[tuple[str, bool]]:
    """The students under an attack, and whether the cache has each or all that it is made of."""
    if not own_kept:
        return [(name, False) for name in trial.methods]
    try:
        labels = trial.labels(attack, drive(trial.supervised(), KeptLessons()))
    except NotKept:
        return [(name, False) for name in trial.methods]
    found = []
    for _, step in trial.steps({attack: labels}):
        name, kept = step.name, trial.models.cache.has(step.kind, step.description)
        if not kept and step.assemble is not None:
            try:
                outcome = drive(together({name: step.assemble()}, trial.models.clock), KeptLessons())[name]
            except NotKept:
                found.append((name, False))
                continue
            kept, name = True, f"{name} (left out)" if isinstance(outcome, InputError) else name
        found.append((name, kept))
    return found
