"""The filter of raters: the rows that several raters disagree about most go."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities
from ..errors import InputError
from ..labels.label_set import ids_of
from ..labels.verdicts import KEPT
from ..tensors import as_numpy
from ..ties import ROUNDING, levels
from .disagreement import FilterResult, class_parts, farthest
from .shares import refuse_shares, share_of

RATERS = "raters"  # what judged, in verdict files
DISAGREE = "raters disagree"  # the reason of a row that goes


def raters_filter(
    y: ArrayLike, disagreement: ArrayLike, contamination: float = 0.1, *, per_class: bool = False
) -> FilterResult:
    """Drop the round(n · contamination) rows about which raters disagree most: `disagreement` (n,), as of `Combined`.

    A row whose disagreement is NaN, since one rater alone has judged it, stays, and so does one about which all agree:
    fewer rows may go than were asked for. Of equal disagreement the later rows go first. InputError where no two
    raters disagree about any row.
    """
    refuse_shares(contamination)
    labels, scores = probabilities(y, "labels"), np.asarray(as_numpy(disagreement), dtype=np.float64)
    if scores.shape != labels.shape:
        raise InputError(f"{len(labels)} labels but the disagreement of {scores.size} rows")
    differ: NDArray[np.bool_] = scores > ROUNDING  # False for NaN
    if not differ.any():
        raise InputError("no two raters disagree about any of these rows: there is nothing to filter by")
    order, mask, requested = levels(scores), np.ones(len(labels), dtype=bool), 0
    for rows in class_parts(labels, per_class):
        asked = share_of(len(rows), contamination)
        requested += asked
        candidates = rows[differ[rows]]
        mask[farthest(candidates, order, min(asked, len(candidates)))] = False
    reasons = np.where(mask, KEPT, DISAGREE).astype(object)
    return FilterResult(mask, scores, reasons, labels, requested, ids=ids_of(y), probe=RATERS)
