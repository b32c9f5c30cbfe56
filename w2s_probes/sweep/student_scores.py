"""The students of one layer: heads taught together, by the labels that its probes leave or make."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from ..students import HeadLesson

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
    layer: SweptLayer, side: Side, students: StudentGrid, judges: Mapping[int, Judges]
) -> Iterator[SweptStudent]:
    """Every student, and the ceiling where the truth is known, of every seed of `judges`: heads trained in one loop."""
    from ..students import train_heads  # loads torch

    fit = ~stopping_rows(side)
    kinds = [*students.kinds, *([] if side.truth is None else [StudentKind("xent", CEILING)])]
    asked = [(kind, seed) for seed in judges for kind in kinds]
    usable = [(kind, seed) for kind, seed in asked if kind.probe is None or kind.probe in judges[seed].best]
    lessons = [_lesson(kind, side, fit, judges[seed], seed) for kind, seed in usable]
    heads = dict(zip(usable, train_heads(layer.X[fit], lessons, layer.X[~fit]), strict=True))
    for kind, seed in asked:
        head = heads.get((kind, seed))
        if head is None:
            yield _without(kind, seed, f"no cell of {kind.probe} can be used at this layer")
        elif isinstance(head, InputError):
            yield _without(kind, seed, str(head))
        else:
            outer = head.predict_proba(layer.other)[:, 1] if len(layer.other) else np.empty(0)
            judge = None if kind.probe is None else judges[seed].best[kind.probe][1].cell
            yield SweptStudent(kind, judge, seed, head.predict_proba(layer.X[~fit])[:, 1], outer)


def _lesson(kind: StudentKind, side: Side, fit: NDArray[np.bool_], judges: Judges, seed: int) -> "HeadLesson":
    """What a student learns of the rows `fit` (n,); the others stop it."""
    from ..students import HeadLesson

    labels, rows, val = side.p, None, side.p
    if kind.probe is not None:
        scores = judges.best[kind.probe][1]
        if kind.kind == FILTER:
            rows = filtered(side.p, scores, kind.contamination or 0.0).mask
        if kind.kind == RELABEL:
            labels = scores.training
    if kind.kind == CEILING and side.truth is not None:
        rows = ~np.isnan(side.truth)
        labels = np.where(rows, side.truth, 0.5)
        val = np.where(rows, side.truth, side.p)  # where it is not known the weak label is all there is
    taught = None if rows is None else rows[fit]
    loss: Any = kind.loss
    return HeadLesson(labels[fit], rows=taught, val_labels=val[~fit], loss=loss, seed=seed)


def by_kind(scores: Sequence[SweptStudent]) -> Mapping[StudentKind, list[SweptStudent]]:
    """The seeds of each student."""
    found: dict[StudentKind, list[SweptStudent]] = {}
    for one in scores:
        found.setdefault(one.kind, []).append(one)
    return found


def _without(kind: StudentKind, seed: int, why: str) -> SweptStudent:
    return SweptStudent(kind, None, seed, np.empty(0), np.empty(0), why)
