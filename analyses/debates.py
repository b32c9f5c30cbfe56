"""Debates of a run: what is refused before anything is trained, and what its files and record say of transcripts."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from extract.debating import write_transcripts
from w2s_probes.errors import InputError

from .experiment.row_sets import RowSets
from .experiment.task_models import Sources, TaskModels, every_row
from .lessons.clock import Clock
from .lessons.engine import Rounds, together
from .recipe.debate_settings import DEBATE_CONTROL
from .recipe.schema import Recipe
from .results.names import WEAK, debate_file
from .supervisors.debating import Debating, label_names
from .supervisors.hearing import ByRow
from .trial import Trial


def debates_of(
    recipe: Recipe, splits: Mapping[str, Mapping[int, RowSets]], sources: Sources
) -> Iterable[tuple[str, int, Debating]]:
    """The debate of every task and seed."""
    for task, seeds in splits.items() if recipe.debate is not None else ():
        for seed, sets in seeds.items():
            rows = every_row(list(sets.tables.values()))
            debating = Debating.of(recipe, sets, TaskModels(task, rows, Path(), sources, Clock()), task, seed)
            assert debating is not None
            yield task, seed, debating


def refuse_debates(
    recipe: Recipe, methods: Iterable[str], splits: Mapping[str, Mapping[int, RowSets]], sources: Sources
) -> None:
    """InputError where a debate cannot be held, or its file is of other rows, another protocol, too few members."""
    controls = [name.removeprefix(DEBATE_CONTROL) for name in methods if name.startswith(DEBATE_CONTROL)]
    for _, _, debating in debates_of(recipe, splits, sources):
        debating.refuse(controls)


def transcripts_of(trial: Trial) -> Rounds[list[ByRow]]:
    """The transcripts of every member of a trial's supervisor; none without a debate."""
    if trial.debating is None:
        return []
    title = trial.title(WEAK)
    heard = (yield from together({title: trial.debating.heard()}, trial.supervisor.clock))[title]
    if isinstance(heard, InputError):
        raise heard
    return heard


def keep_debate(out: Path, trial: Trial, heard: Sequence[ByRow]) -> dict[str, Any]:
    """Write the transcripts of a trial; return what its record says of them."""
    debating = trial.debating
    assert debating is not None
    members = heard[:1] if debating.settings.shared else heard
    write_transcripts((one for member in members for one in member.values()), out / debate_file(trial.task, trial.seed))
    settings = debating.settings
    file = settings.file
    facts: dict[str, Any] = {"protocol": settings.protocol, "debater": debating.debater if file is None else str(file)}
    facts |= {"names": list(debating.names), "named_by_task": label_names(trial.recipe, trial.task) is not None}
    facts |= {"members": settings.members, "shared": settings.shared, "shuffled": settings.shuffled}
    return facts | debating.facts(heard) | share_of_a(trial.drawn, heard)


def share_of_a(sets: RowSets, heard: Sequence[ByRow]) -> dict[str, float]:
    """The share of rows whose A argues for the true label, and how many have an A with a side. It reads every truth."""
    every = pd.concat([table[["id", "label"]] for table in sets.tables.values()])
    truth = dict(zip(every["id"], every["label"] > 0.5, strict=True))
    by_row: dict[str, list[bool]] = {}
    for member in heard:
        for row, one in member.items():
            if one.a_side is not None:
                by_row.setdefault(row, []).append(bool(one.a_side) == truth[row])
    if not by_row:
        return {}
    return {"a_for_truth": float(np.mean([np.mean(right) for right in by_row.values()])), "a_rows": len(by_row)}
