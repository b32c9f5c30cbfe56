"""The costs of a recipe's debates before any is held: generations, new tokens, operations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from extract.costs.estimate import estimate
from extract.costs.lengths import Lengths, assumed_lengths, count_tokens
from extract.models.source import ModelSource
from w2s_probes.errors import InputError

from .experiment.row_sets import RowSets
from .experiment.task_models import every_row
from .recipe.debate_settings import DEBATE_CONTROL, NONE, DebateSettings
from .recipe.schema import Recipe

OPERATIONS = 2  # of a token and parameter


@dataclass(frozen=True)
class DebateCosts:
    """What is generated, at the most: what is kept already, and turns that end early, take less."""

    generations: int
    new_tokens: int
    flops: float  # prompts are read anew in each turn; the words of the prompts' file are not counted


def debate_costs(
    recipe: Recipe, splits: Mapping[str, Sequence[RowSets] | None], tokens_per_row: int | None = None
) -> DebateCosts | None:
    """The costs of all debates, those of controls among them; None where no model argues.

    `splits` are the row sets of each task by seed; None where its files are not there, and rows are then counted by the
    recipe's sizes.
    """
    settings = recipe.debate
    if settings is None or not settings.is_held or settings.file is not None:
        return None
    generations, flops = 0, 0.0
    rows = [_rows(recipe, settings, sets) for sets in splits.values()]
    transcripts = 1 if settings.shared else settings.members
    for model in debaters(recipe):
        source = ModelSource.describe(model)
        for part in rows:
            lengths = _lengths(source, part, tokens_per_row)
            count, mean = len(lengths.tokens), float(lengths.tokens.mean())
            new = settings.max_new_tokens
            read = sum(mean + turn * new for turn in range(1, settings.turns + 1))
            generations += count * transcripts * settings.turns
            active = estimate(source, lengths.tokens[:1], layers="all", position="last").active_parameters
            flops += OPERATIONS * active * count * transcripts * read
    return DebateCosts(generations, generations * settings.max_new_tokens, flops)


def debaters(recipe: Recipe) -> list[str]:
    """The model of every debate that is held: the run's own, and those of controls with transcripts of their own."""
    settings = recipe.debate
    if settings is None or not settings.is_held:
        return []
    own = settings.model or recipe.strong.model
    models = [own]
    for name in [name.removeprefix(DEBATE_CONTROL) for name in recipe.methods if name.startswith(DEBATE_CONTROL)]:
        if settings.argues_anew(name):
            models.append(settings.weak_model or str(recipe.weak.model) if name == "weak" else own)
    return models


def heard_lengths(recipe: Recipe, lengths: Lengths) -> Lengths:
    """The lengths of what the members of the supervisor and of its controls read, at the most, from the rows' own."""
    settings = recipe.debate
    if settings is None or not settings.is_held:
        return lengths
    controls = [name.removeprefix(DEBATE_CONTROL) for name in recipe.methods if name.startswith(DEBATE_CONTROL)]
    read = [settings.under(name).members for name in ("", *controls) if name not in (NONE, "transcript")]
    longest = np.iinfo(np.int64).max if lengths.limit is None else lengths.limit
    heard = np.minimum(lengths.tokens + settings.turns * settings.max_new_tokens, longest)
    cut = int((lengths.tokens + settings.turns * settings.max_new_tokens > longest).sum()) * sum(read)
    return replace(lengths, tokens=np.concatenate([lengths.tokens, *[heard] * sum(read)]), cut=lengths.cut + cut)


def _rows(recipe: Recipe, settings: DebateSettings, sets: Sequence[RowSets] | None) -> list[pd.DataFrame] | int:
    """The rows of every debate of one task: each seed has its own, or all seeds share one."""
    if sets is None:
        taught = recipe.weak.n_truth + recipe.data.n_train + recipe.data.n_val
        tests = recipe.data.n_test * (1 if settings.seed is not None else len(recipe.seeds))
        return len(recipe.seeds) * taught + tests
    by_seed = [every_row(list(one.tables.values())) for one in sets]
    return by_seed if settings.seed is None else [every_row(by_seed)]


def _lengths(source: ModelSource, rows: list[pd.DataFrame] | int, tokens_per_row: int | None) -> Lengths:
    if tokens_per_row is not None:
        return assumed_lengths(source, rows if isinstance(rows, int) else sum(map(len, rows)), tokens_per_row)
    if isinstance(rows, int):
        raise InputError("data.folder does not hold the tasks' files, so there is no text to count: --tokens-per-row")
    return count_tokens(source, pd.concat(rows, ignore_index=True))
