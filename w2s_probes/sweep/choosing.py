"""The best cell of a sweep, chosen by weak labels and measured again on rows that no choice has read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError, did_you_mean
from ..probes.registry import value_in_words
from .grid import BY_TRUTH, ChooseBy
from .measures import COSINE, HELD_OUT, OK, STUDENT_PROBE, TRAINING, WEAK, RowSet

LESS_IS_BETTER = ("weak_brier",)
CRITERIA = ("weak_brier", "weak_auroc", *BY_TRUTH)
Ends = tuple[float, float, float]  # value, low, high


@dataclass(frozen=True)
class Best:
    """A sweep's best cell for one label set.

    `training` flatters it: it is the best of `cells` values on those rows. `held_out` does not.

    >>> weak = {"weak_auroc": (0.7, 0.6, 0.8)}
    >>> best = Best("weak", "weak_brier", 3, "knn", 5, None, 20, training=weak, held_out={}, weak={}, oracle=False)
    >>> best.setting, best.is_chance
    ('layer 3, knn, k = 5', False)
    """

    labels: str
    chosen_by: ChooseBy  # the measure, on the training rows out of sample, mean over the seeds
    layer: int
    probe: str
    k: int | None
    l2: float | None
    cells: int  # number of cells compared
    training: Mapping[str, Ends]  # every measure with its 95 % interval; of the first seed
    held_out: Mapping[str, Ends]  # empty where no rows were held out
    weak: Mapping[str, Mapping[str, Ends]]  # the weak labels' own, by row set; empty where no truth is known
    oracle: bool  # whether the truth chose

    @property
    def is_chance(self) -> bool:
        """Whether the cell ranks the weak labels no better than chance: its interval reaches one half."""
        _, low, _ = (self.held_out or self.training)["weak_auroc"]
        return not low > 0.5

    def record(self) -> dict[str, Any]:
        """As it stands in sweep.json; NaN becomes null."""
        weak = {rows.replace("-", "_"): in_json(side) for rows, side in self.weak.items()}
        return {
            **vars(self),
            "training": in_json(self.training),
            "held_out": in_json(self.held_out),
            "weak": weak,
        }

    @property
    def setting(self) -> str:
        """The cell in words: layer, probe and value."""
        return ", ".join([f"layer {self.layer}", self.probe, *value_in_words(self.k, self.l2)])

    @property
    def shown(self) -> str:
        """The measure that is shown: AUROC by the truth, or by the weak labels where the truth is not known."""
        return "auroc" if "auroc" in self.training else "weak_auroc"

    def to_frame(self) -> pd.DataFrame:
        """One line: the cell, and `shown` with its 95 % interval on the rows it was chosen on and on those held out."""
        ends = {"": 0, "_low": 1, "_high": 2}
        cell = {name: getattr(self, name) for name in ("labels", "layer", "probe", "k", "l2", "cells")}
        sides = {"training": self.training, "held_out": self.held_out}
        measured = {
            f"{self.shown}_{name}{end}": side[self.shown][at] if self.shown in side else float("nan")
            for name, side in sides.items()
            for end, at in ends.items()
        }
        return pd.DataFrame([{**cell, **measured, "chosen_by": self.chosen_by, "oracle": self.oracle}])

    def __str__(self) -> str:
        text = f"{self.labels}: {self.setting}, best of {self.cells} by {self.chosen_by}"
        if self.oracle:
            text += " (an oracle: the truth chose)"
        shown = self.shown
        text += f"; {shown} {said(self.training[shown])} on the rows it was chosen on"
        if shown in self.held_out:
            text += f", {said(self.held_out[shown])} on held-out rows"
        if COSINE in self.held_out:
            text += f", cosine {said(self.held_out[COSINE])} to the probe of their own labels"
        weak = [said(self.weak[rows][shown]) for rows in self._row_sets if shown in self.weak.get(rows, {})]
        if weak:
            text += f"; the weak labels' own is {', '.join(weak)}"
        elif shown == "weak_auroc":
            text += "; no row has `truth`, so this is agreement with the weak labels, errors included"
        return text

    @property
    def _row_sets(self) -> list[RowSet]:
        return [TRAINING] + ([HELD_OUT] if self.held_out else [])


def choose(table: pd.DataFrame, labels: str, by: ChooseBy = "weak_brier", *, oracle: bool = False) -> Best:
    """The best cell of one label set in a sweep's table; InputError for a choice by truth that is not called oracle.

    Of equals the one of the lowest layer, then with the most neighbours or the largest penalty, is taken.
    """
    if by not in CRITERIA:
        raise InputError(f"choose by {by!r}: {did_you_mean(by, CRITERIA)}")
    if by in BY_TRUTH and not oracle:
        raise InputError(f"choosing by {by} reads the truth: say oracle=True (--oracle), and the choice is marked so")
    cells = table[
        (table["labels"] == labels) & table["contamination"].isna() & ~table["probe"].isin([WEAK, STUDENT_PROBE])
    ]
    if cells.empty:
        known = sorted(table["labels"].unique())
        raise InputError(f"no label set {labels!r} in this sweep: {did_you_mean(labels, known)}")
    keys = ["layer", "probe", "k", "l2"]
    judged = cells[(cells["rows"] == TRAINING) & (cells["metric"] == by) & (cells["status"] == OK)]
    if judged.empty:
        reasons = cells["status"][cells["status"] != OK]
        why = "its rows have no `truth`" if by in BY_TRUTH or reasons.empty else f"every cell was {reasons.iloc[0]}"
        raise InputError(f"label set {labels!r} has no {by} to choose by: {why}")
    means = judged.groupby(keys, dropna=False, sort=False)["value"].mean().reset_index()
    means = means.sort_values(
        ["value", "layer", "k", "l2"], ascending=[by in LESS_IS_BETTER, True, False, False], kind="stable"
    )
    first = means.iloc[0]
    same = cells["seed"] == judged["seed"].min()
    for key in keys:
        same &= cells[key].isna() if pd.isna(first[key]) else cells[key] == first[key]
    sides = {
        rows: {
            line.metric: (line.value, line.low, line.high)
            for line in cells[same & (cells["rows"] == rows)].itertuples()
        }
        for rows in (TRAINING, HELD_OUT)
    }
    k, l2 = (None if pd.isna(first[name]) else first[name] for name in ("k", "l2"))
    return Best(
        labels,
        by,
        int(first["layer"]),
        str(first["probe"]),
        None if k is None else int(k),
        None if l2 is None else float(l2),
        len(means),
        sides[TRAINING],
        sides[HELD_OUT],
        _of_weak_labels(table[table["labels"] == labels]),
        by in BY_TRUTH,
    )


def _of_weak_labels(table: pd.DataFrame) -> dict[str, dict[str, Ends]]:
    """The measures of the weak labels by the truth, by row set."""
    measures: dict[str, dict[str, Ends]] = {}
    for line in table[(table["probe"] == WEAK) & (table["status"] == OK)].to_dict(orient="records"):
        measures.setdefault(line["rows"], {})[line["metric"]] = (line["value"], line["low"], line["high"])
    return measures


def in_json(side: Mapping[str, Ends]) -> dict[str, list[float | None]]:
    """Measures as JSON has them; NaN and infinity become null."""
    return {metric: [end if np.isfinite(end) else None for end in ends] for metric, ends in side.items()}


def said(ends: Ends) -> str:
    """A value with its interval."""
    return f"{ends[0]:.3f} [{ends[1]:.3f}, {ends[2]:.3f}]"
