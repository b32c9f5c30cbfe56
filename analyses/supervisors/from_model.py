"""A supervisor that is a model: a head on its activations, or fine-tuned."""

import numpy as np
import pandas as pd

from w2s_probes.labels.label_set import LabelSet
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import GROUP

from ..experiment.row_sets import RowSets
from ..experiment.task_models import TaskModels
from ..lessons.engine import Steps
from ..lessons.lesson import Examples, Lesson, Scores
from ..recipe.schema import Weak

HELD_OUT = 0.2  # of weak-train, for early stopping


def model_supervisor(weak: Weak, sets: RowSets, task_models: TaskModels, *, task: str, seed: int) -> Steps[Scores]:
    """P(label = 1) for each set by a model trained on weak-train; a fifth of its groups stops the training early."""
    fit, stop = _parted(sets.weak, task, seed)
    learner = task_models.learner(weak, weak.training)
    predict = {name: table[["id", "text"]] for name, table in sets.labelled.items()}
    (trained,) = yield [Lesson(learner, examples(fit), examples(stop), predict, "xent", seed, role="truth")]
    return trained.scores


def examples(table: pd.DataFrame) -> Examples:
    """Rows with their true labels."""
    labels = LabelSet(table["id"].to_numpy(dtype=object), table["label"].to_numpy(dtype=np.float64), "truth")
    return Examples(table[["id", "text"]], labels)


def _parted(table: pd.DataFrame, task: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    groups = pd.factorize(table[GROUP])[0]
    order = stream(seed, task, "weak validation").permutation(groups.max() + 1)
    held = np.isin(groups, order[: max(1, round(HELD_OUT * len(order)))])
    return table[~held].reset_index(drop=True), table[held].reset_index(drop=True)
