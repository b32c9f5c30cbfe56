"""Reads a folder's runs, sweeps, students and filtered label files; an error names the damaged file."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from extract.steering.steer_files import STEER_COLUMNS
from w2s_probes.errors import InputError
from w2s_probes.io.sealed import not_as_written
from w2s_probes.io.tables import FORMATS, table_format
from w2s_probes.labels.verdicts import NEEDED, read_verdicts
from w2s_probes.metrics import METRICS
from w2s_probes.probes.registry import PROBES
from w2s_probes.rows.groups import GROUP
from w2s_probes.students.finetuning.settings import STUDENT_PREDICTIONS, STUDENT_RECORD

from ...results.names import (
    CEILING,
    COMMON,
    COMPARISONS,
    FROM_BASE,
    LABELS,
    RECIPE,
    RECORD,
    RESULTS,
    WEAK,
    filter_file,
    is_matched_control,
    parse_trial_key,
    predictions_file,
    with_ceilings,
)
from ...robustness.robust_files import ROBUST_RECORD
from .argued_rows import ArguedRow, argued_rows
from .by_test_set import by_test_set
from .columns import Cells, checked, checked_table, columns_of, refuse_cut_off
from .foretold_table import ForetoldTable, read_foretold
from .places import run_folders
from .records import RunRecord, SweepRecord, read_record
from .robust_tables import TriedStudents, read_robust
from .steered_files import SteeredFile, read_steered
from .student_files import TrainedStudent, read_student
from .sweep_measures import FILTER_MEASURES, MEASURES, STUDENT_MEASURES

RESULT_COLUMNS = {"task", "seed", "method", "metric", "value", "low", "high", "n", "status", "oracle"}
COMPARISON_COLUMNS = {"metric", "method", "against", "tasks", "better", "difference", "low", "high", "oracle", "status"}
COMPARISON_COLUMNS |= {"p", "p_holm", "p_better", "p_worse", "p_wilcoxon", "p_wilcoxon_worse", "p_t", "p_t_worse"}
COMPARISON_COLUMNS |= {"pooled_pgr", "pooled_low", "pooled_high", "median_pgr", "worse"}
SWEEP_COLUMNS = {"labels", "seed", "layer", "probe", "k", "l2", "rows", "metric", "value", "low", "high", "oracle"}
MEASURED = {f"{kind}{metric}" for kind in ("", "pgr_", "gap_", "gain_") for metric in (*METRICS, "question_accuracy")}
MEASURED |= {f"pgr_{FROM_BASE}{metric}" for metric in (*METRICS, "question_accuracy")}
MEASURED |= {f"pgr_{metric}{COMMON}" for metric in (*METRICS, "question_accuracy")}
RESULT_CELLS = Cells(
    numbers=("value", "l2", "contamination", "alpha", "gap"),
    ends=("low", "high", "gap_low", "gap_high"),
    whole=("seed", "layer", "k", "n", "seeds", "trusted"),
    names=("task", "method", "metric", "status"),
    truths=("oracle",),
    known={"metric": MEASURED | {"agreement", "agreement_on_errors"}},
)
P_VALUES = [f"p{kind}{end}" for kind in ("", "_wilcoxon", "_t") for end in ("", "_worse", "_holm")]
COMPARISON_CELLS = Cells(
    numbers=("difference", "pooled_pgr", "median_pgr"),
    ends=("low", "high", "pooled_low", "pooled_high"),
    whole=("tasks", "better", "worse", "trusted"),
    shares=("p_better", *P_VALUES),
    names=("metric", "method", "status"),
    full=("tasks",),
    truths=("oracle",),
    known={"metric": {f"{kind}{metric}" for kind in ("", "pgr_", f"pgr_{FROM_BASE}") for metric in METRICS}},
    beside={"difference": ("better", "worse")},
)
SWEEP_CELLS = Cells(
    numbers=("value", "l2", "contamination"),
    ends=("low", "high"),
    whole=("seed", "layer", "k", "n"),
    names=("labels", "probe", "rows", "metric"),
    truths=("oracle",),
    known={
        "rows": ("training", "stopping", "held-out"),
        "metric": (*MEASURES, *FILTER_MEASURES, *STUDENT_MEASURES),
    },
)
FILTER_CELLS = Cells(
    numbers=("score",), shares=("p", "new_label")
)  # truths and labels are checked with their rows' ids


@dataclass(frozen=True)
class Filtered:
    """A label file with a filter's verdict on each row."""

    name: str  # the file's
    table: pd.DataFrame
    task: str = ""  # of a run's filter, whose method is `by`
    seed: int | None = None
    by: str = ""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run."""

    name: str  # its folder below the one asked for; empty for that one itself
    record: dict[str, Any]
    results: pd.DataFrame  # on the tasks' own test sets
    comparisons: pd.DataFrame  # of methods with the plain student, there
    recipe: str | None  # TOML; None in folders of earlier versions
    predictions: dict[str, dict[int, pd.DataFrame]]  # test scores by task and seed, as far as they are there
    filtered: list[Filtered]
    controls: pd.DataFrame = field(default_factory=pd.DataFrame)  # comparisons of filters with their own controls
    altered: dict[str, str] = field(default_factory=dict)  # files that are changed or gone since they were written
    # On other test sets, with a column `test_set`: results, and comparisons with the plain student.
    other_results: pd.DataFrame = field(default_factory=pd.DataFrame)
    other_comparisons: pd.DataFrame = field(default_factory=pd.DataFrame)
    argued: list[ArguedRow] = field(default_factory=list)  # some of the rows that were argued about
    foretold: ForetoldTable | None = None  # of `w2s foretell --run`

    @property
    def baseline(self) -> str:
        """The plain student."""
        return str(self.record["recipe"].get("baseline", "student-xent"))


@dataclass(frozen=True)
class FinishedSweep:
    """A sweep's table, and its record where there is one."""

    name: str
    table: pd.DataFrame
    record: dict[str, Any] | None
    altered: dict[str, str] = field(default_factory=dict)  # as of a run


