"""The lines of a sweep's students: each seed measured as the probes are, and all seeds together, with their PGR."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..metrics.intervals import NO_ESTIMATE, Estimate
from ..metrics.recovery_over_seeds import ModelMeans, gap_recovered_over_seeds
from ..ties import above_half
from .layer_scores import SweepCell
from .measures import (
    HELD_OUT,
    LEFT_OUT,
    OK,
    STOPPING,
    STUDENT_PROBE,
    WEAK,
    RowSet,
    SweepLine,
    SweepScorer,
    audited,
    side_lines,
    values_of,
    weak_ranking,
)
from .student_choice import PGR
from .student_grid import CEILING, StudentKind
from .student_scores import SweptStudent, by_kind, stopping_rows
from .swept_labels import Side, SweptLabels


@dataclass(frozen=True, eq=False)
class StudentScorer:
    """Measures the students of one label set at one layer."""

    labels: SweptLabels
    layer: int

    def lines(self, scores: Sequence[SweptStudent]) -> Iterator[SweepLine]:
        """Of every seed, and with an empty seed of all together."""
        scorer = SweepScorer.of(self.labels)
        stopping = _part(self.labels.training, stopping_rows(self.labels.training))
        sides: dict[RowSet, Side] = {STOPPING: stopping}
        if self.labels.held_out is not None:
            sides[HELD_OUT] = self.labels.held_out
        baselines = scorer.baselines | {STOPPING: weak_ranking(stopping)}
        for one in scores:
            if one.problem:
                here = self._line(one, STOPPING, len(stopping), one.seed)
                yield here | {"metric": "weak_auroc", **values_of(NO_ESTIMATE), "status": LEFT_OUT + one.problem}
                continue
            for rows, side in sides.items():
                p = one.stopping if rows == STOPPING else one.held_out
                yield from side_lines(self._line(one, rows, len(side), one.seed), side, p, baselines.get(rows))
        usable = {kind: of for kind, of in by_kind(scores).items() if not any(one.problem for one in of)}
        for rows, side in sides.items():
            yield from self._over_seeds(usable, rows, side)

    def _over_seeds(
        self, usable: dict[StudentKind, list[SweptStudent]], rows: RowSet, side: Side
    ) -> Iterator[SweepLine]:
        """Means over the seeds, with intervals over rows and seeds."""
        names = {f"{kind.method}:{kind.loss}:{kind.contamination}": kind for kind in usable}
        runs = [
            {
                name: of[at].stopping if rows == STOPPING else of[at].held_out
                for name, of in zip(names, usable.values(), strict=True)
            }
            for at in range(min(map(len, usable.values()), default=0))
        ]
        if not runs:
            return
        weak_classes = above_half(side.p)
        if 0 < weak_classes.sum() < len(side):
            means = ModelMeans.of(weak_classes, runs, "auroc", side.groups)
            for name, kind in names.items():
                yield self._measured(usable[kind][0], rows, len(side), "weak_auroc", _share(means, name))
        known, groups = audited(side)
        if side.truth is None or len(np.unique(above_half(side.truth[known]))) < 2:
            return
        n, truth = int(known.sum()), above_half(side.truth[known])
        ceilings = [name for name, kind in names.items() if kind.kind == CEILING]
        judged = [
            {WEAK: side.p[known], **{CEILING if name in ceilings else name: p[known] for name, p in run.items()}}
            for run in runs
        ]
        results = gap_recovered_over_seeds(truth, judged, groups=groups) if rows == HELD_OUT and ceilings else None
        by_truth = ModelMeans.of(truth, judged, "auroc", groups) if results is None else None
        for name, kind in names.items():
            one, called = usable[kind][0], CEILING if name in ceilings else name
            if results is not None:
                share, gain = results.values[called], results.difference(called, WEAK)
            else:
                assert by_truth is not None
                share, gain = _share(by_truth, called), by_truth.difference(called, WEAK)
            yield self._measured(one, rows, n, "auroc", share)
            yield self._measured(one, rows, n, "auroc_gain", gain)
            if results is not None and called != CEILING:
                pgr = results.recovered[name]
                recovered = Estimate(pgr.value, pgr.low, pgr.high)  # an end that is open is infinite
                yield self._measured(one, rows, n, PGR, recovered) | {"status": pgr.status}

    def _measured(self, one: SweptStudent, rows: RowSet, n: int, metric: str, estimate: Estimate) -> SweepLine:
        return self._line(one, rows, n, None) | {"metric": metric, **values_of(estimate), "status": OK}

    def _line(self, one: SweptStudent, rows: RowSet, n: int, seed: int | None) -> SweepLine:
        judge = one.judge or SweepCell(STUDENT_PROBE)
        return {
            "labels": self.labels.name,
            "seed": seed,
            "layer": self.layer,
            "probe": STUDENT_PROBE,
            "k": judge.k,
            "l2": judge.l2,
            "contamination": one.kind.contamination,
            "method": one.kind.method,
            "loss": one.kind.loss,
            "rows": rows,
            "n": n,
            "oracle": one.kind.kind == CEILING,
        }


def _share(means: ModelMeans, name: str) -> Estimate:
    return means.means.proportion(means.weights(name))


def _part(side: Side, rows: NDArray[np.bool_]) -> Side:
    """Some of a side's rows; without truth where none of theirs is known."""
    truth = None if side.truth is None or np.isnan(side.truth[rows]).all() else side.truth[rows]
    return replace(
        side,
        ids=side.ids[rows],
        p=side.p[rows],
        truth=truth,
        groups=None if side.groups is None else np.unique(side.groups[rows], return_inverse=True)[1],
    )
