"""The costs of a recipe before it is run: rows, tokens, operations, disk."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from extract.asking.saying import Saying
from extract.costs.estimate import Costs, estimate
from extract.costs.lengths import Lengths, assumed_lengths
from extract.models.source import ModelSource
from extract.tasks import find_task
from extract.tasks.contrast import contrast_rows
from w2s_probes.errors import InputError
from w2s_probes.store.layers import one_layer

from .asking_costs import AskingPlan, plan_askings
from .debate_costs import DebateCosts, debate_costs, heard_lengths
from .experiment.asked_models import saying_in
from .experiment.method import Method
from .experiment.paired_tasks import contrast_in, reads_pairs, refuse_unknown_words, refuse_unpaired
from .experiment.row_sets import RowSets
from .experiment.splits import split_task
from .experiment.task_models import every_row
from .experiment.trusted_rows import reads_trusted
from .gold_costs import GoldCosts, gold_costs
from .methods import find_methods
from .position_checks import lengths_at, rows_of
from .recipe.layer_checks import refuse_layers
from .recipe.schema import Recipe, Strong, Weak
from .recipe.section import vector_position
from .recipe.training import Training
from .results.names import REFERENCES
from .supervisors.held_out import refuse_without_truth
from .tuning_memory import TuningMemory, tuning_memory

# Forward passes' worth of work for a training row and epoch: forward, and backward through activations and weights.
PASSES = {"full": 3, "lora": 2}
EVERY_TOKEN = "every-token strong"  # the role of the strong model's second reading, for attention probes
PAIRS = "contrast-pair strong"  # and of its reading of both sides of each row


@dataclass(frozen=True)
class ModelPlan:
    """The costs of one model: its activations of the rows of all tasks."""

    source: ModelSource
    costs: Costs
    lengths: Lengths  # of its rows
    options: dict[str, Any]  # of `estimate`, but for the size of batches
    at_most: bool  # whether rows were counted by the recipe's sizes alone: seeds may share some

    @property
    def model(self) -> str:
        """The model's name, as the recipe gives it."""
        return self.source.name


@dataclass(frozen=True)
class RecipePlan:
    """The costs of a run whose cache is empty."""

    models: dict[str, ModelPlan]  # `strong`, and `weak` where the supervisor is a head on a model
    tasks: int
    seeds: int
    methods: int
    test_rows: int  # of each task
    students: int  # trained in all, beside weak supervisors and ceilings
    flops: float | None  # of all fine-tuning; None where there is none
    debate: DebateCosts | None  # what is generated; None where no model argues
    gold: GoldCosts | None  # the true labels of gold rows; None where no method reads any
    tuned: ModelPlan | None  # one pass of the first model that is fine-tuned over its training rows; None likewise
    asked: list[AskingPlan] = field(default_factory=list)  # models that are asked, each for one supervisor or method
    memory: list[tuple[str, TuningMemory]] = field(
        default_factory=list
    )  # of each model that is fine-tuned, by its name

    @property
    def fits(self) -> int:
        """The number of fits: weak supervisors, ceilings and methods."""
        return self.tasks * self.seeds * (len(REFERENCES) + self.methods)


