"""A supervisor that counts words: TF-IDF and logistic regression."""

from typing import Any

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ..experiment.row_sets import RowSets
from ..lessons.lesson import Scores
from .held_out import HELD_OUT, held_out_rows


def text_supervisor(sets: RowSets, *, task: str, seed: int) -> Scores:
    """P(label = 1) for each set by TF-IDF of words and word pairs with balanced L2 logistic regression.

    It learns all of weak-train, and one like it learns four fifths, to score the fifth that is held out.
    """
    model = _fitted(sets.weak)
    scores = {name: model.predict_proba(table["text"])[:, 1] for name, table in sets.labelled.items()}
    held = held_out_rows(sets.weak, task, seed)
    rest = sets.weak[~held]
    if rest["label"].nunique() < 2:  # of a few rows
        return scores
    return scores | {HELD_OUT: _fitted(rest).predict_proba(sets.weak["text"][held])[:, 1]}


def _fitted(rows: pd.DataFrame) -> Any:
    # Balanced: where words tell little all predictions lie near the share of label 1, and on one side of one half.
    model: Any = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(max_iter=1000, class_weight="balanced"),
    )
    return model.fit(rows["text"], rows["label"])
