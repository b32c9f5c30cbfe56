"""The section of students that `w2s student` trained: a line each, and differences of pairs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from w2s_probes.metrics.intervals import Estimate
from w2s_probes.metrics.metric_names import Metric
from w2s_probes.metrics.paired_scores import METRIC_NAMES
from w2s_probes.students.scored_rows import Numbers, StudentScores

from ..drawing.cells import Column, Table, TableCell, estimate, narrowed, number, shown, words
from ..drawing.figures import Bar, Figure, forest
from ..load.student_files import TrainedStudent
from .student_pairs import Pair, on_the_same_rows, pairs_of

SIGNED = "+.3f"
LUCK = (
    "Each number is of one training: intervals hold the choice of the test rows, and two trainings of one student can "
    "differ by more. So no student is called better than another here; a run (w2s run) with several seeds can tell."
)


@dataclass(frozen=True)
class StudentsView:
    """The content of the students' section."""

    key: str
    headline: str
    facts: list[str]
    table: Table
    pairs: Table | None
    figure: Figure | None
    altered: list[tuple[str, dict[str, str]]]  # by student, its files that are not as they were written


def students_view(students: Sequence[TrainedStudent], key: str) -> StudentsView | None:
    """Build the section of a folder's students; None where there are none."""
    if not students:
        return None
    scores = {one.name: one.scores for one in students}
    compared, apart = pairs_of(students)
    facts = _facts(students, scores, compared, apart)
    return StudentsView(
        key,
        _headline(students, scores, compared),
        facts,
        _table(students, scores),
        _pairs_table(compared, every=len(compared) == math.comb(sum(map(bool, scores.values())), 2)),
        _figure(students, scores, key),
        [(one.name, one.altered) for one in students if one.altered],
    )


def _headline(
    students: Sequence[TrainedStudent], scores: dict[str, StudentScores | None], compared: Sequence[Pair]
) -> str:
    """Sentences on the students' values, their rows, and the unknown luck of a single training."""
    n, known = len(students), {name: one for name, one in scores.items() if one is not None}
    counted = f"{n} student{'' if n == 1 else 's'}"
    if not known:
        return f"{counted} trained, and no scores of test rows: train again with --test FILE."
    by = {name: _auroc(one.student) for name, one in known.items()}
    if len(known) == 1:
        ((name, only),) = known.items()
        beside = ""
        if only.supervisor is not None and only.difference is not None:
            beside = _beside(only)
        return f"{name}: AUROC {_told(only.student['auroc'])} on {only.rows:,} test rows{beside}."
    lowest, highest = min(by, key=lambda name: by[name]), max(by, key=lambda name: by[name])
    same = on_the_same_rows([one for one in students if one.name in known])
    where = f"on the same {known[highest].rows:,} test rows" if same else "each on its own test rows"
    if len(known) < n:
        counted = f"{len(known)} of {n} students were tested"
    text = f"{counted}: AUROC {shown(by[lowest])} ({lowest}) to {shown(by[highest])} ({highest}), {where}"
    if compared:
        largest = max(compared, key=_size)
        found = largest.differences["auroc"]
        text += f"; largest difference {largest.a} − {largest.b} {_told(found, SIGNED)}"
        text += "" if same else f" on the {largest.rows:,} rows that both scored"
    return text + ". One training each does not tell which student is better."


def _beside(scores: StudentScores) -> str:
    """The supervisor beside a student."""
    assert scores.supervisor is not None
    assert scores.difference is not None
    metric: Metric = "accuracy" if scores.hard else "auroc"
    rows = "" if scores.supervised == scores.rows else f" on the {scores.supervised:,} rows that have its label"
    return (
        f"; its supervisor's {METRIC_NAMES[metric]} is {_told(scores.supervisor[metric])}{rows}, student − supervisor "
        f"{_told(scores.difference[metric], SIGNED)}"
    )


def _facts(
    students: Sequence[TrainedStudent],
    scores: dict[str, StudentScores | None],
    compared: Sequence[Pair],
    apart: Sequence[str],
) -> list[str]:
    facts = [LUCK] if any(scores.values()) else []
    sure = [pair for pair in compared if _apart(pair.differences["auroc"])]
    if compared:
        facts.append(
            f"The interval of the difference in AUROC excludes 0 for {len(sure)} of {len(compared)} pairs, each by "
            "itself, not corrected for their number."
        )
    told = {name: one for name, one in scores.items() if one is not None and one.difference is not None}
    for metric, word in METRIC_NAMES.items():
        of = {name: one.difference[metric] for name, one in told.items() if one.difference and metric in one.difference}
        above = [name for name, one in of.items() if one is not None and one.low > 0]
        below = [name for name, one in of.items() if one is not None and one.high < 0]
        if of:
            facts.append(
                f"Beside the supervisor's label of the same rows, in {word}: {len(above)} of {len(of)} above it and "
                f"{len(below)} below by more than the choice of the rows explains."
            )
    if any(one.hard for one in told.values()):
        facts.append("A supervisor that gives hard labels ranks nothing by them: compare accuracy.")
    without = [one.name for one in students if scores[one.name] is not None and one.name not in told]
    if without:
        facts.append(
            f"The supervisor's own number is not known for {_names(without)}: its P(1) has to stand as label beside "
            "truth in the file given to --test."
        )
    if untested := [one.name for one in students if scores[one.name] is None]:
        facts.append(f"No scores of test rows: {_names(untested)}. Train again with --test FILE.")
    if by_label := [one.name for one in students if one.against == "label"]:
        facts.append(f"Scored against the label of the test file, which nothing says is the truth: {_names(by_label)}.")
    return [*facts, *apart]