@dataclass(frozen=True)
class Contents:
    """The content of a folder: all that a report shows."""

    name: str  # of the folder
    runs: list[FinishedRun]
    sweeps: list[FinishedSweep]
    filtered: list[Filtered]
    unfinished: list[str]  # folders of runs that have begun and not ended
    students: list[TrainedStudent] = field(default_factory=list)  # of `w2s student`
    robust: list[TriedStudents] = field(default_factory=list)  # of `w2s robust`
    steered: list[SteeredFile] = field(default_factory=list)  # of `w2s steer`


def read_results(folder: Path) -> pd.DataFrame:
    """A run's results.csv, checked; InputError where it is missing or damaged."""
    if not (folder / RESULTS).is_file():
        raise InputError(f"{folder / RESULTS}: missing beside {RECORD}: run the recipe again, which reuses the rest")
    return checked_table(folder / RESULTS, RESULT_COLUMNS, RESULT_CELLS)


def read_folder(folder: Path) -> Contents:
    """Read a folder. InputError where nothing in it can be reported, or a file is damaged or missing."""
    runs, sweeps, filtered, unfinished, students, robust, steered = [], [], [], [], [], [], []
    for place in run_folders(folder):
        name = place.relative_to(folder).as_posix() if place != folder else ""
        if of_robust := (place / ROBUST_RECORD).exists():
            robust.append(read_robust(place, name))
        if (place / RECORD).is_file():
            runs.append(_run(place, name))
        elif of_robust:
            continue
        elif (place / LABELS).is_dir():
            unfinished.append(name or place.name)
        elif (place / RESULTS).is_file() and "pair" not in columns_of(place / RESULTS):
            raise InputError(
                f"{place / RESULTS}: {RECORD} is not beside it: run the recipe again, which reuses the rest"
            )
        if of_student := (place / STUDENT_RECORD).exists():
            students.append(read_student(place, name or folder.resolve().name))
        for file in sorted(place.iterdir()):
            if of_student and file.name == STUDENT_PREDICTIONS:
                continue
            if file.is_file() and file.name.endswith(FORMATS) and file.name not in (RESULTS, COMPARISONS):
                found = columns_of(file)
                below = f"{name}/{file.name}" if name else file.name
                if found >= SWEEP_COLUMNS or file.name.startswith("sweep."):
                    sweeps.append(_sweep(file, below))
                elif found >= set(STEER_COLUMNS):
                    steered.append(read_steered(file, below))
                elif found >= set(NEEDED):
                    filtered.append(Filtered(below, _verdicts(file)))
    if not (runs or sweeps or filtered or students or robust or steered):
        if unfinished:
            raise InputError(f"{folder}: its run has not finished: the same `w2s run` command goes on from there")
        raise InputError(
            f"{folder}: nothing to report: no results of `w2s run`, `robust`, `sweep`, `filter`, `student` or `steer` "
            "are in it"
        )
    return Contents(folder.resolve().name, runs, sweeps, filtered, unfinished, students, robust, steered)


