"""Calibration of scores: reliability table, expected calibration error, and AUROC with its interval."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..metrics.influence import ranking


def reliability(
    p: NDArray[np.float64],
    target: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
    bins: int = 10,
) -> pd.DataFrame:
    """Reliability table: scores p (n,) and targets (n,) by equal bins of [0, 1], empty bins left out.

    `low`, `high` (of the bin; it holds low < p ≤ high, the first also 0), `rows`, `share` (of the weight of all
    rows), `mean_score`, `positive` (mean target). Rows may have weights (n,), as where classes were sampled at
    different rates.
    """
    w = np.ones(len(p)) if weights is None else weights
    edges = np.linspace(0, 1, bins + 1)
    bin_of_row = np.clip(np.searchsorted(edges, p) - 1, 0, bins - 1)
    weight = np.bincount(bin_of_row, weights=w, minlength=bins)
    full = weight > 0
    table = {
        "low": edges[:-1],
        "high": edges[1:],
        "rows": np.bincount(bin_of_row, minlength=bins),
        "share": weight / w.sum(),
        "mean_score": np.bincount(bin_of_row, weights=w * p, minlength=bins) / np.where(full, weight, 1),
        "positive": np.bincount(bin_of_row, weights=w * target, minlength=bins) / np.where(full, weight, 1),
    }
    return pd.DataFrame(table)[full].reset_index(drop=True)


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Mean |share of positives - mean score| over the rows of a reliability table, each by its share.

    Above 0 even for perfect scores where bins hold few rows.
    """
    return float((table["share"] * (table["positive"] - table["mean_score"]).abs()).sum())


def auroc_interval(
    positive: NDArray[np.bool_], p: NDArray[np.float64], groups: NDArray[np.intp] | None = None
) -> tuple[float, float, float]:
    """AUROC and its 95 % interval in closed form: DeLong et al. 1988, for groups (n,) Obuchowski 1997.

    The interval of `InfluenceEstimate.share`, which holds for perfect scores and few rows too; NaN where a class has a
    single row, or group. O(n log n). Both classes must occur.
    """
    measured = ranking(positive, p)
    assert measured is not None
    estimate = measured.share(groups)
    return estimate.value, estimate.low, estimate.high