def _table(students: Sequence[TrainedStudent], scores: dict[str, StudentScores | None]) -> Table:
    columns = [
        Column("student", False),
        Column("labels", False, "the file that it was trained on"),
        Column("loss", False),
        Column("layer"),
        Column("seed"),
        Column("trained on", about="rows that taught it, of those in the file; the rest was filtered or held out"),
        Column("scored against", False),
        Column("test rows"),
        Column("AUROC [95 %]"),
        Column("accuracy [95 %]"),
        Column("supervisor's AUROC [95 %]", about="of its label, on the test rows that have it"),
        Column("supervisor's accuracy [95 %]"),
        Column(
            "AUROC − supervisor's [95 %]",
            about="paired, on the rows that have the supervisor's label; not of hard labels, which rank nothing",
        ),
        Column("accuracy − supervisor's [95 %]"),
        Column("AUROC by weak labels [95 %]", about="on the rows that stopped training, which chose the epoch"),
    ]
    rows = []
    for one in students:
        record, found = one.record, scores[one.name]
        counts, test = record.get("row_counts") or {}, record.get("test") or {}
        train = record["rows"]["train"]
        of = f" of {counts['file']:,}" if counts else ""
        kept = test.get("intervals", {})
        student: dict[Any, Any] = (
            found.student if found else {m: kept.get(m) or [test.get(m), None, None] for m in METRIC_NAMES}
        )
        supervisor: dict[Any, Any] = (found.supervisor if found else None) or {}
        apart: dict[Any, Any] = (found.difference if found else None) or {}
        rows.append(
            [
                words(one.name, "file"),
                words(record["labels"].replace("\\", "/").rpartition("/")[2], "file"),
                words(_taught(record)),
                number(record.get("layer"), ".0f"),
                number(record["parameters"].get("seed"), ".0f"),
                TableCell(f"{train:,}{of}", float(train)),
                words(one.against),
                number(found.rows if found else test.get("rows"), ",.0f"),
                _cell(student["auroc"]),
                _cell(student["accuracy"]),
                _cell(supervisor.get("auroc")),
                _cell(supervisor.get("accuracy")),
                _cell(apart.get("auroc"), SIGNED),
                _cell(apart.get("accuracy"), SIGNED),
                _cell((record.get("validation") or {}).get("auroc")),
            ]
        )
    named = [index for index, column in enumerate(columns) if column.name in ("scored against", "seed", "layer")]
    empty = [i for i in range(8, len(columns)) if all(row[i].value is None for row in rows)]
    return narrowed("Students, one training each", columns, rows, [*(named if len(rows) > 1 else []), *empty])


def _pairs_table(compared: Sequence[Pair], *, every: bool) -> Table | None:
    if not compared:
        return None
    columns = [
        Column("student a", False),
        Column("student b", False),
        Column("rows in common"),
        Column("AUROC, a − b [95 %]", about="paired on these rows; one pair by itself, and not the luck of a training"),
        Column("accuracy, a − b [95 %]"),
    ]
    rows = [
        [
            words(pair.a, "file"),
            words(pair.b, "file"),
            number(pair.rows, ",.0f"),
            _cell(pair.differences["auroc"], SIGNED),
            _cell(pair.differences["accuracy"], SIGNED),
        ]
        for pair in compared
    ]
    return Table("Differences on the test rows that both scored" + ("" if every else ", some pairs"), columns, rows)


def _figure(students: Sequence[TrainedStudent], scores: dict[str, StudentScores | None], key: str) -> Figure | None:
    bars, supervisors = [], set()
    for one in students:
        found = scores[one.name]
        if found is not None and (auroc := found.student["auroc"]) is not None:
            bars.append(Bar(one.name, auroc.value, auroc.low, auroc.high))
            if found.supervisor is not None and not found.hard and (weak := found.supervisor["auroc"]) is not None:
                supervisors.add(weak)
    names = ["supervisor"] if len(supervisors) == 1 else [f"supervisor {i + 1}" for i in range(len(supervisors))]
    for name, weak in zip(names, sorted(supervisors, key=lambda one: one.value), strict=True):
        bars.append(Bar(name, weak.value, weak.low, weak.high, "control"))
    if not bars:
        return None
    return forest(f"{key}-auroc", "AUROC on test rows", "AUROC [95 %, rows only]", bars, references=(), spec=".3f")


def _cell(value: Any, spec: str = ".3f") -> TableCell:
    """The cell of an estimate, or of value, low and high in a record."""
    if value is None:
        return number(None)
    point, low, high = (value.value, value.low, value.high) if isinstance(value, Estimate) else value
    return estimate(point, low, high, spec)


def _auroc(numbers: Numbers) -> float:
    found = numbers["auroc"]
    return math.nan if found is None else found.value


def _size(pair: Pair) -> float:
    found = pair.differences["auroc"]
    return 0.0 if found is None else abs(found.value)


def _apart(value: Estimate | None) -> bool:
    return value is not None and (value.low > 0 or value.high < 0)


def _told(value: Estimate | None, spec: str = ".3f") -> str:
    return _cell(value, spec).text


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _taught(record: dict[str, Any]) -> str:
    """The loss, and the kind of a student that is no head."""
    kind = record.get("kind", "head")
    return str(record["parameters"]["loss"]) + ("" if kind == "head" else f", {kind}")
