"""The filter of overlap density: rows go by what a student can learn from them beyond its supervisor."""

from collections.abc import Sequence

import numpy as np

from ..errors import InputError, did_you_mean
from ..labels.verdicts import KEPT
from .disagreement import FilterResult
from .judges import KEPT_KINDS, KINDS, OVERLAP
from .overlap_rows import OverlapDensity


def overlap_filter(found: OverlapDensity, keep: Sequence[str] = KEPT_KINDS) -> FilterResult:
    """Keep the rows of these kinds, "overlap", "easy" or "hard", as `overlap_density` has found them.

    All rows stay where a change point is missing (`found.status`). `scores` are 1 - confidence of a hard row and
    1 - similarity of any other. InputError for other kinds, and for none.
    """
    if isinstance(keep, str) or not len(keep):
        raise InputError(f"keep={keep!r}: give the kinds of rows that stay, as in keep=['overlap', 'easy']")
    for kind in keep:
        if kind not in KINDS:
            raise InputError(f"keep: {kind!r} is no kind of row: {did_you_mean(str(kind), KINDS)}")
    mask = np.isin(found.kinds, list(keep)) if found.status == "ok" else np.ones(len(found.kinds), dtype=bool)
    reasons = np.where(mask, KEPT, [f"{kind} row" for kind in found.kinds]).astype(object)
    scores = 1 - np.where(np.isnan(found.similarity), found.confidence, found.similarity)
    return FilterResult(mask, scores, reasons, found.labels, int((~mask).sum()), ids=found.ids, probe=OVERLAP)
