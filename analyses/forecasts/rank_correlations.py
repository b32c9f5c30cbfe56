"""How well what was foretold has foretold what was gained: rank correlations over tasks."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from w2s_probes.randomness import stream

from .gains import GAINS

LEAST_TASKS = 5  # of fewer a rank correlation says nothing
N_BOOT = 2000
NAN = float("nan")


@dataclass(frozen=True)
class ForetoldCorrelation:
    """Spearman's correlation of a measure with an outcome, over cells of a task and a run; NaN where undefined."""

    value: float
    low: float  # 95 %, of the bootstrap over tasks, since a task's runs share its rows
    high: float
    within: float  # mean over runs of the correlation over tasks
    n: int  # cells


def cells_of(table: pd.DataFrame, gains: pd.DataFrame, run: str = "") -> pd.DataFrame:
    """A line for each task and measure: task, run, measure, needs, oracle, value, chance, seeds, and GAINS.

    `table` is that of `foretell_run`, `gains` that of `gains_of`. Values are means over the seeds that have one.
    """
    by = table.groupby(["task", "measure", "needs", "oracle"], sort=False)
    means = by.agg(value=("value", "mean"), chance=("chance", "mean"), seeds=("value", "count")).reset_index()
    cells = means.merge(gains.reset_index(), on="task", how="left").assign(run=run)
    return cells[["task", "run", "measure", "needs", "oracle", "value", "chance", "seeds", *GAINS]]


def rank_correlation(cells: pd.DataFrame, outcome: str, *, n_boot: int = N_BOOT) -> ForetoldCorrelation:
    """Spearman's correlation of one measure's cells with an outcome of GAINS, pooled and within runs.

    Cells without a number are left out; undefined with fewer than LEAST_TASKS tasks, or where all are alike.
    """
    there = cells.dropna(subset=["value", outcome])
    tasks = sorted(there["task"].unique())
    if len(tasks) < LEAST_TASKS:
        return ForetoldCorrelation(NAN, NAN, NAN, NAN, len(there))
    pairs = there[["value", outcome]].to_numpy(dtype=np.float64)
    value = _spearman(pairs)
    if np.isnan(value):
        return ForetoldCorrelation(NAN, NAN, NAN, NAN, len(there))
    drawn = stream(0, "tasks").integers(len(tasks), size=(n_boot, len(tasks)))
    times = (drawn[:, :, None] == np.arange(len(tasks))).sum(axis=1)  # (n_boot, tasks)
    draws = counted_spearman(pairs, times[:, np.searchsorted(tasks, there["task"])])
    low, high = np.nanquantile(draws, [0.025, 0.975])
    own = [_spearman(part[["value", outcome]].to_numpy(dtype=np.float64)) for _, part in there.groupby("run")]
    within = float(np.nanmean(own)) if np.isfinite(own).any() else NAN
    return ForetoldCorrelation(value, float(low), float(high), within, len(there))


def counted_spearman(pairs: NDArray[np.float64], times: NDArray[np.int64]) -> NDArray[np.float64]:
    """Spearman's correlation of `pairs` (n, 2), of which draw b has pair i times[b, i] times; NaN where constant.

    The rank of a pair is the number of those below it and half of one more than those as large: ties share theirs.
    """
    counts = times.astype(np.float64)
    n = counts.sum(axis=1, keepdims=True)
    ranks = []
    for column in pairs.T:
        below = (column[:, None] < column).astype(np.float64) + 0.5 * (column[:, None] == column)
        ranks.append(counts @ below + 0.5 - (n + 1) / 2)  # less their mean
    x, y = ranks
    variances = (counts * x * x).sum(axis=1), (counts * y * y).sum(axis=1)
    constant = (np.minimum(*variances) <= 0) | (n[:, 0] < 3)
    scale = np.sqrt(np.where(constant, 1.0, variances[0] * variances[1]))
    return np.where(constant, NAN, np.clip((counts * x * y).sum(axis=1) / scale, -1, 1))


def _spearman(pairs: NDArray[np.float64]) -> float:
    constant = np.ptp(pairs[:, 0]) == 0 or np.ptp(pairs[:, 1]) == 0
    return NAN if constant or len(pairs) < 3 else float(spearmanr(pairs[:, 0], pairs[:, 1])[0])
