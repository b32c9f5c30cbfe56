"""What methods are shown of one task and seed."""

import numpy as np

from w2s_probes.labels.label_set import LabelSet
from w2s_probes.rows.groups import GROUP

from ..lessons.lesson import Scores
from ..recipe.schema import Recipe
from .row_sets import RowSets, is_scored
from .task_models import TaskModels
from .view import Experiment


def blind_view(recipe: Recipe, sets: RowSets, labels: Scores, models: TaskModels, seed: int) -> Experiment:
    """The view that methods have of one task and seed: texts, activations and weak labels, no ground truth."""
    ids = np.concatenate([sets.train["id"], sets.val["id"]])
    training = recipe.student.training
    layers = [recipe.strong.layer, *recipe.gold.layers] if recipe.gold.layers else []
    learners = [models.learner(recipe.strong.model_copy(update={"layer": layer}), training) for layer in layers]
    return Experiment(
        rows={name: table[["id", "text", GROUP]] for name, table in sets.read_by_students.items()},
        weak=LabelSet(ids, np.concatenate([labels["train"], labels["val"]]), "weak"),
        activations=models.activations(recipe.strong),
        student=models.learner(recipe.strong, training),
        loss=recipe.student.loss,
        probes=recipe.probes,
        device=recipe.device,
        seed=seed,
        cache=models.cache,
        tokens=models.tokens(recipe.strong),
        pairs=models.pairs(recipe.strong),
        pooling=recipe.probes.attention if recipe.strong.position == "attention" else None,
        conflict=recipe.conflict,
        calibrate=recipe.student.calibrate,
        calibrate_on=recipe.student.calibrate_on,
        opinions=models.opinions(recipe.strong),
        intermediate=tuple(models.learner(model, training) for model in recipe.intermediate),
        layer_activations=tuple(
            models.activations(recipe.strong.model_copy(update={"layer": layer}))
            for layer in recipe.probes.layers.layers
        ),
        by_layer={learner.read.index: learner for learner in learners},
        weak_scores={name: scores for name, scores in labels.items() if is_scored(name)},
        weak_activations=models.activations(recipe.weak) if recipe.weak.kind == "head" else None,
    )
