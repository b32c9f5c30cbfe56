"""The tidy lines of a sweep: each cell measured on the training rows and on those held out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..metrics.influence import InfluenceEstimate, mean, ranking
from ..metrics.intervals import NO_ESTIMATE, Estimate
from ..neighbors.approximate import SAMPLE
from ..rows.fields import TRUTHS, number
from ..ties import above_half
from .layer_scores import CellScores, LeftOut, SweepCell, filtered
from .swept_labels import Side, SweptLabels

COLUMNS = ["labels", "seed", "layer", "probe", "k", "l2", "contamination", "method", "loss"]
COLUMNS += ["rows", "metric", "value", "low", "high", "n", "status", "oracle"]
OK, ONE_CLASS = "ok", "one class"
LEFT_OUT = "left out: "  # and the reason
WEAK = "weak"
FOUND = "neighbors_found"  # the metric of lines about what an approximate index found, of a cell that asked it
COSINE = "transfer_cosine"  # the metric of lines that compare a linear probe with one of the held-out rows' labels
STUDENT_PROBE = "student"  # in the column `probe`: a line about a head, which `method` and `loss` name
OF_STUDENTS = ("method", "loss")  # columns that earlier versions did not write
SweepLine = dict[str, Any]
# What the truth says of a filter, and where a FilterResult's report has it.
BY_AUDIT = {"precision": "precision", "base_rate": "base_rate", "recall": "recall", "accuracy_kept": "accuracy_after"}
RowSet = Literal["training", "stopping", "held-out"]
TRAINING: RowSet = "training"  # rows that probes learn from, scored out of sample
STOPPING: RowSet = "stopping"  # training rows by which students are stopped and compared; they learn none of them
HELD_OUT: RowSet = "held-out"


def as_table(lines: Sequence[Mapping[Any, Any]]) -> pd.DataFrame:
    """The lines as a DataFrame with the columns of every sweep; cells may be text, as they come from CSV."""
    table = pd.DataFrame(lines, columns=COLUMNS)
    integers = dict.fromkeys(("seed", "layer", "k", "n"), "Int64")
    numbers = dict.fromkeys(("l2", "contamination", "value", "low", "high"), "float64")
    for name in (*integers, *numbers):
        table[name] = table[name].map(number)
    for name in OF_STUDENTS:
        named = [value if isinstance(value, str) and value else None for value in table[name]]
        table[name] = pd.Series(named, index=table.index, dtype=object)
    table["oracle"] = table["oracle"].map(lambda value: TRUTHS[str(value).lower()])
    return table.astype(integers | numbers | {"oracle": bool})


@dataclass(frozen=True, eq=False)
class SweepScorer:
    """Measures one label set's cells. The weak labels' own AUROC, which gains are differences to, is made once."""

    labels: SweptLabels
    baselines: dict[RowSet, InfluenceEstimate | None]  # AUROC of the weak labels by the truth: by side

    @classmethod
    def of(cls, labels: SweptLabels) -> "SweepScorer":
        """Of one label set."""
        judge = cls(labels, {})
        for name, side in judge.sides.items():
            if side.truth is not None:
                judge.baselines[name] = weak_ranking(side)
        return judge

    @property
    def sides(self) -> dict[RowSet, Side]:
        """The rows to measure on."""
        held_out = self.labels.held_out
        return {TRAINING: self.labels.training} | ({} if held_out is None else {HELD_OUT: held_out})

    def weak_lines(self) -> Iterator[SweepLine]:
        """AUROC and accuracy of the weak labels themselves, where the truth is known."""
        for name, side in self.sides.items():
            if side.truth is None:
                continue
            known, groups = audited(side)
            here = self._line(None, SweepCell(WEAK), name, int(known.sum()), None)
            yield here | _estimated("auroc", self.baselines[name], groups)
            yield here | _estimated("accuracy", mean(_hits(side.p[known], side.truth[known])), groups)

    def cell_lines(self, layer: int, seed: int, scores: CellScores) -> Iterator[SweepLine]:
        """Every measure of one cell."""
        for name, side in self.sides.items():
            p = scores.training if name == TRAINING else scores.held_out
            here = self._line(layer, scores.cell, name, len(side), seed)
            yield from side_lines(here, side, p, self.baselines.get(name))

    def filter_lines(self, layer: int, seed: int, scores: CellScores, contamination: float) -> Iterator[SweepLine]:
        """The training rows that a filter by this cell would remove, and, by the truth, how well it chose them."""
        side = self.labels.training
        result = filtered(side.p, scores, contamination)
        here = self._line(layer, scores.cell, TRAINING, len(side), seed) | {
            "contamination": contamination,
            "status": OK,
        }
        for metric, value in (("removed", len(result.removed)), ("overshoot", result.overshoot)):
            yield here | {"metric": metric, **values_of(Estimate(value / len(side), np.nan, np.nan, np.nan))}
        if side.truth is None:
            return
        known, _ = audited(side)
        report = result.of_rows(known).report(side.truth[known])
        for metric, name in BY_AUDIT.items():
            estimate = Estimate(report[name], np.nan, np.nan, np.nan)
            yield here | {"metric": metric, **values_of(estimate), "n": int(known.sum())}

    def left_out_lines(self, layer: int, seed: int, left_out: LeftOut) -> Iterator[SweepLine]:
        """A line for each cell that could not be used; its status says why."""
        for cell in left_out.cells:
            here = self._line(layer, cell, TRAINING, len(self.labels.training), seed)
            yield here | {"metric": "weak_brier", **values_of(NO_ESTIMATE), "status": LEFT_OUT + left_out.reason}

    def found_lines(self, layer: int, seed: int, cell: SweepCell, found: Sequence[float]) -> Iterator[SweepLine]:
        """The share of the true neighbours that the cell's index found, of each side's rows, where it is not all."""
        for name, share in zip(self.sides, found, strict=False):
            if share < 1:
                here = self._line(layer, cell, name, SAMPLE, seed)
                yield here | {"metric": FOUND, **values_of(Estimate(share, np.nan, np.nan)), "status": OK}

    def line(self, layer: int, cell: SweepCell, seed: int) -> SweepLine:
        """The beginning of a line about a cell's held-out rows."""
        return self._line(layer, cell, HELD_OUT, 0, seed)

    def _line(self, layer: int | None, cell: SweepCell, rows: str, n: int, seed: int | None) -> SweepLine:
        where = {"labels": self.labels.name, "seed": seed, "layer": layer, "probe": cell.probe}
        return where | {"k": cell.k, "l2": cell.l2, "contamination": None, "rows": rows, "n": n, "oracle": False}


