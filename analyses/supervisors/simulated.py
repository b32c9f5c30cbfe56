"""Supervisors whose errors are made on purpose, at the rate of a real one: which of them can filters catch?

Burns et al. 2023, appendix E. Ground truth decides these labels, which is what a simulation is; methods see no more of
it than of any other supervisor's.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.probes import LogisticProbe
from w2s_probes.relabeling import relabel
from w2s_probes.rows.groups import groups_of
from w2s_probes.rows.ids import content_id
from w2s_probes.simulated import first_features, hard, mistaken, trivial_imitation

from ..experiment.row_sets import CANDIDATES, RowSets
from ..experiment.task_models import TaskModels
from ..lessons.lesson import Scores
from ..recipe.schema import Strong, Weak

STRONG_L2 = 1e-3  # of the probe that says what the strong model is sure of


def nested_supervisor(weak: Weak, sets: RowSets, task_models: TaskModels, strong: Strong) -> Scores:
    """E.1: hard labels by a probe on the strong model's first features, for training and where it is judged.

    As in E.2 they are labels everywhere, so that both simulations are judged alike: by accuracy. Soft test scores
    beside students of hard labels would make the supervisor look better than what its students were given.
    """
    activations = task_models.activations(strong)
    X_fit, truth = activations.of(sets.weak), _truth(sets.weak)
    scores = {
        name: first_features(X_fit, truth, activations.of(table), weak.features)
        for name, table in sets.labelled.items()
        if name != CANDIDATES  # labels do not rank the answers to a question
    }
    return {name: hard(given) for name, given in scores.items()}


def mistaken_supervisor(
    weak: Weak, base: Scores, sets: RowSets, task_models: TaskModels, strong: Strong, seed: int
) -> Scores:
    """E.2: hard labels with as many errors as the base supervisor makes in each set, on the rows that a rule picks."""
    of_strong: Scores = {}
    if weak.errors is not None and weak.errors.startswith("strong"):
        of_strong = strong_scores(sets, task_models, strong, seed)
    labels: Scores = {}
    for name, table in sets.labelled.items():
        if name == CANDIDATES:  # errors are picked among rows, not among answers to one question
            continue
        labels[name] = mistaken(
            weak.errors,  # type: ignore[arg-type]  # the kinds of E.1 and E.3 do not come here
            _truth(table),
            weak=base[name],
            strong=of_strong.get(name),
            lengths=table["text"].str.len().to_numpy(),
            seed=seed,
        )
    return labels


def imitable(base: Scores, sets: RowSets) -> RowSets:
    """E.3: the sets with the weak label written into every text; texts get ids of their own."""
    changed: dict[str, pd.DataFrame] = {}
    for name, table in sets.labelled.items():
        texts = trivial_imitation(table["text"].tolist(), base[name])
        ids = [content_id(f"{row}\x1f{text}") for row, text in zip(table["id"], texts, strict=True)]
        changed[name] = table.assign(text=texts, id=ids)
    return sets.with_tables(changed)


def strong_scores(sets: RowSets, task_models: TaskModels, strong: Strong, seed: int) -> Scores:
    """Out-of-sample P(label = 1) by a probe of the strong model that learned the truth of the training rows."""
    activations = task_models.activations(strong)
    X, truth = activations.of(sets.train), _truth(sets.train)
    scores = {"train": relabel(LogisticProbe(STRONG_L2), X, truth, groups=groups_of(sets.train), seed=seed)}
    fitted = LogisticProbe(STRONG_L2).fit(X, truth)
    for name, table in sets.labelled.items():
        if name not in ("train", CANDIDATES):
            scores[name] = fitted.predict_proba(activations.of(table))[:, 1]
    return scores


def _truth(table: pd.DataFrame) -> NDArray[np.float64]:
    return table["label"].to_numpy(dtype=np.float64)
