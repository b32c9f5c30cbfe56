"""What `w2s sweep` and `compare` answer in JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from .json_answers import JsonAnswer, JsonEstimate

if TYPE_CHECKING:
    from ..comparing import FileComparison
    from ..sweep import SweepResult


class SweepBest(JsonAnswer):
    """The best cell for one label set."""

    labels: str = Field(description="the label set")
    layer: int = Field(description="its layer")
    probe: str = Field(description="its probe")
    k: int | None = Field(description="its k, of a probe that has one")
    l2: float | None = Field(description="its penalty, of a probe that has one")
    chosen_by: str = Field(description="the measure that chose")
    oracle: bool = Field(description="whether the truth chose")
    cells: int = Field(description="cells that it is the best of")
    is_chance: bool = Field(description="whether it ranks the weak labels no better than chance")
    training: dict[str, JsonEstimate] = Field(description="every measure on the rows it was chosen on: it flatters")
    held_out: dict[str, JsonEstimate] = Field(description="every measure on rows held out; empty where there are none")


class SweepBestStudent(JsonAnswer):
    """The best student for one label set."""

    labels: str = Field(description="the label set")
    layer: int = Field(description="the layer that its head reads")
    method: str = Field(description="which labels taught it: student, filter-PROBE or relabel-PROBE")
    loss: str = Field(description="what it minimised")
    contamination: float | None = Field(description="the share that its filter dropped")
    k: int | None = Field(description="k of the probe that filtered or relabelled")
    l2: float | None = Field(description="penalty of that probe")
    chosen_by: str = Field(description="the measure that chose, on the rows that stopped the students")
    oracle: bool = Field(description="whether the truth chose")
    compared: int = Field(description="students and layers that it is the best of")
    stopping: dict[str, JsonEstimate] = Field(description="every measure on the rows that stopped it: it flatters")
    held_out: dict[str, JsonEstimate] = Field(description="every measure on rows held out; empty where there are none")
    pgr_status: str = Field(description="of held_out.pgr_auroc; a PGR that is unstable should not be read")


class SweepAnswer(JsonAnswer):
    """What `w2s sweep --json` prints."""

    out: str = Field(description="the table")
    finished: bool = Field(description="false with --dry-run, and for a --shard while others are not done")
    plan: list[str] = Field(description="with --dry-run what would be measured, a line each")
    record: str | None = Field(description="the record beside the table; null where not finished")
    plots: list[str] = Field(description="figures written")
    lines: int | None = Field(description="lines of the table; null where not finished")
    best: list[SweepBest] = Field(description="for each label set")
    best_students: list[SweepBestStudent] = Field(description="for each label set, with --students")
    no_best_student: dict[str, str] = Field(description="why a label set has none, with --students")
    left_out: dict[str, int] = Field(description="how many cells were left out, by the reason")
    neighbors_found: list[float] | None = Field(
        description="least and largest share of the true neighbours found by an approximate index; null where exact"
    )

    @classmethod
    def unfinished(cls, out: Path, plan: list[str] | None = None) -> "SweepAnswer":
        nothing: dict[str, Any] = {"record": None, "plots": [], "lines": None, "best": [], "best_students": []}
        nothing |= {"no_best_student": {}}
        return cls(out=out, finished=False, plan=plan or [], left_out={}, neighbors_found=None, **nothing)

    @classmethod
    def of(
        cls, result: "SweepResult", out: Path, record: Path, plots: list[str], chosen: dict[str, Any]
    ) -> "SweepAnswer":
        best, students = [], []
        for labels in result.labels:
            cell = result.best(labels, **chosen)
            sides = {"training": _measures(cell.training), "held_out": _measures(cell.held_out)}
            names = ("labels", "layer", "probe", "k", "l2", "chosen_by", "oracle", "cells", "is_chance")
            best.append(SweepBest(**{name: getattr(cell, name) for name in names}, **sides))
        reasons: dict[str, str] = {}
        if result.has_students:
            of_students = result.best_students(**(chosen if chosen["oracle"] else {}))
            reasons = dict(of_students.reasons)
            for student in of_students.found:
                sides = {"stopping": _measures(student.stopping), "held_out": _measures(student.held_out)}
                students.append(SweepBestStudent(**(vars(student) | sides)))
        return cls(
            out=out,
            finished=True,
            plan=[],
            record=record,
            plots=plots,
            lines=len(result.table),
            best=best,
            best_students=students,
            no_best_student=reasons,
            left_out=result.left_out(),
            neighbors_found=result.found(),
        )


def _measures(ends: Mapping[str, tuple[float, float, float]]) -> dict[str, JsonEstimate]:
    return {name: JsonEstimate(value=value, low=low, high=high) for name, (value, low, high) in ends.items()}


class ComparedFile(JsonAnswer):
    """A score file."""

    name: str = Field(description="what the other parts of the answer call it")
    file: str = Field(description="the file")
    column: str = Field(description="the column that was read")
    rows: int = Field(description="its rows")
    left_out: int = Field(description="rows that are not compared: others lack them, or their truth is not known")


class ComparedMetric(JsonEstimate):
    """A metric of one file's scores."""

    name: str = Field(description="the file")
    metric: str = Field(description="its name, as of --metrics")
    status: str = Field(description="ok; hard labels; scores outside [0, 1], which are no probabilities")


