"""A folder that `w2s student` wrote: its record, and its scores of test rows where it was tested."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.io.sealed import not_as_written
from w2s_probes.io.tables import read_table
from w2s_probes.rows.fields import typed
from w2s_probes.rows.groups import GROUP, groups_of
from w2s_probes.students.finetuning.settings import STUDENT_PREDICTIONS, STUDENT_RECORD
from w2s_probes.students.scored_rows import StudentScores, compare_with_supervisor
from w2s_probes.ties import above_half

from .columns import Cells, checked
from .records import StudentRecord, read_record

SHARES = ("label", "truth", "given_label", "weak_label")


@dataclass(frozen=True)
class TrainedStudent:
    """A student's record, and its scores of test rows."""

    name: str  # its folder below the one asked for, or that one's own
    record: dict[str, Any]
    predictions: pd.DataFrame | None  # id, p, value (what it is scored against), weak, group; None: not there
    altered: dict[str, str] = field(default_factory=dict)  # files that are changed or gone since they were written

    @property
    def against(self) -> str:
        """The labels that its test rows are scored against, truth or label; empty where it was not tested."""
        return str((self.record.get("test") or {}).get("against", ""))

    @property
    def scores(self) -> StudentScores | None:
        """Its AUROC and accuracy beside its supervisor's; None where the scores of test rows are not there."""
        if self.predictions is None:
            return None
        value, p, weak = (self.predictions[name].to_numpy(dtype=np.float64) for name in ("value", "p", "weak"))
        return compare_with_supervisor(value, p, weak, groups_of(self.predictions))


def read_student(folder: Path, name: str) -> TrainedStudent:
    """Read a student's folder. InputError, naming the file, where one of its files is damaged or another's.

    Predictions that are not there leave the record's own numbers.
    """
    record = read_record(folder / STUDENT_RECORD, StudentRecord)
    altered = not_as_written(folder / STUDENT_RECORD, record, [STUDENT_PREDICTIONS])
    file = folder / STUDENT_PREDICTIONS
    if file.exists() and not file.is_file():
        raise InputError(f"{file}: no file: move it elsewhere")
    tested = record.get("test") and file.is_file()
    predictions = _predictions(file, str(record["test"]["against"])) if tested else None
    return TrainedStudent(name, record, predictions, altered)


def _predictions(file: Path, against: str) -> pd.DataFrame:
    """The scores of test rows, by `id`: `p`, `value`, `weak` (NaN where not known), and perhaps `group`."""
    table = typed(read_table(file), str(file))
    column = "truth" if against == "truth" else "given_label"
    for name in ("id", "label", column):
        if name not in table:
            raise InputError(f"{file}: has no column {name!r}: it is damaged, or no file of this kind")
    table = checked(table, file, Cells(shares=SHARES, full=("label",)))
    value = table[column].to_numpy(dtype=np.float64)
    sides = above_half(value[~np.isnan(value)])
    if not len(sides) or sides.all() or not sides.any():
        raise InputError(f"{file}: its {column} is of one class or of none: the file is damaged, make it again")
    weak = table["weak_label"].to_numpy(dtype=np.float64) if "weak_label" in table else np.nan
    found = pd.DataFrame({"id": table["id"], "p": table["label"].astype(float), "value": value}).assign(weak=weak)
    return found if GROUP not in table else found.assign(**{GROUP: table[GROUP]})
