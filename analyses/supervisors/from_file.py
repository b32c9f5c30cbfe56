"""A label file as supervisor: human raters, an LLM judge, another program."""

from pathlib import Path

import numpy as np

from w2s_probes.errors import InputError
from w2s_probes.io.tables import read_table
from w2s_probes.labels.label_set import DISAGREEMENT as DISAGREEMENT_FIELD
from w2s_probes.labels.label_set import LabelSet, raters_disagreement
from w2s_probes.rows.ids import with_ids

from ..experiment.row_sets import CANDIDATES, RowSets
from ..lessons.lesson import Scores
from .rater_scores import DISAGREEMENT


def labels_of_file(path: Path, sets: RowSets, *, partly: bool = False) -> Scores:
    """P(label = 1) for each set from a file with `label`, and `text` or the rows' `id`.

    Rows of other tasks and splits may be in it. The rows that it lacks are NaN where it may have
    them `partly`; else the candidates of test questions are left out, and any other row is an InputError. The
    `disagreement` that `w2s combine` has written goes with the training rows.
    """
    table = read_table(path)  # typed when its ids are settled: several rows of one text may be of several tasks
    task_ids = {row_id for rows in sets.labelled.values() for row_id in rows["id"]}
    if "text" in table and not ("id" in table and table["id"].isin(task_ids).any()):
        texts = table["text"].map(str)
        contradictory = table.groupby(texts)["label"].transform("nunique") > 1 if "label" in table else None
        if contradictory is not None and contradictory.any():
            text = str(table["text"][contradictory].iloc[0])[:40]
            raise InputError(f"{path}: the text {text!r} has several labels: leave one, or give rows the task's ids")
        first_of_text = table[~texts.duplicated()].reset_index(drop=True)
        table = with_ids(first_of_text.drop(columns="id", errors="ignore"), str(path))
    labels = LabelSet.from_table(table, where=str(path))
    have = set(labels.ids)
    scores: Scores = {}
    for name, rows in sets.labelled.items():
        ids, places = np.unique(rows["id"].to_numpy(dtype=object), return_inverse=True)
        if name == CANDIDATES and not partly and not have.issuperset(ids):
            continue
        if partly:
            known = np.array([row in have for row in ids.tolist()], dtype=bool)
            of_ids = np.full(len(ids), np.nan)
            of_ids[known] = labels.values(ids[known])
            scores[name] = of_ids[places]
        else:
            scores[name] = labels.values(ids)[places]
    if DISAGREEMENT_FIELD in table and not partly:
        of_rows = dict(zip(labels.ids.tolist(), raters_disagreement(table, str(path)).tolist(), strict=True))
        scores[DISAGREEMENT] = np.array([of_rows[row] for row in sets.train["id"].tolist()])
    return scores
