"""Test rows of a student: the values it is scored against, and the weak supervisor's labels of the same rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..io.plain_values import is_missing
from ..labels.label_set import LabelSet, in_split, read_label_table, truth_where_known
from ..metrics.intervals import Estimate
from ..metrics.metric_names import Metric
from ..metrics.paired_scores import METRIC_NAMES, difference, estimate, with_interval
from ..metrics.recovery import hard_labels
from ..rows.fields import number
from ..rows.groups import groups_of
from ..rows.held_out import related_rows
from ..ties import above_half

Against = Literal["truth", "label"]
Numbers = dict[Metric, Estimate | None]


@dataclass(frozen=True)
class ScoredRows:
    """Test rows without those that are related to training rows: their labels were learned."""

    file: str
    ids: NDArray[np.object_]  # (n,)
    values: NDArray[np.float64]  # (n,) P(1) that the student is scored against; NaN where the file does not say it
    against: Against
    weak: NDArray[np.float64] | None  # (n,) the supervisor's P(1) beside the truth, NaN where a row lacks it
    groups: NDArray[np.object_] | None  # (n,) the user's groups; None where no two rows share one
    related: int  # rows of the file that are left out: they share a text or a group with training or validation rows
    no_weak: str = ""  # the reason why `weak` is None

    @classmethod
    def read(cls, path: Path, labels: pd.DataFrame, where: Path) -> Self:
        """The test rows of a file; InputError where they rank nothing, or are training or validation rows of `labels`.

        Rows related to those by text or group are left out, as a sweep leaves them out: their labels were learned.
        """
        return cls.of(read_label_table(path), str(path), labels, where)

    @classmethod
    def of(cls, table: pd.DataFrame, path: str, labels: pd.DataFrame, where: Path) -> Self:
        """The same of a table that was read from the file `path`."""
        truth = truth_where_known(table, path) if "id" in table else None
        against: Against = "label" if truth is None else "truth"
        if truth is None:
            label_set = LabelSet.from_table(table, where=path)
            ids, values = label_set.ids, label_set.p
        else:
            ids, values = table["id"].to_numpy(dtype=object), truth
        if "split" in labels:
            labels = labels[~in_split(labels, "test", str(where))]
        both = np.intersect1d(ids.astype(str), labels["id"].astype(str))
        if len(both):
            raise InputError(
                f"{path}: row {both[0]!r} is a training or validation row of {where}: test rows must be others"
            )
        related = related_rows(table, labels)
        known = ~np.isnan(values)
        if related[known].all():
            row = "row" if against == "label" or known.all() else "row that has `truth`"
            raise InputError(
                f"{path}: every {row} shares a text or a group with a training row of {where}: give others"
            )
        sides = above_half(values[~related & known])
        if sides.all() or not sides.any():
            raise InputError(
                f"{path}: one class only: the {against} of all {len(sides)} test rows is the same, so nothing can be "
                "ranked: give rows of both classes"
            )
        weak, why = (None, "") if truth is None else _supervisor(table, truth, path)
        weak = None if weak is None else weak[~related]
        groups = groups_of(table[~related])
        return cls(path, ids[~related], values[~related], against, weak, groups, int(related.sum()), why)

    @property
    def known(self) -> NDArray[np.bool_]:
        """The rows (n,) that count."""
        return ~np.isnan(self.values)

    @property
    def remark(self) -> str:
        """A remark on the rows, for the line of the numbers."""
        if self.against == "label":
            return ", against `label` (no `truth` there)"
        some = not self.known.all()
        return f", on the {self.known.sum()} of {len(self.ids)} rows that have `truth`" if some else ""

    def score(self, p: NDArray[np.float64]) -> "StudentScores":
        """AUROC and accuracy of the student's P(1) of the rows (n,), and of the supervisor's on the same rows."""
        weak = np.full(len(p), np.nan) if self.weak is None else self.weak
        return compare_with_supervisor(self.values, p, weak, self.groups)

    def predictions(self, p: NDArray[np.float64]) -> pd.DataFrame:
        """A line for each row: `label` is the student's P(1), `weak_label` the supervisor's where it is known."""
        column = "truth" if self.against == "truth" else "given_label"
        table = pd.DataFrame({"id": self.ids, "label": p, column: self.values})
        if self.weak is not None:
            table["weak_label"] = self.weak
        return table if self.groups is None else table.assign(group=self.groups)


def _supervisor(table: pd.DataFrame, truth: NDArray[np.float64], where: str) -> tuple[NDArray[np.float64] | None, str]:
    """The weak supervisor's P(1) of a file's rows (n,), which stands under `label`; or the reason why it is unknown."""
    there = ~np.isnan(truth)
    if "label" in table:
        there = there & np.array([not is_missing(number(value)) for value in table["label"].tolist()], dtype=bool)
    if "label" not in table or not there.any():
        return None, f"{where} has no `label` beside `truth`: put the supervisor's P(1) of each row there"
    weak = np.full(len(table), np.nan)
    try:
        weak[there] = LabelSet.from_table(table[there], where=where).p
    except InputError as error:  # words of the user's own, beside the truth that is asked for
        return None, str(error)
    if (weak[there] == truth[there]).all():
        return None, f"`label` is `truth` on every row of {where}: put the supervisor's P(1) there"
    return weak, ""


@dataclass(frozen=True)
class StudentScores:
    """A student's AUROC and accuracy on test rows, beside those of its supervisor on the same rows where it is known.

    Every interval holds the choice of the rows alone.
    """

    rows: int
    student: Numbers
    supervised: int = 0  # rows whose supervisor's label is known, too: the figures below are of these
    supervisor: Numbers | None = None
    student_there: Numbers | None = None  # the student's on those rows, where they are fewer
    difference: Numbers | None = None  # student - supervisor, paired; no AUROC where the supervisor gives hard labels
    hard: bool = False  # the supervisor's labels have too few values to rank rows

    @property
    def lines(self) -> list[str]:
        """The numbers of student, supervisor and difference, a line each."""
        lines = [f"student: {_in_words(self.student)}"]
        if self.supervisor is None or self.difference is None:
            return lines
        if self.student_there is not None:
            lines.append(
                f"student on the {self.supervised:,} rows that have the supervisor's `label`: "
                + _in_words(self.student_there)
            )
        shown: Numbers = {name: value for name, value in self.supervisor.items() if name == "accuracy" or not self.hard}
        lines.append(f"supervisor (`label`), same rows: {_in_words(shown)}")
        lines.append(f"student - supervisor: {_in_words(self.difference, '+.3f')}")
        if self.hard:
            lines.append("The supervisor gives hard labels, which rank nothing: compare accuracy.")
        return lines


def compare_with_supervisor(
    values: NDArray[np.float64],
    p: NDArray[np.float64],
    weak: NDArray[np.float64],
    groups: NDArray[np.object_] | None,
) -> StudentScores:
    """The scores of a student's P(1) (n,) and its supervisor's on rows whose `values` (n,) are known, not NaN."""
    known = ~np.isnan(values)
    student, there = _numbers(values, p, groups, known), known & ~np.isnan(weak)
    if not there.any():
        return StudentScores(int(known.sum()), student)
    hard = hard_labels(weak[there])
    there_groups = None if groups is None else groups[there]
    differences: Numbers = {
        metric: difference(metric, values[there], p[there], weak[there], there_groups)
        for metric in METRIC_NAMES
        if metric == "accuracy" or not hard
    }
    return StudentScores(
        int(known.sum()),
        student,
        int(there.sum()),
        _numbers(values, weak, groups, there),
        None if (there == known).all() else _numbers(values, p, groups, there),
        differences,
        hard,
    )


def _numbers(
    values: NDArray[np.float64], p: NDArray[np.float64], groups: NDArray[np.object_] | None, rows: NDArray[np.bool_]
) -> Numbers:
    row_groups = None if groups is None else groups[rows]
    return {metric: estimate(metric, values[rows], p[rows], row_groups) for metric in METRIC_NAMES}


def _in_words(numbers: Numbers, spec: str = ".3f") -> str:
    return ", ".join(f"{METRIC_NAMES[metric]} {with_interval(value, spec)}" for metric, value in numbers.items())
