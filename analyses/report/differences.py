"""Each method's AUROC minus that of the plain student, paired on the same test rows and over seeds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.influence import ranking
from w2s_probes.intervals import Estimate, SeededMeans

Numbers = NDArray[np.float64]


def against(runs: Mapping[int, pd.DataFrame], baseline: str) -> dict[str, Estimate]:
    """Method → its AUROC - the baseline's, mean over seeds, with the 95 % interval by rows and by seeds.

    `runs` has, for each seed, the test rows in one order with a column `truth` and one for each method. Errors by
    rows are DeLong's (1988), in closed form, in place of a bootstrap; those by seeds as in `w2s_probes.intervals`.
    Methods that a seed lacks are left out; all of them where the baseline is not there, or truth is of one class.
    """
    tables = list(runs.values())
    names = [str(name) for name in tables[0] if name not in ("id", "truth") and all(name in one for one in tables)]
    truth = tables[0]["truth"].to_numpy(dtype=float) > 0.5
    same = all(one["id"].equals(tables[0]["id"]) for one in tables)
    if baseline not in names or not same or truth.all() or not truth.any():
        return {}
    points = np.empty((len(names), len(tables)))
    moved = np.empty((len(names), len(tables), len(truth)))
    for s, table in enumerate(tables):
        for m, name in enumerate(names):
            points[m, s], moved[m, s] = _influence(truth, table[name].to_numpy(dtype=np.float64))
    means = _means(points, moved)
    at = names.index(baseline)
    unit = np.eye(len(names))
    return {name: means.estimate(unit[m] - unit[at]) for m, name in enumerate(names) if m != at}


def _influence(positive: NDArray[np.bool_], scores: Numbers) -> tuple[float, Numbers]:
    """AUROC, and a vector (n,) whose inner products with others' are DeLong's covariances on the same rows."""
    found = ranking(positive, scores)
    assert found is not None  # of one class: refused before
    moved = found.influence
    for side in (positive, ~positive):
        count = int(side.sum())
        moved[side] *= np.sqrt(count / max(1, count - 1))  # the variance of a sample
    return found.value, moved


def _means(points: Numbers, moved: Numbers) -> SeededMeans:
    """As `SeededMeans.of`, with the covariances of the rows in closed form."""
    n_seeds = points.shape[1]
    mean = moved.mean(axis=1)
    rows = mean @ mean.T
    if n_seeds == 1:
        return SeededMeans(points.mean(axis=1), rows, np.zeros_like(rows), 1)
    apart = moved - mean[:, None]
    by_rows = np.einsum("asn,csn->ac", apart, apart) / (n_seeds * (n_seeds - 1))
    scatter = np.cov(points).reshape(rows.shape) / n_seeds
    return SeededMeans(points.mean(axis=1), rows, scatter - by_rows, n_seeds)
