"""The row sets of a task and seed: weak-train, strong-train, validation and test, and other test sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CONFLICT = "conflict"  # the name of the rows of another task that a conflict mixes in
SPREAD = "sd of "  # and the name of a set: standard deviations of its labels over the members of the supervisor
CANDIDATES = "candidates"  # the answers to test questions, all of them
PLAIN = "plain:"  # and the name of a set: its scores before they were calibrated
OTHER_TEST = "test:"  # and the name of a test set: the name of its rows, and of their scores


@dataclass(frozen=True)
class RowSets:
    """Disjoint tables of rows (id, text, label, group); no two share a group."""

    weak: pd.DataFrame  # ground truth, for the weak supervisor alone
    train: pd.DataFrame  # the weak supervisor labels these for the student
    val: pd.DataFrame  # and these, for early stopping
    test: pd.DataFrame  # ground truth, for the numbers
    candidates: pd.DataFrame | None = None  # every answer to the test questions, with `question`; None for single texts
    tests: Mapping[str, pd.DataFrame] = field(default_factory=dict)  # other test sets by name
    subsets: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)  # of the test rows (n_test,), by name
    conflict: pd.DataFrame | None = None  # rows of another task, which no supervisor labels, with its labels
    drawn_as: str = ""  # the task whose random streams they are drawn by, where it is another

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The sets by name; `weak` is empty where the supervisor is trained on nothing."""
        named = {"weak": self.weak, "train": self.train, "val": self.val, "test": self.test}
        named |= {} if self.candidates is None else {CANDIDATES: self.candidates}
        return named | {OTHER_TEST + name: table for name, table in self.tests.items()}

    def with_tables(self, tables: Mapping[str, pd.DataFrame]) -> "RowSets":
        """The sets with these in place of those of the same names."""
        own: dict[str, Any] = {name: table for name, table in tables.items() if not name.startswith(OTHER_TEST)}
        others = {name: tables.get(OTHER_TEST + name, table) for name, table in self.tests.items()}
        return replace(self, **own, tests=others)

    @property
    def labelled(self) -> dict[str, pd.DataFrame]:
        """The sets that the supervisor labels: all but weak-train."""
        return {name: table for name, table in self.tables.items() if name != "weak"}

    @property
    def read_by_students(self) -> dict[str, pd.DataFrame]:
        """The sets that students may be taught or judged on: those that the supervisor labels, and a conflict's."""
        return self.labelled if self.conflict is None else {**self.labelled, CONFLICT: self.conflict}

    def summary(self) -> dict[str, dict[str, float]]:
        """Rows and share of label 1 in each set that has rows."""
        return {
            name: {"rows": len(table), "positive": round(float(table["label"].mean()), 4)}
            for name, table in {"weak": self.weak, **self.read_by_students}.items()
            if len(table)
        }


def scored(scores: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Of scores by row set those that are judged."""
    return {name: values for name, values in scores.items() if is_scored(name)}


def is_scored(name: str) -> bool:
    """Whether a row set's scores are judged: those of test sets, and of the candidates of test questions."""
    return name in ("test", CANDIDATES) or name.startswith(OTHER_TEST)
