"""A supervisor that counts words: TF-IDF and logistic regression."""

from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ..experiment.row_sets import RowSets
from ..lessons.lesson import Scores


def text_supervisor(sets: RowSets) -> Scores:
    """P(label = 1) for each set by TF-IDF of words and word pairs with balanced L2 logistic regression."""
    # Balanced: where words tell little all predictions lie near the share of label 1, and on one side of one half.
    model: Any = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(max_iter=1000, class_weight="balanced"),
    )
    model.fit(sets.weak["text"], sets.weak["label"])
    return {name: model.predict_proba(table["text"])[:, 1] for name, table in sets.labelled.items()}
