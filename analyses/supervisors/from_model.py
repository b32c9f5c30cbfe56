"""A supervisor that is a model: a head on its activations, or fine-tuned."""

from pathlib import Path

import numpy as np
import pandas as pd

from w2s_probes.labels.label_set import LabelSet
from w2s_probes.students.finetuning.settings import STUDENT_MODEL

from ..experiment.row_sets import RowSets
from ..experiment.task_models import TaskModels
from ..lessons.engine import Steps
from ..lessons.lesson import Examples, Lesson, Scores
from ..recipe.schema import Weak
from .held_out import HELD_OUT, held_out_rows


def model_supervisor(weak: Weak, sets: RowSets, task_models: TaskModels, *, task: str, seed: int) -> Steps[Scores]:
    """P(label = 1) for each set by a model trained on weak-train, and of the fifth that stops its training early."""
    (trained,) = yield [supervisor_lesson(weak, sets, task_models, task=task, seed=seed)]
    return trained.scores


def supervisor_lesson(weak: Weak, sets: RowSets, task_models: TaskModels, *, task: str, seed: int) -> Lesson:
    """All that a supervisor that is a model is taught."""
    held = held_out_rows(sets.weak, task, seed)
    fit, stop = (sets.weak[part].reset_index(drop=True) for part in (~held, held))
    learner = task_models.learner(weak, weak.training)
    predict = {name: table[["id", "text"]] for name, table in {**sets.labelled, HELD_OUT: stop}.items()}
    return Lesson(learner, examples(fit), examples(stop), predict, "xent", seed, role="truth")


def tuned_model(weak: Weak, sets: RowSets, task_models: TaskModels, *, task: str, seed: int) -> Path | None:
    """The folder in which the supervisor's trained model is kept, where some method asks it; None where none does."""
    if not task_models.keeps_supervisor:
        return None
    return supervisor_lesson(weak, sets, task_models, task=task, seed=seed).student / STUDENT_MODEL


def examples(table: pd.DataFrame) -> Examples:
    """Rows with their true labels."""
    labels = LabelSet(table["id"].to_numpy(dtype=object), table["label"].to_numpy(dtype=np.float64), "truth")
    return Examples(table[["id", "text"]], labels)