class ComparedPair(JsonEstimate):
    """A metric of one file less that of another, paired."""

    name: str = Field(description="the file")
    against: str = Field(description="the file that is taken away")
    metric: str = Field(description="its name, as of --metrics")
    status: str = Field(description="as of the metrics; what ranks rows is not compared between hard labels and scores")
    z: float | None = Field(description="the difference over its standard error: for auroc DeLong's")
    p: float | None = Field(description="two-sided, of no difference")
    p_holm: float | None = Field(description="p corrected for all differences of this metric (Holm)")


class ComparedPGR(JsonEstimate):
    """PGR of one file between the supervisor and the ceiling."""

    name: str = Field(description="the file")
    metric: str = Field(description="its name, as of --metrics")
    status: str = Field(description="ok, hard labels, unstable, undefined, or scores outside [0, 1]")
    reason: str = Field(description="why it is unstable or undefined; empty where it is not")
    gap: float | None = Field(description="ceiling - supervisor")
    gap_low: float | None = Field(description="lower end of the gap's 95 % interval")
    gap_high: float | None = Field(description="upper end of it")


class CompareAnswer(JsonAnswer):
    """What `w2s compare --json` prints."""

    files: list[ComparedFile] = Field(description="the score files, in their order")
    truth: str = Field(description="where the truth stands")
    rows: int = Field(description="rows compared")
    positive: int = Field(description="of these of label 1")
    groups: int | None = Field(description="groups of related rows; null where every row stands alone")
    weak: str | None = Field(description="the file of the supervisor's scores, of --weak")
    ceiling: str | None = Field(description="the file of the ceiling's scores, of --ceiling")
    scores: list[ComparedMetric] = Field(description="each file's metrics")
    differences: list[ComparedPair] = Field(description="to the first file, or with --all-pairs of all pairs")
    pgr: list[ComparedPGR] = Field(description="of every other file, with --weak and --ceiling")
    out: str | None = Field(description="the table of --out")

    @classmethod
    def of(cls, found: "FileComparison", out: Path | None) -> "CompareAnswer":
        compared = found.comparison
        files = [
            ComparedFile(name=n, file=one.path, column=one.column, rows=len(one.ids), left_out=found.left_out[n])
            for n, one in found.files.items()
        ]
        return cls(
            files=files,
            truth=found.truth,
            rows=compared.n,
            positive=compared.positive,
            groups=compared.groups,
            weak=found.weak,
            ceiling=found.ceiling,
            scores=[
                ComparedMetric(name=one.name, metric=one.metric, status=one.status, **_ends(one.estimate))
                for one in compared.scores
            ],
            differences=[
                ComparedPair(**{k: v for k, v in vars(one).items() if k != "estimate"}, **_ends(one.estimate))
                for one in compared.differences
            ],
            pgr=[
                ComparedPGR(
                    name=one.name,
                    metric=one.metric,
                    status=one.status,
                    reason=one.pgr.reason,
                    gap=one.pgr.gap,
                    gap_low=one.pgr.gap_low,
                    gap_high=one.pgr.gap_high,
                    **_ends(one.pgr),
                )
                for one in compared.recovered
            ],
            out=out,
        )


def _ends(estimate: Any) -> dict[str, Any]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
