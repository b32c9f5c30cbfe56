"""What several raters leave beside their combined labels: numbers of each rater, and their disagreement about rows.

They stand among a supervisor's scores, so that they are kept with them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_probes.metrics import auroc
from w2s_probes.raters import Combined

RATERS = "raters"  # (r, 10) the numbers of COLUMNS of each rater
TEST_SCORES = "raters' test scores"  # (n_test, r) their P(label = 1) of the test rows; NaN where one says nothing
DISAGREEMENT = "raters' disagreement"  # (n_train,) about each training row; NaN where one rater alone has judged it
TRUSTED_READ = "raters' trusted rows"  # (1,) how many true labels of weak-train taught what is known of the raters
RATES = ("weight", "sensitivity", "specificity")
COLUMNS = ("rows", *(f"{rate}{end}" for rate in RATES for end in ("", "_low", "_high")))


def rater_numbers(combined: Combined) -> NDArray[np.float64]:
    """The numbers of each rater, as `combine` gives them."""
    return np.asarray(combined.raters[list(COLUMNS)].to_numpy(dtype=np.float64))


def rater_record(
    names: list[str], scores: Mapping[str, NDArray[np.float64]], truth: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """The raters as a run's record has them: a number that is not known is left out; [] where there is one rater.

    Each has its AUROC by the `truth` (n_test,) of the test rows that it labels: an oracle's figure.
    """
    if RATERS not in scores:
        return []
    lines = []
    for name, line, p in zip(names, scores[RATERS], scores[TEST_SCORES].T, strict=True):
        known = ~np.isnan(p)
        numbers = dict(zip(COLUMNS, line.tolist(), strict=True)) | {"auroc": np.nan}
        if len(np.unique(truth[known])) == 2:
            numbers["auroc"] = auroc(truth[known], p[known])
        lines.append({"rater": name, **{key: float(value) for key, value in numbers.items() if value == value}})
    return lines


def disagreement_record(scores: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """The training rows that two raters or more have judged, their mean disagreement, and the share with any."""
    found = scores.get(DISAGREEMENT)
    if found is None:
        return {}
    several = found[~np.isnan(found)]
    if not len(several):
        return {"rows": 0.0}
    shares = {"mean": float(several.mean()), "disputed": float((several > 1e-12).mean())}
    return {"rows": float(len(several)), **shares}
