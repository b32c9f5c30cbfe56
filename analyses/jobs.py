"""The pieces of work that a run hands out, by kind, and how many of them can only follow one another."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from .dry_run import Stage
from .experiment.method import Method
from .methods import find_methods
from .recipe.schema import Recipe
from .results.names import CEILING, WEAK

BOOTSTRAP = "bootstrap"  # the method whose rounds are as many as the recipe has models


@dataclass(frozen=True)
class Jobs:
    """What is to do, at the most: lessons that come out the same are taught once, which nobody knows before."""

    extractions: int = 0  # each may be parted
    head_batches: int = 0
    finetunings: int = 0
    chain: tuple[str, ...] = ()  # the longest of jobs each of which needs the one before

    @property
    def lines(self) -> list[str]:
        """The jobs in words."""
        kinds = [
            _count(self.extractions, "extraction", "extractions"),
            _count(self.head_batches, "batch of heads", "batches of heads"),
            _count(self.finetunings, "fine-tuning", "fine-tunings"),
        ]
        lines = [f"jobs, at most: {', '.join(kinds)}"]
        if self.chain:
            lines.append(f"longest chain: {len(self.chain)} of them ({', then '.join(self.chain)})")
        return lines


def jobs_left(recipe: Recipe, stages: Iterable[Stage]) -> Jobs:
    """The jobs of the stages that are not kept."""
    left = [stage for stage in stages if not stage.kept]
    methods = find_methods(recipe.methods)
    supervisors = recipe.weak.trained * (1 if recipe.debate is None else recipe.debate.members)
    heads = sum(one.kind == "head" for one in supervisors)
    tuned = sum(one.kind in ("finetune", "lm") for one in supervisors)
    extractions, head_batches, finetunings, chain = 0, 0, 0, tuple[str, ...]()
    without_weak = {stage.task for stage in left if stage.name == WEAK}
    extractions += heads * len(without_weak)
    shared = {stage.task for stage in left if stage.seed is None}
    extractions += len(shared)
    for (task, seed), stages_here in groupby(left, key=lambda stage: (stage.task, stage.seed)):
        if seed is None:
            continue
        names = [stage.name for stage in stages_here]
        before = [f"activations of {task}"] if task in shared else []
        if WEAK in names and heads + tuned:
            head_batches, finetunings = head_batches + heads, finetunings + tuned
            before += ["weak supervisor"]
        rounds = {name: _rounds(name, methods, recipe) for name in names if name != WEAK}
        taught = {name: count for name, count in rounds.items() if count}
        if recipe.student.kind == "head":
            head_batches += max(taught.values(), default=0) + (taught.get(BOOTSTRAP, 1) - 1)
        else:
            finetunings += sum(_students(name, methods, recipe) for name in taught)
        longest = max(taught, key=lambda name: taught[name], default=None)
        after = [] if longest is None else _steps(longest, taught[longest])
        chain = max(chain, tuple(before + after), key=len)
    return Jobs(extractions, head_batches, finetunings, chain)


def _rounds(name: str, methods: dict[str, Method], recipe: Recipe) -> int:
    """The number of students of a step that are taught one after another."""
    if name == CEILING:
        return 1
    if name == BOOTSTRAP:
        return len(recipe.intermediate) + 1
    method = methods[name]
    return min(method.students, method.rounds)


def _students(name: str, methods: dict[str, Method], recipe: Recipe) -> int:
    if name in (CEILING, BOOTSTRAP):
        return _rounds(name, methods, recipe)
    return methods[name].students


def _steps(name: str, rounds: int) -> list[str]:
    return [name] if rounds == 1 else [f"{name} round {number}" for number in range(1, rounds + 1)]


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
