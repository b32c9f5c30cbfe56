"""Weak supervisors: trained on the ground truth of rows that nobody else sees; they label everything else."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from w2s_probes.randomness import stream
from w2s_probes.store import ActivationStore
from w2s_probes.students import HeadStudent

from .splits import Splits

SETS = ("train", "val", "test")
HELD_OUT = 0.2  # of weak-train, for the head's early stopping


def text_supervisor(splits: Splits) -> dict[str, NDArray[np.float64]]:
    """P(label = 1) for each set by TF-IDF of words and word pairs with L2 logistic regression."""
    model: Any = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000)
    )
    model.fit(splits.weak["text"], splits.weak["label"])
    return {name: model.predict_proba(getattr(splits, name)["text"])[:, 1] for name in SETS}


def head_supervisor(
    splits: Splits, store: ActivationStore, *, epochs: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """P(label = 1) for each set by a head on a weak model's activations; a fifth of weak-train stops it early."""
    (layer,) = store.layers
    X = store.layer(layer, ids=splits.weak["id"].to_numpy())
    truth = splits.weak["label"].to_numpy(dtype=np.float64)
    order = stream(seed, "weak validation").permutation(len(X))
    stop, fit = np.split(order, [round(HELD_OUT * len(X))])
    head = HeadStudent("xent", epochs=epochs, seed=seed).fit(X[fit], truth[fit], X[stop], truth[stop])
    scores = {}
    for name in SETS:
        rows = store.layer(layer, ids=getattr(splits, name)["id"].to_numpy())
        scores[name] = head.predict_proba(rows)[:, 1]
    return scores
