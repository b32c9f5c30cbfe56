"""A folder that `w2s robust` wrote: its record and tables, checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.io.sealed import not_as_written

from ...robustness.robust_files import (
    COLUMNS_OF,
    CONTROLS_BESIDE,
    GREEDY,
    PAYOFF,
    REPLAY_CURVES,
    REPLAYED,
    ROBUST_RECORD,
    ROBUST_TABLES,
    STUDENTS_CHOSEN,
)
from .columns import Cells, checked_table
from .records import RobustRecord, read_record

CELLS = {
    PAYOFF: Cells(
        numbers=("value", "low", "high", "rate"),
        whole=("seed", "n", "seeds", "trusted"),
        names=("task", "student", "family", "metric"),
        full=("value",),
        truths=("oracle",),
        known={"judged": ("held-out", "test")},
    ),
    STUDENTS_CHOSEN: Cells(
        numbers=("mean", "worst", "margin", "error", "low", "high", "delta"),
        whole=("found", "seeds", "trusted"),
        names=("task", "student", "worst_at", "best_at"),
        full=("mean", "worst", "margin"),
        truths=("undominated", "pareto", "oracle"),
    ),
    GREEDY: Cells(numbers=("gain", "error"), whole=("step",), names=("task", "student"), truths=("taken", "oracle")),
    CONTROLS_BESIDE: Cells(
        numbers=("mean", "worst"), names=("task", "control", "judged"), full=("mean", "worst"), truths=("oracle",)
    ),
    REPLAYED: Cells(
        numbers=("reward", "regret", "low", "high", "bound"),
        whole=("trusted",),
        names=("schedule", "learner"),
        full=("reward", "regret", "low", "high"),
        truths=("oracle",),
    ),
    REPLAY_CURVES: Cells(
        numbers=("regret", "low", "high"),
        whole=("round",),
        names=("schedule", "learner"),
        full=("round", "regret", "low", "high"),
        truths=("oracle",),
    ),
}
FIELDS = {
    PAYOFF: "payoff",
    STUDENTS_CHOSEN: "students",
    GREEDY: "greedy",
    CONTROLS_BESIDE: "controls",
    REPLAYED: "replays",
    REPLAY_CURVES: "curves",
}


@dataclass(frozen=True)
class TriedStudents:
    """Students under every attack, and the choice among them."""

    name: str  # the folder below the one asked for; empty for that one itself
    record: dict[str, Any]
    payoff: pd.DataFrame
    students: pd.DataFrame
    greedy: pd.DataFrame
    controls: pd.DataFrame
    replays: pd.DataFrame
    curves: pd.DataFrame
    altered: dict[str, str]  # files that are changed or gone since they were written


def read_robust(folder: Path, name: str) -> TriedStudents:
    """Read a folder of `w2s robust`. InputError, naming the file, where one of its files is missing or damaged."""
    record = read_record(folder / ROBUST_RECORD, RobustRecord)
    tables: dict[str, pd.DataFrame] = {}
    for file, columns in COLUMNS_OF.items():
        if not (folder / file).is_file():
            raise InputError(
                f"{folder / file}: missing beside {ROBUST_RECORD}: run `w2s robust` again, which reuses the rest"
            )
        table = checked_table(folder / file, columns, CELLS[file])
        if table.empty:
            raise InputError(f"{folder / file}: holds no rows: make it again")
        tables[FIELDS[file]] = table
    altered = not_as_written(folder / ROBUST_RECORD, record, [*ROBUST_TABLES])
    return TriedStudents(name=name, record=record, altered=altered, **tables)
