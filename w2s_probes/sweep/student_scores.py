"""The students of one layer: heads taught together, by the labels that its probes leave or make."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..devices import PROCESSOR
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
    fit: NDArray[np.bool_]  # (n,) the rows that students learn; what stops them chooses nothing
    best: dict[str, tuple[float, SweepCell]] = field(default_factory=dict)

    def hear(self, scores: CellScores | LeftOut) -> None:
        """Take a cell into account; the first of equals stays."""
        if isinstance(scores, CellScores):
            loss = float(np.mean((scores.training - self.p)[self.fit] ** 2))
            if loss < self.best.get(scores.cell.probe, (np.inf, None))[0]:
                self.best[scores.cell.probe] = loss, scores.cell

    def also(self) -> "Judges":
        """A copy that hears of more cells."""
        return Judges(self.p, self.fit, dict(self.best))

    def cells(self, names: Collection[str]) -> dict[str, SweepCell]:
        """The best cells of some probes, of those that have one."""
        return {name: cell for name, (_, cell) in self.best.items() if name in names}


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
    """Every student, and the ceiling where the truth is known, of every seed of `judges`: heads trained in one loop.

    What filters and relabels is fitted again, to the rows that students learn: through neighbours and folds the labels
    of the rows that stop a student would else be in what it is taught.
    """
    from ..students import train_heads  # loads torch

    fit = ~stopping_rows(side)
    kinds = [*students.kinds, *([] if side.truth is None else [StudentKind("xent", CEILING)])]
    asked = [(kind, seed) for seed in judges for kind in kinds]
    cells = {seed: of_seed.cells(students.judges) for seed, of_seed in judges.items()}
    judged = _judged(layer, side.p, fit, cells)
    usable, problems = [], {}
    for kind, seed in asked:
        scores = None if kind.probe is None else judged[seed].get(kind.probe)
        if isinstance(scores, LeftOut):
            problems[kind, seed] = scores.reason
        elif kind.probe is not None and scores is None:
            problems[kind, seed] = f"no cell of {kind.probe} can be used at this layer"
        else:
            usable.append((kind, seed, scores))
    lessons = [_lesson(kind, side, fit, scores, seed) for kind, seed, scores in usable]
    device = None if layer.grid.device == PROCESSOR else layer.grid.device
    trained = train_heads(layer.X[fit], lessons, layer.X[~fit], device=device)
    heads = {(kind, seed): head for (kind, seed, _), head in zip(usable, trained, strict=True)}
    for kind, seed in asked:
        head = heads.get((kind, seed))
        if head is None:
            yield _without(kind, seed, problems[kind, seed])
        elif isinstance(head, InputError):
            yield _without(kind, seed, str(head))
        else:
            outer = head.predict_proba(layer.other)[:, 1] if len(layer.other) else np.empty(0)
            judge = None if kind.probe is None else cells[seed][kind.probe]
            yield SweptStudent(kind, judge, seed, head.predict_proba(layer.X[~fit])[:, 1], outer)


def _judged(
    layer: SweptLayer, p: NDArray[np.float64], fit: NDArray[np.bool_], cells: Mapping[int, Mapping[str, SweepCell]]
) -> dict[int, dict[str, CellScores | LeftOut]]:
    """The scores of the rows `fit` (n,) by each seed's cells, from fits that read these rows alone; by probe."""
    values: dict[str, list[float]] = {}
    for own in cells.values():
        for name, cell in own.items():
            values.setdefault(name, []).append(cell.value)
    if not values:
        return {seed: {} for seed in cells}
    inner = layer.part(fit, values)
    steady = list(inner.steady_scores(p[fit]))
    found: dict[int, dict[str, CellScores | LeftOut]] = {}
    for seed, own in cells.items():
        by_cell: dict[SweepCell, CellScores | LeftOut] = {}
        for scores in [*steady, *inner.seeded_scores(p[fit], seed)]:
            by_cell |= dict.fromkeys(scores.cells if isinstance(scores, LeftOut) else [scores.cell], scores)
        found[seed] = {name: by_cell[cell] for name, cell in own.items()}
    return found


def _lesson(
    kind: StudentKind, side: Side, fit: NDArray[np.bool_], scores: CellScores | None, seed: int
) -> "HeadLesson":
    """What a student learns of the rows `fit` (n,), which `scores` judge; the others stop it."""
    from ..students import HeadLesson

    labels, taught, val = side.p[fit], None, side.p[~fit]
    if scores is not None and kind.kind == FILTER:
        taught = filtered(labels, scores, kind.contamination or 0.0).mask
    if scores is not None and kind.kind == RELABEL:
        labels = scores.training
    if kind.kind == CEILING and side.truth is not None:
        known = ~np.isnan(side.truth)
        taught, labels = known[fit], np.where(known, side.truth, 0.5)[fit]
        val = np.where(known, side.truth, side.p)[~fit]  # where it is not known the weak label is all there is
    loss: Any = kind.loss
    return HeadLesson(labels, rows=taught, val_labels=val, loss=loss, seed=seed)


def by_kind(scores: Sequence[SweptStudent]) -> Mapping[StudentKind, list[SweptStudent]]:
    """The seeds of each student."""
    found: dict[StudentKind, list[SweptStudent]] = {}
    for one in scores:
        found.setdefault(one.kind, []).append(one)
    return found


def _without(kind: StudentKind, seed: int, why: str) -> SweptStudent:
    return SweptStudent(kind, None, seed, np.empty(0), np.empty(0), why)
