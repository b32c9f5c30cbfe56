"""Several supervisors whose soft labels are averaged."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from w2s_probes.randomness import stream, torch_seed
from w2s_probes.rows.groups import GROUP

from ..experiment.row_sets import RowSets
from ..experiment.task_models import TaskModels
from ..lessons.engine import Steps, side_by_side
from ..lessons.lesson import Scores
from ..recipe.schema import Weak
from .held_out import HELD_OUT

SEEDS = 1 << 31  # members' seeds are below


def ensemble(
    weak: Weak, sets: RowSets, supervise: Callable[..., Steps[Scores]], task_models: TaskModels, *, task: str, seed: int
) -> Steps[Scores]:
    """The mean of the members' P(label = 1), each with its own seed and, with bagging, resample of weak-train.

    Members hold out other rows of weak-train each, so that there are no scores of rows that all hold out.
    """
    members = []
    for number, member in enumerate(weak.members):
        own_seed = member_seed(seed, task, number)
        own_sets = replace(sets, weak=resampled(sets.weak, own_seed)) if weak.bagging else sets
        members.append(supervise(member, own_sets, task_models, task=task, seed=own_seed))
    parts = yield from side_by_side(members)
    return {name: np.mean([part[name] for part in parts], axis=0) for name in parts[0] if name != HELD_OUT}


def member_seed(seed: int, task: str, number: int) -> int:
    """The seed of a member, by its number."""
    return torch_seed(seed, task, "member", number) % SEEDS


def resampled(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A bootstrap resample of the groups, each with all of its rows."""
    groups = pd.factorize(table[GROUP])[0]
    drawn = stream(seed, "bagging").integers(groups.max() + 1, size=groups.max() + 1)
    # A group that is drawn n times counts once: repeated rows would need ids of their own, and a model that is stopped
    # early gains nothing from them.
    return table[np.isin(groups, drawn)].reset_index(drop=True)
