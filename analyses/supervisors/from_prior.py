"""A causal model's own opinion as supervisor: nothing is trained."""

import pandas as pd

from extract.asking.shots import draw_shots
from w2s_probes.randomness import torch_seed

from ..experiment.row_sets import RowSets
from ..experiment.task_models import TaskModels
from ..lessons.lesson import Scores
from ..recipe.schema import Weak


def prior_supervisor(weak: Weak, sets: RowSets, task_models: TaskModels, *, task: str, seed: int) -> Scores:
    """P(label = 1) for each set, after `n_shots` rows of weak-train with their true labels or none."""
    shots = []
    if weak.n_shots:
        labelled = sets.weak.rename(columns={"label": "truth"})
        nobody = pd.DataFrame({"id": []})  # the sets share no group, and so no row
        shots = draw_shots(labelled, weak.n_shots, nobody, where="weak-train", seed=torch_seed(seed, task, "shots"))
    return task_models.opinions(weak).of(sets.labelled, shots)[0]
