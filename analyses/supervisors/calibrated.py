"""A trained supervisor's scores, calibrated to the truth of the fifth of weak-train that it holds out."""

from typing import Any

import numpy as np

from w2s_probes.calibration import calibrate, cross_calibrated
from w2s_probes.code_hashes import code_hash
from w2s_probes.errors import InputError
from w2s_probes.rows.groups import GROUP

from ..experiment.calibrating import plain_test
from ..experiment.row_sets import RowSets
from ..lessons.lesson import Scores
from ..recipe.schema import Weak
from .held_out import HELD_OUT, held_out_rows


def calibrated_labels(weak: Weak, sets: RowSets, scores: Scores, *, task: str, seed: int) -> Scores:
    """The scores of each set by the curve of `weak.calibrate`; as they are where there is none.

    The rows that are held out, of which the curve learns, are scored by curves of other folds. InputError where there
    are too few of them.
    """
    by = weak.calibrate
    if by is None:
        return scores
    rows = sets.weak[held_out_rows(sets.weak, task, seed)]
    truth, groups = rows["label"].to_numpy(dtype=np.float64), rows[GROUP].to_numpy(dtype=object)
    try:
        if HELD_OUT not in scores:
            raise InputError("the supervisor could score none of the rows that it holds out")
        curve = calibrate(scores[HELD_OUT], truth, by=by)
        apart = cross_calibrated(scores[HELD_OUT], truth, by=by, groups=groups, seed=seed)
    except InputError as error:
        raise InputError(
            f"{task}, seed {seed}: weak.calibrate = {by!r} on the {len(rows)} rows of weak-train that are held out: "
            f"{error}: raise weak.n_truth, or leave it out"
        ) from error
    made = {name: np.asarray(curve(scores[name]), dtype=np.float64) for name in sets.labelled if name in scores}
    return {**scores, **made, HELD_OUT: apart, **plain_test(scores)}


def calibration_key(weak: Weak) -> dict[str, Any]:
    """The part of a cache key that calibration decides; nothing where there is none."""
    rules = [one.calibrate for one in (weak, *weak.members)]
    return {"calibrated": [*rules, code_hash(calibrated_labels), code_hash(calibrate)]} if any(rules) else {}