def plan_recipe(
    recipe: Recipe, *, tokens_per_row: int | None = None, batch_tokens: int | None = None, fetch: bool = False
) -> RecipePlan:
    """The costs of `protocol.run`, from the configs of its models.

    Where the folder of a task is there, its rows are read, split as the run splits them, and tokenized. Where it is
    not, rows are counted by the recipe's sizes, and `tokens_per_row` must be given; it goes before all counting. With
    `fetch` tasks are read from the hub as a run reads them.

    Raises InputError for methods, tasks, sizes and models that the run would refuse.
    """
    methods = find_methods(recipe.methods)
    refuse_unpaired(recipe, methods)
    describe = cache(ModelSource.describe)
    refuse_layers(recipe, describe)
    refuse_unknown_words(recipe, methods, describe)
    splits = {task: _splits(recipe, task, fetch) for task in recipe.data.tasks}
    by_seed = {Path(task).stem: zip(recipe.seeds, sets, strict=True) for task, sets in splits.items() if sets}
    refuse_without_truth(recipe, methods, {task: dict(seeds) for task, seeds in by_seed.items()})
    read: dict[str, Strong | Weak] = {"strong": recipe.strong} if reads_activations(recipe, methods) else {}
    read |= {EVERY_TOKEN: recipe.strong} if reads_tokens(recipe, methods) else {}
    read |= {PAIRS: recipe.strong} if reads_pairs(methods) else {}
    layers = _layers(recipe, methods, describe)
    read |= {f"strong, layer {layer}": recipe.strong.model_copy(update={"layer": layer}) for layer in layers[1:]}
    read |= {f"strong, layer {one.layer}": one for one in layers_read(recipe, methods)}
    if "bootstrap" in methods and recipe.student.kind == "head":
        read |= {f"intermediate {number}": one for number, one in enumerate(recipe.intermediate, start=1)}
    heads = [one for one in recipe.weak.trained if one.kind in ("head", "boosted") and one.model is not None]
    read |= {"weak" if len(heads) == 1 else f"weak {number}": one for number, one in enumerate(heads, start=1)}
    plans = {}
    for role, settings in read.items():
        source = describe(str(settings.model))
        with_weak = role.startswith("weak") or reads_trusted(methods.values())
        needed = [_needed(recipe, sets, with_weak) for sets in splits.values()]
        needed = [_sides(recipe, *task) for task in zip(splits, needed, strict=True)] if role == PAIRS else needed
        site = settings.site if isinstance(settings, Strong) else "residual"
        position = vector_position(settings.position)
        position = "all" if role == EVERY_TOKEN else position
        counted = [
            _lengths(source, rows, tokens_per_row, site=site, position=position, task=task)
            for task, rows in zip(splits, needed, strict=True)
        ]
        lengths = Lengths.joined(counted)
        lengths = heard_lengths(recipe, lengths) if role.startswith("weak") else lengths
        options: dict[str, Any] = {"layers": settings.layer, "position": position}
        options |= {"site": site} if isinstance(settings, Strong) else {}
        costs = estimate(source, lengths.tokens, **options, batch_tokens=batch_tokens)
        plans[role] = ModelPlan(source, costs, lengths, options, any(isinstance(n, int) for n in needed))
    runs = len(splits) * len(recipe.seeds)
    students = runs * sum(_students(method, layers) for method in methods.values())
    tuned = [one for one in recipe.weak.trained if one.kind in ("finetune", "lm")]
    parts: list[tuple[Strong | Weak, Training, int]] = [(one, one.training, runs) for one in tuned]
    if recipe.student.kind != "head":
        parts.insert(0, (recipe.strong, recipe.student, runs + students))
    passes = [_training(recipe, splits, model, training, tokens_per_row) for model, training, _ in parts]
    flops = sum(count * one for (one, _), (_, _, count) in zip(passes, parts, strict=True)) if parts else None
    sizes = (len(splits), len(recipe.seeds), len(recipe.methods), recipe.data.n_test)
    debate = debate_costs(recipe, splits, tokens_per_row)
    by_name = {Path(task).stem: sets for task, sets in splits.items()}
    given: dict[str, Any] = {"tokens_per_row": tokens_per_row, "batch_tokens": batch_tokens}
    asked = plan_askings(recipe, methods, by_name, describe, test_rows=_test_rows(recipe), **given)
    gold = gold_costs(recipe, methods, splits)
    memory = [
        (part.model, tuning_memory(part.source, part.costs, training.finetuning))
        for (_, part), (_, training, _) in zip(passes, parts, strict=True)
    ]
    return RecipePlan(plans, *sizes, students, flops, debate, gold, passes[0][1] if passes else None, asked, memory)


def _layers(recipe: Recipe, methods: dict[str, Method], describe: Callable[[str], ModelSource]) -> list[int]:
    """The layers among which gold rows choose, the recipe's own first; empty where no method has them choose."""
    if not any(method.gold is not None and method.gold.layers for method in methods.values()):
        return []
    depth = describe(recipe.strong.model).depth
    return list(dict.fromkeys(one_layer(layer, depth) for layer in (recipe.strong.layer, *recipe.gold.layers)))


def _students(method: Method, layers: list[int]) -> int:
    """The students of a method, of one that teaches them at several layers of all these."""
    at_layers = method.gold is not None and method.gold.layers
    return method.students * (len(layers) if at_layers else 1)


def reads_activations(recipe: Recipe, methods: dict[str, Method]) -> bool:
    """Whether a run extracts the strong model's activations at all."""
    simulated = recipe.weak.errors is not None and recipe.weak.errors.startswith(("first", "strong"))
    return simulated or recipe.student.kind == "head" or any(method.activations for method in methods.values())


def reads_tokens(recipe: Recipe, methods: dict[str, Method]) -> bool:
    """Whether a run extracts every token of the strong model, too."""
    return recipe.strong.position == "attention" or any(method.tokens for method in methods.values())


