"""The metrics of a run beside AUROC and accuracy, by task and method."""

from collections.abc import Mapping
from typing import Any

from w2s_probes.metrics import METRICS
from w2s_probes.metrics.metric_names import DEFAULT_METRICS

from ...results.names import FROM_BASE
from ..drawing.cells import Column, Table, TableCell, estimate, number, words
from ..load.folder import FinishedRun
from .answer import over_seeds

LESS = "less is better"


def more_metrics(run: FinishedRun) -> Table | None:
    """Values, and PGR where it is defined, with intervals; None where a run has no more than AUROC and accuracy."""
    there = set(run.results["metric"])
    more = [entry for name, entry in METRICS.items() if name in there and name not in DEFAULT_METRICS]
    if not more:
        return None
    columns = [Column("task", False), Column("method", False)]
    for entry in more:
        columns.append(Column(f"{entry.title} [95 %]", about="" if entry.higher else LESS))
        if entry.pgr:
            columns.append(Column(f"PGR of {entry.title} [95 %]", about="empty with hard labels, or without a gap"))
    rows = []
    for task, part in run.results.groupby("task", sort=False):
        lines = over_seeds(part)
        by = {(one["method"], one["metric"]): one for one in lines.to_dict(orient="records")}
        for method in dict.fromkeys(part["method"]):
            cells = [words(task), words(method)]
            for entry in more:
                cells.append(value_cell(by.get((method, entry.name), {})))
                if entry.pgr:
                    cells.append(pgr_cell(by.get((method, f"pgr_{entry.name}"), {})))
            rows.append(cells)
    return Table("More metrics, by task and method", columns, rows)


def metric_title(name: str) -> str:
    """A metric of results or comparisons in words; of losses with the direction of differences."""
    counted = name.removeprefix("pgr_")
    metric = counted.removeprefix(FROM_BASE)
    for known, entry in METRICS.items():
        if known == metric:
            told = f"PGR of {entry.title}" if name != metric else entry.title
            told += " from the supervisor without transcripts" if metric != counted else ""
            return told if entry.higher or name != metric else f"{told}: {LESS}, and a difference above 0 is better"
    return name


def value_cell(line: Mapping[Any, Any]) -> TableCell:
    """A metric's value with its interval."""
    return estimate(line.get("value"), line.get("low"), line.get("high"))


def pgr_cell(line: Mapping[Any, Any]) -> TableCell:
    """A PGR with its interval, marked where its status warns of it."""
    shaky = next((word for word in ("undefined", "unstable", "hard labels") if word in str(line.get("status", ""))), "")
    value = line.get("value")
    if value is None or value != value:
        return number(None, mark=shaky)
    return estimate(value, line.get("low"), line.get("high"), ".2f", shaky)
