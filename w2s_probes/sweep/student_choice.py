"""The best student of a sweep, chosen by weak labels of rows that it did not learn, and measured on rows held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..errors import InputError, did_you_mean
from .choosing import CRITERIA, LESS_IS_BETTER, Ends, in_json, said
from .grid import BY_TRUTH, ChooseBy
from .measures import HELD_OUT, OK, STOPPING, STUDENT_PROBE
from .student_grid import CEILING, student_name

SHOWN, PGR = "auroc", "pgr_auroc"
STUDENT_KEYS = ["layer", "method", "loss", "contamination"]


@dataclass(frozen=True)
class BestStudent:
    """A sweep's best student for one label set.

    `stopping` flatters it: it is the best of `compared` students on those rows, which also stopped it. `held_out` does
    not.

    >>> ends = {"weak_auroc": (0.8, 0.7, 0.9)}
    >>> best = BestStudent("weak", "weak_auroc", 3, "filter-knn", "logconf", 0.1, 5, None, 12, ends, ends, oracle=False)
    >>> best.setting
    'layer 3, filter-knn, logconf, contamination = 0.1, k = 5'
    """

    labels: str
    chosen_by: ChooseBy  # the measure on the stopping rows, mean over the seeds
    layer: int
    method: str
    loss: str
    contamination: float | None
    k: int | None  # of the probe that filtered or relabelled, of the first seed
    l2: float | None
    compared: int  # students and layers
    stopping: Mapping[str, Ends]  # every measure: mean over seeds with its 95 % interval, or that of the first seed
    held_out: Mapping[str, Ends]  # empty where no rows were held out
    oracle: bool  # whether the truth chose
    pgr_status: str = OK  # of `held_out["pgr_auroc"]`: a number that is unstable should not be read

    @property
    def setting(self) -> str:
        """The student in words."""
        given = {"contamination": self.contamination, "k": self.k, "l2": self.l2}
        values = [f"{name} = {value:g}" for name, value in given.items() if value is not None]
        return ", ".join([f"layer {self.layer}", self.method, self.loss, *values])

    @property
    def name(self) -> str:
        """The student in a word, as columns are called (`SweepResult.students`)."""
        return student_name(self.method, self.loss, self.contamination)

    def record(self) -> dict[str, Any]:
        """As it stands in sweep.json; NaN becomes null."""
        return {**vars(self), "stopping": in_json(self.stopping), "held_out": in_json(self.held_out)}

    def __str__(self) -> str:
        text = f"{self.labels}: best student {self.setting}, of {self.compared} by {self.chosen_by}"
        if self.oracle:
            text += " (an oracle: the truth chose)"
        told = [(self.stopping, "on the rows that stopped it"), (self.held_out, "on held-out rows")]
        shown = [(ends, SHOWN if SHOWN in ends else "weak_auroc", where) for ends, where in told if ends]
        text += "; " + ", ".join(f"{metric} {said(ends[metric])} {where}" for ends, metric, where in shown)
        for metric, words in (("auroc_gain", "gain over the weak labels"), (PGR, "PGR")):
            if metric in self.held_out:
                text += f", {words} {said(self.held_out[metric])}"
        if PGR in self.held_out and self.pgr_status != OK:
            text += f" ({self.pgr_status})"
        return text


@dataclass(frozen=True)
class BestStudents:
    """The best students of a sweep's label sets."""

    found: Sequence[BestStudent]
    reasons: Mapping[str, str]  # by the label set: why it has none

    def record(self) -> dict[str, Any]:
        """As it stands in sweep.json."""
        without = {"no_best_student": dict(self.reasons)} if self.reasons else {}
        return {"best_students": [one.record() for one in self.found], **without}


def choose_student(
    table: pd.DataFrame, labels: str, by: ChooseBy = "weak_auroc", *, oracle: bool = False
) -> BestStudent:
    """The best student of one label set; InputError where there is none, or for a choice by truth not called oracle.

    Of equals the first of the lowest layer is taken. The ceiling, which learned the truth, is never among them.
    """
    if by not in CRITERIA:
        raise InputError(f"choose by {by!r}: {did_you_mean(by, CRITERIA)}")
    if by in BY_TRUTH and not oracle:
        raise InputError(f"choosing by {by} reads the truth: say oracle=True (--oracle), and the choice is marked so")
    own = table[(table["labels"] == labels) & (table["probe"] == STUDENT_PROBE) & (table["method"] != CEILING)]
    judged = own[(own["rows"] == STOPPING) & (own["metric"] == by) & (own["status"] == OK) & own["seed"].notna()]
    if judged.empty:
        reasons = own["status"][own["status"] != OK]
        why = "no students were swept" if own.empty else f"{reasons.iloc[0]}" if len(reasons) else "no `truth`"
        raise InputError(f"label set {labels!r} has no student to choose by {by}: {why}")
    means = judged.groupby(STUDENT_KEYS, dropna=False, sort=False)["value"].mean().reset_index()
    first = means.sort_values(["value", "layer"], ascending=[by in LESS_IS_BETTER, True], kind="stable").iloc[0]
    same = pd.Series(True, index=own.index)
    for key in STUDENT_KEYS:
        same &= own[key].isna() if pd.isna(first[key]) else own[key] == first[key]
    chosen = own[same]
    setting = chosen[chosen["seed"] == chosen["seed"].min()].iloc[0]
    return BestStudent(
        labels,
        by,
        int(first["layer"]),
        str(first["method"]),
        str(first["loss"]),
        None if pd.isna(setting["contamination"]) else float(setting["contamination"]),
        None if pd.isna(setting["k"]) else int(setting["k"]),
        None if pd.isna(setting["l2"]) else float(setting["l2"]),
        len(means),
        _measures(chosen[chosen["rows"] == STOPPING]),
        _measures(chosen[chosen["rows"] == HELD_OUT]),
        by in BY_TRUTH,
        next(iter(chosen["status"][chosen["metric"] == PGR]), OK),
    )


def _measures(lines: pd.DataFrame) -> dict[str, Ends]:
    """Every measure: of all seeds together where there is such a line, else of the first seed."""
    first = lines[lines["seed"] == lines["seed"].min()]
    both = pd.concat([first, lines[lines["seed"].isna()]])
    return {line.metric: (line.value, line.low, line.high) for line in both.dropna(subset=["value"]).itertuples()}