def layers_read(recipe: Recipe, methods: dict[str, Method]) -> list[Strong]:
    """The strong model at every layer that a method reads together with others."""
    at = recipe.strong.model_copy
    wanted = recipe.probes.layers.layers if any(method.layers for method in methods.values()) else []
    return [at(update={"layer": layer}) for layer in wanted]


def reads_known_rows(recipe: Recipe, methods: dict[str, Method]) -> bool:
    """Whether a run extracts the strong model's activations of rows that are known before there are weak labels.

    An imitation's are not: its texts carry its labels.
    """
    return reads_activations(recipe, methods) and recipe.weak.errors != "imitation"


def _training(
    recipe: Recipe,
    splits: dict[str, list[RowSets] | None],
    model: Strong | Weak,
    training: Training,
    tokens_per_row: int | None,
) -> tuple[float, ModelPlan]:
    """Operations of one fine-tuning, and one of its passes over the training rows.

    The training rows go through the epochs, and the rows that are scored through one pass.
    """
    source = ModelSource.describe(str(model.model))
    task, sets = next(((Path(name).stem, found[0]) for name, found in splits.items() if found), ("", None))
    saying = saying_in(recipe, task, source) if training.kind == "lm" and sets is not None else None
    weak = isinstance(model, Weak)
    if sets is None:
        taught: pd.DataFrame | int = recipe.weak.n_truth if weak else recipe.data.n_train
        scored: pd.DataFrame | int = recipe.data.n_train + _test_rows(recipe)
    else:
        taught, scored = (sets.weak if weak else sets.train), every_row([sets.train, sets.test, *sets.tests.values()])
    lengths = _lengths(source, taught, tokens_per_row, saying)
    once = estimate(source, lengths.tokens)
    scoring = estimate(source, _lengths(source, scored, tokens_per_row, saying).tokens).flops
    flops = training.finetuning.epochs * PASSES[training.finetuning.kind] * once.flops + scoring
    return flops, ModelPlan(source, once, lengths, {}, sets is None)


def _splits(recipe: Recipe, task: str, fetch: bool) -> list[RowSets] | None:
    """A task's row sets, one for each seed; None where there are no files to read."""
    short, definition = find_task(task)
    folder: Path | None = recipe.data.folder
    there = fetch if folder is None else (folder / (definition.like or short)).is_dir()
    return list(split_task(recipe, task).values()) if there else None


def _needed(recipe: Recipe, splits: list[RowSets] | None, with_weak: bool) -> pd.DataFrame | int:
    """The rows that a model reads, or the largest number that the recipe's sizes allow."""
    if splits is not None:
        return rows_of(splits, with_weak=with_weak)
    mixed_in = round(recipe.conflict.share * recipe.data.n_train) if recipe.conflict.task is not None else 0
    by_seed = recipe.data.n_train + recipe.data.n_val + (recipe.weak.n_truth if with_weak else mixed_in)
    return _test_rows(recipe) + len(recipe.seeds) * by_seed


def _sides(recipe: Recipe, task: str, rows: pd.DataFrame | int) -> pd.DataFrame | int:
    """Both sides of the rows of a task, or their number."""
    templates = contrast_in(Path(task).stem, recipe.data.tasks)
    assert templates is not None  # `refuse_unpaired`
    return 2 * rows if isinstance(rows, int) else contrast_rows(rows, templates)


def _test_rows(recipe: Recipe) -> int:
    """The largest number of rows in a task's own test set and others beside it."""
    tasks = [find_task(name) for name in recipe.data.tasks]
    copies = [task.stress.copies if task.stress is not None else 0 for _, task in tasks]
    others = (len(recipe.data.tests_of(name)) + more for (name, _), more in zip(tasks, copies, strict=True))
    return recipe.data.n_test * (1 + max(others))


def _lengths(
    source: ModelSource,
    rows: pd.DataFrame | int,
    tokens_per_row: int | None,
    saying: Saying | None = None,
    *,
    site: str = "residual",
    position: str = "last",
    task: str = "",
) -> Lengths:
    """The lengths of rows, or of their prompts where the model is to say labels.

    InputError, naming the task, for rows in which the position is nowhere, or is cut off.
    """
    count = rows if isinstance(rows, int) else len(rows)
    if tokens_per_row is not None:
        return assumed_lengths(source, count, tokens_per_row)
    if isinstance(rows, int):
        raise InputError(
            "data.folder does not hold the tasks' files, so there is no text to count: give --tokens-per-row"
        )
    if saying is not None:
        tokens = np.array([len(row) for row in saying.of(rows[["id", "text"]]).tokens], dtype=np.int64)
        return Lengths(tokens, 0, source.window)
    return lengths_at(source, rows, site=site, position=position, task=task)
