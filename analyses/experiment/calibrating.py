"""Scores of students and probes calibrated to weak labels of validation rows, or true ones of gold rows.

To weak labels: a score then says how the supervisor labels such rows, and nothing of the truth. Gold rows are rows of
strong-train: no student is taught them, nor their kin, where they calibrate it, and a probe scores them out of sample.
What an oracle has learned from the truth is calibrated to the true labels of validation rows.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.calibration import CalibrationRule, Calibrator, calibrate
from w2s_probes.code_hashes import code_hash
from w2s_probes.errors import InputError
from w2s_probes.labels.label_set import LabelSet

from ..lessons.lesson import Scores
from ..recipe.calibration_keys import CalibratedOn
from .gold_rows import GoldRows
from .row_sets import CONFLICT, PLAIN, scored
from .token_probes import TokenView

VAL, TEST = "val", "test"


def curve_of(of: NDArray[np.float64], labels: NDArray[np.float64], by: CalibrationRule, rows: str) -> Calibrator:
    """The curve from scores `of` some rows (n,) to their labels; InputError without one, which names the rows."""
    try:
        return calibrate(of, labels, by=by)
    except InputError as error:
        raise InputError(f"calibrate = {by!r} on the {len(of)} {rows} rows: {error}") from error


def along(curve: Calibrator | None, scores: Scores) -> Scores:
    """The scores of each set by a curve, beside the plain ones of the test rows; as they are without one."""
    if curve is None:
        return scores
    return {name: np.asarray(curve(own), dtype=np.float64) for name, own in scores.items()} | plain_test(scores)


def plain_test(scores: Scores) -> Scores:
    """The test rows' scores under the name of those that are not calibrated; empty without test rows."""
    return {PLAIN + TEST: scores[TEST]} if TEST in scores else {}


class CalibratedView(TokenView):
    """The part of an experiment that calibrates: `Experiment` has the fields."""

    if TYPE_CHECKING:
        weak: LabelSet
        truth: LabelSet | None
        calibrate: CalibrationRule | None
        calibrate_on: CalibratedOn
        calibrating: GoldRows | None

    def evaluated(self, scores: Scores, val: NDArray[np.float64] | None = None) -> Scores:
        """A student's scores of the evaluation sets; calibrated where the recipe says so.

        To labels of `val` (n_val,) where they are given: to what a student has learned from the truth, the true ones.
        """
        return along(self.student_curve(scores, val), scored(scores))

    def student_curve(self, scores: Scores, val: NDArray[np.float64] | None = None) -> Calibrator | None:
        """The curve of a student with these scores of all sets, `val` as in `evaluated`; None without one.

        What mixes a student with something else mixes its calibrated scores, and learns by them.
        """
        if self.calibrate is None:
            return None
        if val is None and self.calibrate_on == "gold":
            gold = self._gold()
            return curve_of(scores["train"][gold.mask], gold.truth(), self.calibrate, "gold")
        labels = self.weak.values(self._val_ids) if val is None else val
        return curve_of(scores[VAL], labels, self.calibrate, "validation")

    def calibrated_probe(self, scores: Scores, out_of_sample: Callable[[], NDArray[np.float64]]) -> Scores:
        """A probe's scores of the evaluation sets, calibrated where the recipe says so.

        `out_of_sample` gives its scores (n_train,) of the training rows, each by a probe that has not learned it.
        """
        by: CalibrationRule | None = self.probes.calibrate
        if by is None:
            return scores
        if self.truth is None and self.probes.calibrate_on == "gold":
            gold = self._gold()
            curve = curve_of(out_of_sample()[gold.mask], gold.truth(), by, "gold")
        else:
            labels = self.weak if self.truth is None else self.truth
            curve = curve_of(scores[VAL], labels.values(self._val_ids), by, "validation")
        return along(curve, scored(scores))

    def taught(self, mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        """The rows (n_train,) of a mask that a student may learn: without those that calibrate it, and their kin."""
        if self.calibrate is None or self.calibrate_on != "gold":
            return mask
        apart = ~self._gold().related
        return apart if mask is None else mask & apart

    def _gold(self) -> GoldRows:
        if self.calibrating is None:
            raise InputError("calibrate_on = 'gold' needs true labels of gold rows, and there are none: give [gold] n")
        return self.calibrating

    @property
    def predicted(self) -> dict[str, pd.DataFrame]:
        """The rows that every student scores: the evaluation sets and, for later rounds, the training rows.

        Validation rows, too, where it is calibrated by them.
        """
        left = {CONFLICT} if self.calibrate is not None else {VAL, CONFLICT}
        return {name: rows for name, rows in self.rows.items() if name not in left}

    @property
    def calibration_key(self) -> dict[str, Any]:
        """The part of a cache key that calibration decides; nothing where there is none."""
        rules = {"student": self.calibrate, "probes": self.probes.calibrate}
        if not any(rules.values()):
            return {}
        code = [code_hash(calibrate), code_hash(Calibrator.__call__), code_hash(curve_of)]
        gold: dict[str, Any] = {}
        if self.calibrating is not None:
            gold = {"gold": self.calibrating.description, "on": [self.calibrate_on, self.probes.calibrate_on]}
        return {"calibrate": {**rules, "code": code, **gold}}

    @property
    def _val_ids(self) -> NDArray[np.object_]:
        return self.rows[VAL]["id"].to_numpy(dtype=object)
