"""How reliable the scores of a run are: diagrams by task, before calibration and after, and calibration errors."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.calibration import reliability_bins
from w2s_probes.comparing import compare_scores
from w2s_probes.metrics.metric_names import Metric
from w2s_probes.rows.groups import GROUP, groups_of

from ...results.names import CEILING, UNCALIBRATED, WEAK
from ..drawing.cells import Column, Table, TableCell, estimate, number, words
from ..drawing.diagonal import ReliabilityLine, reliability_figure
from ..drawing.figures import Figure
from ..load.folder import FinishedRun
from .differences import methods_of

SHOWN = 4  # methods of a task that have a figure of their own; the table has all
METRICS: tuple[Metric, ...] = ("ece", "brier")
SIGNED = "+.3f"


@dataclass(frozen=True)
class ReliabilityView:
    """What a run says of its scores as probabilities."""

    lines: list[str]
    figures: list[Figure]
    table: Table


@dataclass(frozen=True)
class _Judged:
    """Scores of the test rows, of all seeds and draws of a method one after the other."""

    truth: NDArray[np.float64]  # (n,)
    groups: NDArray[np.object_] | None  # (n,) a test row of several seeds is related to itself
    before: NDArray[np.float64] | None  # (n,); None where nothing was calibrated
    after: NDArray[np.float64]  # (n,) the scores that are judged


def reliability_view(run: FinishedRun, key: str) -> ReliabilityView | None:
    """The reliability of a run's scores; None where no task has scores in [0, 1] of test rows of both classes."""
    figures: list[Figure] = []
    rows: list[list[TableCell]] = []
    left, calibrated = 0, False
    for at, (task, seeds) in enumerate(run.predictions.items()):
        names = list(dict.fromkeys(name for table in seeds.values() for name in methods_of(table)))
        found = {name: judged for name in names if (judged := _judged(seeds, name)) is not None}
        plain = [name for name in (WEAK, run.baseline, CEILING) if name in found]
        if plain:
            drawn = [ReliabilityLine(name, _bins(found[name], found[name].after), i) for i, name in enumerate(plain)]
            figures.append(reliability_figure(f"{key}-r{at}", f"{task}: scores as they are judged", drawn))
        changed = [name for name in dict.fromkeys([*plain, *found]) if found[name].before is not None]
        calibrated, left = calibrated or bool(changed), left + max(0, len(changed) - SHOWN)
        figures += [_change(f"{key}-r{at}-{n}", task, name, found[name]) for n, name in enumerate(changed[:SHOWN])]
        rows += [_row(task, name, found[name]) for name in (found if changed else plain)]
    if not rows:
        return None
    told = [
        "Bins hold as many rows each, by score; error bars are 95 % intervals of the share of label 1 by the truth."
    ]
    if calibrated:
        told.append("Scores calibrated to weak labels say how the supervisor labels: the truth may lie elsewhere.")
    told += [f"Before and after: the first {SHOWN} methods of each task; the table has {left} more."] if left else []
    return ReliabilityView(told, figures, _table(rows, calibrated))


def _judged(seeds: Mapping[int, pd.DataFrame], name: str) -> _Judged | None:
    parts = []
    for table in seeds.values():
        for column in [one for one in table if str(one).partition("/")[0] == name]:
            plain = f"{UNCALIBRATED}{column}"
            part = pd.DataFrame({"id": table["id"], "truth": table["truth"], "after": table[column]})
            part["before"] = table.get(plain, np.nan)
            related = groups_of(table)
            parts.append(part.assign(**{GROUP: table["id"] if related is None else related}))
    rows = pd.concat(parts, ignore_index=True)
    truth, after = (rows[of].to_numpy(dtype=np.float64) for of in ("truth", "after"))
    if not ((after >= 0) & (after <= 1)).all() or not 0 < (truth > 0.5).mean() < 1:
        return None
    alone = len(parts) == 1 and groups_of(next(iter(seeds.values()))) is None
    before = rows["before"].to_numpy(dtype=np.float64)
    groups = None if alone else rows[GROUP].fillna(rows["id"]).to_numpy(dtype=object)
    return _Judged(truth, groups, None if np.isnan(before).any() else before, after)


def _bins(judged: _Judged, scores: NDArray[np.float64]) -> pd.DataFrame:
    return reliability_bins(judged.truth, scores, groups=judged.groups)


def _change(key: str, task: str, name: str, judged: _Judged) -> Figure:
    assert judged.before is not None
    sides = (("before", judged.before, 1), ("calibrated", judged.after, 0))
    drawn = [ReliabilityLine(said, _bins(judged, scores), style) for said, scores, style in sides]
    return reliability_figure(key, f"{task}: {name}, before and after", drawn)


def _row(task: str, name: str, judged: _Judged) -> list[TableCell]:
    sides = {"after": judged.after} if judged.before is None else {"before": judged.before, "after": judged.after}
    found = compare_scores(judged.truth, sides, groups=judged.groups, metrics=METRICS)
    values = {(one.name, one.metric): one.estimate for one in found.scores}
    cells = [words(task), words(name), number(len(judged.truth), ",.0f")]
    for metric in METRICS:
        for side in ("before", "after"):
            one = values.get((side, metric))
            cells.append(number(None) if one is None else estimate(one.value, one.low, one.high))
        change = next((one.estimate for one in found.differences if one.metric == metric), None)
        cells.append(number(None) if change is None else estimate(change.value, change.low, change.high, SIGNED))
    return cells


def _table(rows: list[list[TableCell]], calibrated: bool) -> Table:
    columns = [
        Column("task", False),
        Column("method", False),
        Column("rows", about="test rows, of all seeds and draws together"),
    ]
    for title in ("calibration error", "Brier score"):
        columns.append(
            Column(f"{title} before [95 %]", about="of scores as they were; empty where none were calibrated")
        )
        columns.append(
            Column(f"{title} [95 %]", about="of the scores that are judged, against the truth; less is better")
        )
        columns.append(Column(f"{title}: change [95 %]", about="paired; below 0 calibration has helped"))
    if not calibrated:
        kept = [0, 1, 2, 4, 7]
        columns, rows = [columns[i] for i in kept], [[row[i] for i in kept] for row in rows]
    return Table("Calibration of scores to the truth, by task and method", columns, rows)
