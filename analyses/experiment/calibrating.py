"""Scores of students and probes calibrated to the weak labels of the validation rows, as a recipe asks for it.

To weak labels: a score then says how the supervisor labels such rows, and nothing of the truth. What an oracle has
learned from the truth is calibrated to the true labels of these rows.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.calibration import CalibrationRule, Calibrator, calibrate
from w2s_probes.code_hashes import code_hash
from w2s_probes.errors import InputError
from w2s_probes.labels.label_set import LabelSet

from ..lessons.lesson import Scores
from .row_sets import CONFLICT, PLAIN, scored
from .token_probes import TokenView

VAL, TEST = "val", "test"


def curve_of(of: NDArray[np.float64], labels: NDArray[np.float64], by: CalibrationRule) -> Calibrator:
    """The curve from scores `of` some rows (n,) to their labels; InputError without one."""
    try:
        return calibrate(of, labels, by=by)
    except InputError as error:
        raise InputError(f"calibrate = {by!r} on the {len(of)} validation rows: {error}") from error


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

    def evaluated(self, scores: Scores, val: NDArray[np.float64] | None = None) -> Scores:
        """A student's scores of the evaluation sets; calibrated where the recipe says so, to labels of `val` (n_val,).

        Those are the weak ones unless given: to what a student has learned from the truth they are the true ones.
        """
        return along(self.student_curve(scores, val), scored(scores))

    def student_curve(self, scores: Scores, val: NDArray[np.float64] | None = None) -> Calibrator | None:
        """The curve of a student with these scores of all sets, `val` as in `evaluated`; None without one.

        What mixes a student with something else mixes its calibrated scores, and learns by them.
        """
        if self.calibrate is None:
            return None
        return curve_of(scores[VAL], self.weak.values(self._val_ids) if val is None else val, self.calibrate)

    def calibrated_probe(self, scores: Scores) -> Scores:
        """A probe's scores of the evaluation sets, calibrated where the recipe says so by those of validation rows."""
        by: CalibrationRule | None = self.probes.calibrate
        if by is None:
            return scores
        labels = self.weak if self.truth is None else self.truth
        return along(curve_of(scores[VAL], labels.values(self._val_ids), by), scored(scores))

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
        code = [code_hash(calibrate), code_hash(Calibrator.__call__), code_hash(curve_of)]
        return {"calibrate": {**rules, "code": code}} if any(rules.values()) else {}

    @property
    def _val_ids(self) -> NDArray[np.object_]:
        return self.rows[VAL]["id"].to_numpy(dtype=object)
