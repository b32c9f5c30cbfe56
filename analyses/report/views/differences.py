"""Each method's AUROC minus that of another, paired on the same test rows and over seeds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.metrics.intervals import Estimate
from w2s_probes.metrics.recovery_over_seeds import ModelMeans
from w2s_probes.rows.groups import GROUP, groups_of

from ...results.names import ALPHA, UNCALIBRATED

OTHER = ("id", GROUP, "truth")  # columns of a predictions file that are no method's


@dataclass(frozen=True)
class Difference:
    """The difference of two methods in AUROC on one task."""

    estimate: Estimate  # with one seed its interval holds the choice of the rows alone
    p: float  # two-sided; NaN with one seed, which cannot tell
    seeds: int  # that have both


def against(runs: Mapping[int, pd.DataFrame], baseline: str) -> dict[str, Difference]:
    """Method → its AUROC - the baseline's, mean over the seeds that have both, with errors by rows and by seeds.

    `runs` has, for each seed, the test rows in one order with columns `truth`, perhaps `group`, and one for each
    method, or one for each draw of it (METHOD/1, ..). Empty where no seed has the baseline, the seeds' rows differ, or
    their truth is of one class.
    """
    names = dict.fromkeys(name for table in runs.values() for name in methods_of(table))
    found = {name: difference(runs, name, baseline) for name in names if name != baseline}
    return {name: one for name, one in found.items() if one is not None}


def difference(runs: Mapping[int, pd.DataFrame], a: str, b: str) -> Difference | None:
    """Method a - method b; None where no seed has both, the seeds' rows differ, or their truth is of one class."""
    tables = [table for table in runs.values() if {a, b} <= set(methods_of(table))]
    if not tables or not all(table["id"].equals(tables[0]["id"]) for table in tables):
        return None
    truth = tables[0]["truth"].to_numpy(dtype=float)
    if (truth > 0.5).all() or not (truth > 0.5).any():
        return None
    scores = [{name: scores_of(table, name) for name in (a, b)} for table in tables]
    means = ModelMeans.of(truth, scores, groups=groups_of(tables[0]))
    return Difference(means.difference(a, b), means.p_value(a, b), len(tables))


def methods_of(table: pd.DataFrame) -> list[str]:
    """The methods whose scores a predictions file holds."""
    scores = (str(name) for name in table if name not in OTHER and not str(name).startswith((ALPHA, UNCALIBRATED)))
    return list(dict.fromkeys(name.partition("/")[0] for name in scores))


def scores_of(table: pd.DataFrame, method: str) -> NDArray[np.float64]:
    """A method's scores: (n,), or (draws, n)."""
    columns = [name for name in table if str(name).partition("/")[0] == method]
    scores = [table[name].to_numpy(dtype=np.float64) for name in columns]  # a table cut out of the table takes longer
    return scores[0] if columns == [method] else np.stack(scores)
