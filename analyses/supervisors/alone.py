"""A single supervisor, by its kind: trained, or a file among others."""

from ..experiment.row_sets import RowSets
from ..experiment.task_models import TaskModels
from ..lessons.engine import Steps
from ..lessons.lesson import Scores
from ..recipe.schema import Weak
from .boosted import boosted_supervisor
from .calibrated import calibrated_labels
from .from_file import labels_of_file
from .from_model import model_supervisor
from .tfidf import text_supervisor


def supervise_alone(weak: Weak, sets: RowSets, task_models: TaskModels, *, task: str, seed: int) -> Steps[Scores]:
    """P(label = 1) of each set, and of the rows that the supervisor holds out; calibrated where the recipe says so."""
    scores = yield from _plain(weak, sets, task_models, task=task, seed=seed)
    return calibrated_labels(weak, sets, scores, task=task, seed=seed)


def _plain(weak: Weak, sets: RowSets, task_models: TaskModels, *, task: str, seed: int) -> Steps[Scores]:
    if weak.kind == "text":
        return text_supervisor(sets, task=task, seed=seed)
    if weak.kind == "boosted":
        return boosted_supervisor(weak, sets, task_models, task=task, seed=seed)
    if weak.kind == "labels":
        assert weak.file is not None
        return labels_of_file(weak.file, sets, partly=True)
    return (yield from model_supervisor(weak, sets, task_models, task=task, seed=seed))