def side_lines(
    here: SweepLine, side: Side, p: NDArray[np.float64], baseline: InfluenceEstimate | None
) -> Iterator[SweepLine]:
    """Every measure of scores p of a side's rows (n,); `baseline` is the AUROC of its weak labels."""
    yield here | _estimated("weak_auroc", ranking(above_half(side.p), p), side.groups)
    yield here | _estimated("weak_brier", mean((p - side.p) ** 2), side.groups)
    if side.truth is None:
        return
    known, groups = audited(side)
    here = here | {"n": int(known.sum())}
    by_truth = ranking(above_half(side.truth[known]), p[known])
    yield here | _estimated("auroc", by_truth, groups)
    yield here | _estimated("accuracy", mean(_hits(p[known], side.truth[known])), groups)
    gain = None if by_truth is None or baseline is None else by_truth - baseline
    yield here | _estimated("auroc_gain", gain, groups)


def weak_ranking(side: Side) -> InfluenceEstimate | None:
    """AUROC of a side's weak labels by the truth."""
    known, _ = audited(side)
    return None if side.truth is None else ranking(above_half(side.truth[known]), side.p[known])


def audited(side: Side) -> tuple[NDArray[np.bool_], NDArray[np.intp] | None]:
    """Which rows' truth is known (n,), and their groups."""
    known = np.zeros(len(side), dtype=bool) if side.truth is None else ~np.isnan(side.truth)
    return known, None if side.groups is None else side.groups[known]


def _hits(p: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(above_half(p) == above_half(truth), dtype=np.float64)


def _estimated(metric: str, measured: InfluenceEstimate | None, groups: NDArray[np.intp] | None) -> SweepLine:
    if measured is None:
        return {"metric": metric, **values_of(NO_ESTIMATE), "status": ONE_CLASS}
    estimate = measured.estimate(groups) if metric == "auroc_gain" else measured.share(groups)
    return {"metric": metric, **values_of(estimate), "status": OK}


def values_of(estimate: Estimate) -> SweepLine:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
