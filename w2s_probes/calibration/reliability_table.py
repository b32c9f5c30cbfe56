"""Reliability: the share of label 1 among rows of like scores, in bins of equally many rows."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..checks import probabilities, truth_sides
from ..errors import InputError
from ..labels.label_set import ids_of, refuse_other_ids
from ..metrics.calibration_error import ROWS_A_BIN
from ..rows.groups import group_numbers
from ..stats.agreement import share

COLUMNS = ("rows", "mean_score", "share", "low", "high")


def reliability_bins(
    truth: ArrayLike, scores: ArrayLike, *, bins: int = 10, groups: ArrayLike | None = None
) -> pd.DataFrame:
    """A line a bin: `rows`, `mean_score`, `share` of label 1, `low` and `high`, Wilson's (1927) 95 % interval of it.

    Scores (n,) are P(label = 1); truth (n,) is label 1 above ½. Bins hold as many rows each, at least 10, by score;
    rows of equal scores share one. Rows of one of the `groups` (n,) make the interval wider where they are alike.
    """
    refuse_other_ids({"truth": ids_of(truth), "scores": ids_of(scores)})
    p = probabilities(scores, "scores")
    positive = truth_sides(truth, len(p)).astype(np.float64)
    if not len(p):
        raise InputError("no rows: a reliability diagram needs some")
    if bins < 1:
        raise InputError(f"bins={bins}: at least one is needed")
    number = min(bins, max(1, len(p) // ROWS_A_BIN))
    codes = np.searchsorted(np.sort(p), p, "left") * number // len(p)
    together = group_numbers(groups, len(p))
    lines = []
    for code in np.unique(codes):
        here = codes == code
        found = share(positive[here], None if together is None else together[here])
        lines.append((int(here.sum()), float(p[here].mean()), found.value, found.low, found.high))
    return pd.DataFrame(lines, columns=list(COLUMNS))
