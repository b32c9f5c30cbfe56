"""A trained student in its folder: the rows that it learned from, its scores of test rows, and its sealed record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from numpy.typing import NDArray

# Modules that train are imported where they are used: stores and label files are read, and refused, without them.
from ..errors import InputError
from ..io.files import refuse_input
from ..io.sealed import write_sealed
from ..io.tables import refuse_no_table, write_table
from ..labels.label_set import LabelSet, read_label_table
from .finetuning.settings import STUDENT_HEAD as HEAD
from .finetuning.settings import STUDENT_MODEL as MODEL
from .finetuning.settings import STUDENT_PREDICTIONS as PREDICTIONS
from .finetuning.settings import STUDENT_RECORD as RECORD

if TYPE_CHECKING:
    from ..metrics.intervals import Estimate
    from .chosen_rows import ChosenRows
    from .finetune import FineTuned
    from .head import HeadStudent
    from .scored_rows import Numbers, ScoredRows, StudentScores

StudentKind = Literal["head", "lora", "full", "lm"]


@dataclass(frozen=True)
class WrittenStudent:
    """A trained student that was written to a folder, with its rows and its scores."""

    folder: Path
    kind: StudentKind
    loss: str
    reads: str  # what it learned from, in words: `layer 2`, or a model's folder
    rows: "ChosenRows"
    validation: "Estimate | None"  # AUROC on the validation rows against their weak labels; None where of one class
    tested: "ScoredRows | None"
    scores: "StudentScores | None"  # of the test rows
    head: "HeadStudent | None" = None  # of kind head
    layer: int | None = None  # of kind head
    tuned: "FineTuned | None" = None  # of the other kinds

    @property
    def files(self) -> list[str]:
        """The names of what was written to the folder; a fine-tuned model is a folder."""
        return [RECORD, HEAD if self.kind == "head" else MODEL, *([PREDICTIONS] if self.tested is not None else [])]

    @property
    def lines(self) -> list[str]:
        """The rows that it learned from and its scores with their intervals, a line each."""
        lines = [f"{self.folder}: {self.loss} {self.kind} of {self.reads}, trained on {self.rows.account}"]
        if self.tuned is not None:
            lines += _of_tuning(self.tuned)
        if self.tested is None or self.scores is None:
            return [*lines, *self._untested()]
        tested = self.tested
        if tested.related:
            lines.append(
                f"{tested.file}: {tested.related} rows left out, which share a text or a group with training rows"
            )
        lines.append(f"test{tested.remark}: {self.scores.rows:,} rows of {tested.file} [95 %]")
        lines += [f"  {line}" for line in self.scores.lines]
        if tested.no_weak:
            lines.append(f"The supervisor is not compared: {tested.no_weak}.")
        elif tested.against == "label":
            lines.append(
                "The supervisor is not compared, nor is the truth known: give each row `truth` beside the supervisor's "
                "`label`."
            )
        return [*lines, "Intervals hold the choice of the test rows, not the luck of this one training."]

    def _untested(self) -> list[str]:
        from ..metrics.paired_scores import with_interval

        n = int(self.rows.val.sum())
        if self.validation is None:
            return [
                f"No test: the weak labels of the {n:,} rows that stop training are of one class, and judge nothing."
            ]
        point = "epoch" if self.kind == "head" else "update"
        return [
            f"No test: AUROC {with_interval(self.validation)} on the {n:,} rows that stop training, against their weak "
            f"labels. That is agreement with the supervisor, on rows by which the {point} was chosen, and not quality "
            "by the truth."
        ]

    def write(self, record: dict[str, Any], p: NDArray[Any] | None) -> None:
        """Write the sealed record, and the scores p (n,) of the test rows; those of an earlier student are removed."""
        if self.tested is not None and p is not None:
            write_table(self.tested.predictions(p), self.folder / PREDICTIONS)
        else:
            (self.folder / PREDICTIONS).unlink(missing_ok=True)
        model = self.folder / MODEL
        of_model = [f"{MODEL}/{file.name}" for file in model.iterdir() if file.is_file()] if model.is_dir() else []
        write_sealed(self.folder / RECORD, record, [HEAD, PREDICTIONS, *of_model])

    def record(self) -> dict[str, Any]:
        """The rows and scores in student.json. Intervals are [value, low, high], with null ends where rows are few."""
        from ..metrics.paired_scores import as_listed

        rows, tested, scores = self.rows, self.tested, self.scores
        record: dict[str, Any] = {
            "rows": {"train": rows.train, "val": int(rows.val.sum())},
            "row_counts": rows.counts,
            "validation": {"against": "weak labels", "auroc": as_listed(self.validation)},
        }
        if tested is None or scores is None:
            return record
        test = {"file": tested.file, "against": tested.against, "rows": scores.rows, "of_rows": len(tested.ids)}
        test |= {metric: value.value for metric, value in scores.student.items() if value is not None}
        test["intervals"] = _listed(scores.student)
        if scores.supervisor is not None and scores.difference is not None:
            test["supervisor"] = {"rows": scores.supervised, **_listed(scores.supervisor)}
            test["student_minus_supervisor"] = _listed(scores.difference)
        if tested.related:
            test["left_out"] = tested.related
        return record | {"test": test}


def refuse_places(out: Path, kind: StudentKind, inputs: Sequence[Path | None]) -> None:
    """InputError where a student cannot be written to the folder: another kind's, a store's, or an input is there."""
    if (out / "manifest.json").exists():
        raise InputError(f"{out}: is an activation store; give another --out")
    other = MODEL if kind == "head" else HEAD
    if (out / RECORD).exists() and (out / other).exists():
        what = "a fine-tuned student" if kind == "head" else "a head"
        raise InputError(f"{out}: holds {what} ({other}): give another --out")
    for name in (RECORD, HEAD, PREDICTIONS):
        refuse_input(out / name, *inputs)
        if (out / name).is_dir():
            raise InputError(f"{out / name}: a folder stands where a file is to be written: give another --out")


def read_labels_to_learn(labels: Path, test: Path | None) -> pd.DataFrame:
    """The label file's table; InputError for bad labels, and a test that is no table, before any row is chosen."""
    table = read_label_table(labels)
    LabelSet.from_table(table, where=str(labels))
    if test is not None:
        refuse_no_table(test)
    return table


def _of_tuning(tuned: "FineTuned") -> list[str]:
    how = "stopped early" if tuned.stopped else "all updates done"
    lines = [f"weights of update {tuned.best_step:,}, {how}, {tuned.seconds:,.0f} s of training and scoring"]
    if cut := {name: n for name, n in tuned.cut.items() if n}:
        sets = ", ".join(f"{n:,} of {name}" for name, n in cut.items())
        lines.append(f"texts longer than the window lose their end: {sets}")
    return lines


def _listed(numbers: "Numbers") -> dict[str, list[float | None] | None]:
    from ..metrics.paired_scores import as_listed

    return {str(metric): as_listed(value) for metric, value in numbers.items()}
