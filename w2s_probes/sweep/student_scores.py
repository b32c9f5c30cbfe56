"""The students of one layer: heads taught together, by the labels that its probes leave or make."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..randomness import stream
from ..rows.groups import GROUP
from ..rows.held_out import set_aside
from .layer_scores import CellScores, LeftOut, SweepCell, SweptLayer, filtered
from .student_grid import CEILING, FILTER, RELABEL, StudentGrid, StudentKind
from .swept_labels import Side

STOPPING_SHARE = 0.2  # of the training rows, by which heads are stopped and compared; none of them is learned


@dataclass(frozen=True, eq=False)
class SweptStudent:
    """P(label = 1) by one student of one seed; InputError in `problem` where there is none."""

    kind: StudentKind
    judge: SweepCell | None  # the cell that filtered or relabelled
    seed: int
    stopping: NDArray[np.float64]  # (s,) of the training rows by which it was stopped
    held_out: NDArray[np.float64]  # (m,)
    problem: str = ""  # why there are no scores


@dataclass
class Judges:
    """Of every probe the cell whose scores are nearest to the weak labels, out of sample: no truth chooses."""

    p: NDArray[np.float64]  # (n,) the weak labels
    best: dict[str, tuple[float, CellScores]] = field(default_factory=dict)

    def hear(self, scores: CellScores | LeftOut) -> None:
        """Take a cell into account; the first of equals stays."""
        if isinstance(scores, CellScores):
            loss = float(np.mean((scores.training - self.p) ** 2))
            if loss < self.best.get(scores.cell.probe, (np.inf, None))[0]:
                self.best[scores.cell.probe] = loss, scores

    def also(self) -> "Judges":
        """A copy that hears of more cells."""
        return Judges(self.p, dict(self.best))


def stopping_rows(side: Side) -> NDArray[np.bool_]:
    """The training rows (n,) set aside to stop by: whole groups, the same for every layer and seed."""
    groups = np.arange(len(side)) if side.groups is None else side.groups
    chosen = set_aside(pd.DataFrame({GROUP: groups}), STOPPING_SHARE, stream(0, "stopping rows"))
    if chosen.all() or not chosen.any():
        raise InputError(f"students need rows to stop by, but the {len(side)} training rows hang together: add rows")
    return chosen


def student_scores(
    layer: SweptLayer, side: Side, students: StudentGrid, judges: Judges, seed: int
) -> Iterator[SweptStudent]:
    """Every student of one seed, and the ceiling where the truth is known: heads that are all trained in one loop."""
    from ..students import HeadLesson, train_heads  # loads torch

    stop = stopping_rows(side)
    fit = ~stop
    kinds = list(students.kinds)
    if side.truth is not None:
        kinds.append(StudentKind("xent", CEILING))
    lessons: list[HeadLesson] = []
    asked: list[tuple[StudentKind, SweepCell | None]] = []
    for kind in kinds:
        labels, rows, val, judge = side.p[fit], None, side.p[stop], None
        if kind.probe is not None:
            if kind.probe not in judges.best:
                yield _without(kind, seed, f"no cell of {kind.probe} can be used at this layer")
                continue
            scores = judges.best[kind.probe][1]
            judge = scores.cell
            if kind.kind == FILTER:
                rows = filtered(side.p, scores, kind.contamination or 0.0).mask[fit]
            if kind.kind == RELABEL:
                labels = scores.training[fit]
        if kind.kind == CEILING and side.truth is not None:
            known = ~np.isnan(side.truth)
            labels, rows = np.where(known, side.truth, 0.5)[fit], known[fit]
            val = np.where(known, side.truth, side.p)[stop]  # where it is not known the weak label is all there is
        lessons.append(HeadLesson(labels, rows=rows, val_labels=val, loss=kind.loss, seed=seed))  # type: ignore[arg-type]
        asked.append((kind, judge))
    heads = train_heads(layer.X[fit], lessons, layer.X[stop], seed=seed)
    for (kind, judge), head in zip(asked, heads, strict=True):
        if isinstance(head, InputError):
            yield _without(kind, seed, str(head))
        else:
            outer = head.predict_proba(layer.other)[:, 1] if len(layer.other) else np.empty(0)
            yield SweptStudent(kind, judge, seed, head.predict_proba(layer.X[stop])[:, 1], outer)


def by_kind(scores: Sequence[SweptStudent]) -> Mapping[StudentKind, list[SweptStudent]]:
    """The seeds of each student."""
    found: dict[StudentKind, list[SweptStudent]] = {}
    for one in scores:
        found.setdefault(one.kind, []).append(one)
    return found


def _without(kind: StudentKind, seed: int, why: str) -> SweptStudent:
    return SweptStudent(kind, None, seed, np.empty(0), np.empty(0), why)