def _run(folder: Path, name: str) -> FinishedRun:
    record = read_record(folder / RECORD, RunRecord)
    results, other_results = by_test_set(read_results(folder))
    if not (folder / COMPARISONS).is_file():
        raise InputError(
            f"{folder / COMPARISONS}: missing beside {RECORD}: run the recipe again, which reuses the rest"
        )
    comparisons, others = by_test_set(checked_table(folder / COMPARISONS, COMPARISON_COLUMNS, COMPARISON_CELLS))
    if methods := record["recipe"].get("methods"):
        known = Cells(known={"method": [WEAK, CEILING, *with_ceilings(methods)]})
        for table in (results, other_results):
            checked(table, folder / RESULTS, known)
        for table in (comparisons, others):
            checked(table, folder / COMPARISONS, known)
    _refuse_unmeasured(results, comparisons, folder)
    predictions: dict[str, dict[int, pd.DataFrame]] = {}
    filtered = []
    for key, made in record["runs"].items():
        task, seed = parse_trial_key(key)
        scores = folder / predictions_file(task, seed)
        if _there(scores):
            predictions.setdefault(task, {})[seed] = _predictions(scores)
        for method in filters_of([*made.get("taken", made.get("methods", {}))]):
            place = filter_file(task, seed, method)
            file = folder / place
            if _there(file):
                filtered.append(Filtered(place, _verdicts(file), task, seed, method))
    beside = comparisons["against"].map(str).map(is_matched_control).astype(bool)
    recipe = _recipe(folder / RECIPE)
    compared, controls = comparisons[~beside], comparisons[beside].copy()
    altered = not_as_written(folder / RECORD, record)
    others = others[~others["against"].map(str).map(is_matched_control).astype(bool)]
    found = FinishedRun(
        name, record, results, compared, recipe, predictions, filtered, controls, altered, other_results, others
    )
    return replace(found, argued=argued_rows(folder, record["runs"]), foretold=read_foretold(folder, record))


def _refuse_unmeasured(results: pd.DataFrame, comparisons: pd.DataFrame, folder: Path) -> None:
    """InputError unless the results hold the AUROC of every compared method and of every task."""
    measured = results[(results["metric"] == "auroc") & results["value"].notna()]
    compared = comparisons[comparisons["metric"] == "auroc"]
    for metric in ("auroc", "pgr_auroc"):
        there = set(results["method"][results["metric"] == metric])
        if absent := [str(name) for name in compared["method"] if name not in there]:
            raise InputError(f"{folder / RESULTS}: has no {metric} of {absent[0]!r}, which stands in {COMPARISONS}")
    if absent := [str(task) for task in results["task"].unique() if task not in set(measured["task"])]:
        raise InputError(f"{folder / RESULTS}: has no auroc of any method on {absent[0]!r}: make it again")


def _there(file: Path) -> bool:
    """Whether a file is there; InputError where something else stands in its place."""
    if file.exists() and not file.is_file():
        raise InputError(f"{file}: no file: move it elsewhere")
    return file.is_file()


def _recipe(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8") if _there(file) else None
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not text in UTF-8: make it again") from error


def _predictions(file: Path) -> pd.DataFrame:
    """Read the truth and every method's scores of the test rows."""
    table = checked_table(file, {"id", "truth"}, Cells())
    scores = [str(name) for name in table if name not in ("id", GROUP)]
    return checked(table, file, Cells(numbers=scores, full=scores))


def filters_of(methods: Iterable[str]) -> list[str]:
    """The methods whose filter has a card of its own: no control, and none that filters as another one does."""
    own = set(methods)
    relabelled = {name for name in own if name.replace("filter-relabel-", "filter-", 1) in own - {name}}
    return [name for name in methods if not name.startswith("control-") and name not in relabelled]


def _sweep(file: Path, name: str) -> FinishedSweep:
    beside = file.with_name(file.name.removesuffix(table_format(file)) + ".json")
    table = checked_table(file, SWEEP_COLUMNS, SWEEP_CELLS)
    record = read_record(beside, SweepRecord) if beside.exists() else None
    for probe in table["probe"].unique():
        swept = [f"{probe}{end}".replace("-", "_") for end in ("", "_k", "_l2")]
        if probe not in PROBES and not ((record or {}).get("grid") or {}).keys().isdisjoint(swept):
            raise InputError(f"{file}: has a probe of a plugin, {probe!r}: give --plugin FILE, as to the sweep")
    checked(table, file, Cells(known={"probe": (*PROBES.with_classes(table["probe"]), WEAK, "student")}))
    return FinishedSweep(name, table, record, not_as_written(beside, record, [file.name]) if record else {})


def _verdicts(file: Path) -> pd.DataFrame:
    refuse_cut_off(file)
    return checked(read_verdicts(file), file, FILTER_CELLS)
