"""Debates between stand-ins: a row's text is one number, and so is each turn of its transcript; both tell of its label.

A row's number is N(±.5, 1), each transcript's N(±.7, 1); transcripts of one row are correlated given its label.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from sklearn.linear_model import LogisticRegression

from analyses.experiment.row_sets import RowSets
from analyses.experiment.task_models import Sources, TaskModels, every_row
from analyses.lessons.clock import Clock
from analyses.lessons.engine import Steps, side_by_side
from analyses.lessons.lesson import Scores
from analyses.supervisors.debating import Debating
from extract.debating import Transcript, Turn
from extract.debating.protocols import Protocol, sides_of
from tests.worlds.experiments import completed
from tests.worlds.supervising import recipe_with
from w2s_probes import auroc
from w2s_probes.randomness import stream

WEAK, ARGUED = 0.5, 0.7  # half the distance between the classes
NUMBER = re.compile(r"-?\d+\.\d+")


def best_accuracy(members: int, correlation: float = 0.0) -> float:
    """The accuracy of the best reader of a row and `members` transcripts."""
    argued = ARGUED**2 * members / (1 + (members - 1) * correlation)
    return float(ndtr(np.sqrt(WEAK**2 + argued)))


def best_auroc(members: int, correlation: float = 0.0) -> float:
    """Its AUROC."""
    argued = ARGUED**2 * members / (1 + (members - 1) * correlation)
    return float(ndtr(np.sqrt(2 * (WEAK**2 + argued))))


def spread(n: int, *names: str | int) -> NDArray[np.float64]:
    """n numbers (n,) like a normal sample, but for the luck of the draw: its quantiles in random order."""
    return np.asarray(ndtri((stream(0, "stand-in", *names).permutation(n) + 0.5) / n))


def written_rows(n: int, name: str, seed: int) -> pd.DataFrame:
    """n rows of a set, as many of either label."""
    half = [spread(n // 2, "rows", name, label, seed) + sign * WEAK for label, sign in enumerate((-1, 1))]
    ids = [f"{name}{row}" for row in range(n)]
    texts = [f"{x:.6f}" for x in np.concatenate(half)]
    return pd.DataFrame({"id": ids, "text": texts, "label": np.repeat([0.0, 1.0], n // 2), "group": ids})


def argued(
    rows: pd.DataFrame, *, members: int = 4, correlation: float = 0.5, seed: int = 0, loud: float = 0.0
) -> list[Transcript]:
    """Transcripts of these rows. One that is `loud` is moved by A's side, whatever the truth is."""
    n, signs = len(rows), 2 * rows["label"].to_numpy() - 1
    protocol: Protocol = "consultancy" if loud else "debate"
    sides = [sides_of(protocol, row, seed=seed) for row in rows["id"]]
    moved = signs * ARGUED + loud * np.array([2 * own["A"] - 1 for own in sides])
    shared = spread(n, "argued", seed)
    said = []
    for member in range(members):
        own = spread(n, "argued", seed, member)
        values = moved + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
        for row, side, value in zip(rows["id"], sides, values, strict=True):
            said.append(Transcript(row, member, protocol, side, (Turn("A", side["A"], f"{value:.6f}"),)))
    return said


def settled(scores: Scores) -> Steps[Scores]:
    """The steps of a supervisor that asks for no lesson."""
    yield from side_by_side([])
    return scores


def read_numbers(weak: Any, sets: RowSets, task_models: TaskModels, *, task: str, seed: int) -> Steps[Scores]:
    """Stands in for a trained supervisor: logistic regression of the numbers in a text."""
    model = LogisticRegression(C=1e6).fit(_numbers(sets.weak), sets.weak["label"])
    return settled({name: model.predict_proba(_numbers(table))[:, 1] for name, table in sets.labelled.items()})


def _numbers(table: pd.DataFrame) -> NDArray[np.float64]:
    return np.array([[float(number) for number in NUMBER.findall(text)] for text in table["text"]])


class ArguedWorld:
    """Rows, their transcripts, and the labels of members that read them."""

    def __init__(self, folder: Path, *settings: str, seed: int = 0, n_test: int = 4000, loud: float = 0.0) -> None:
        sizes = {"weak": 1000, "train": 40, "val": 40, "test": n_test}
        weak, train, val, test = (written_rows(n, name, seed) for name, n in sizes.items())
        self.sets = RowSets(weak, train, val, test)
        said = argued(pd.concat(list(self.sets.tables.values())), seed=seed, loud=loud)
        chosen = ["debate.bagging=false", "debate.named=false", f"debate.protocol={said[0].protocol}", *settings]
        recipe = recipe_with(folder, {"kind": "text"}, *chosen)
        models = TaskModels("miniature_price", every_row(list(self.sets.tables.values())), folder, Sources(), Clock())
        debating = Debating.of(recipe, self.sets, models, "miniature_price", seed)
        assert debating is not None
        debating._made[""] = said
        self.debating = debating

    def labels(self, control: str = "") -> Scores:
        """The members' mean of every set, and their standard deviations."""
        return completed(self.debating.labels(control))

    def auroc(self, control: str = "") -> float:
        """That of the members' mean on the test rows."""
        return auroc(self.sets.test["label"], self.labels(control)["test"])
