"""The short table that a run prints: a line for each task and method."""

from typing import Literal

import numpy as np
import pandas as pd

from .names import CEILING, FROM_BASE, HARD, WEAK, ceiling_of, on_test_set
from .unreadable_pgr import lines_over_seeds


def summary(results: pd.DataFrame, metric: Literal["auroc", "accuracy"] = "auroc") -> pd.DataFrame:
    """One line for each task, test set and method, over all seeds: weak, ceiling, student, PGR with its status.

    `ceiling` is the method's own. An oracle's method is marked by a star, one that has read true labels of weak-train
    by a plus. On a task whose supervisor gives hard
    labels the figures are of accuracy, and `metric` says so: AUROC cannot compare labels with scores. Where the
    supervisor read a debate, `pgr_base` is counted from the one that did not.
    """
    lines = []
    for (task, test_set), part in results.groupby(["task", "test_set"], sort=False):
        chosen = lines_over_seeds(part)
        hard = chosen[chosen["metric"] == f"pgr_{metric}"]["status"].str.contains(HARD).any()
        shown = "accuracy" if hard else metric
        plain = chosen[chosen["metric"] == shown].set_index("method")["value"].to_dict()
        counted = chosen[chosen["metric"] == f"pgr_{FROM_BASE}{shown}"]
        from_base = dict(zip(counted["method"], counted[["value", "low", "high"]].itertuples(index=False), strict=True))
        for pgr in chosen[chosen["metric"] == f"pgr_{shown}"].to_dict(orient="records"):
            own = ceiling_of(pgr["method"])
            base = from_base.get(pgr["method"])
            lines.append(
                {
                    "task": on_test_set(str(task), str(test_set)),
                    "method": pgr["method"] + ("*" if pgr["oracle"] else "+" if pgr["trusted"] else ""),
                    "metric": shown,
                    "weak": plain[WEAK],
                    "ceiling": plain.get(own, plain[CEILING]),
                    "student": plain[pgr["method"]],
                    "pgr": format_interval(pgr["value"], pgr["low"], pgr["high"]),
                    **({} if not from_base else {"pgr_base": "-" if base is None else format_interval(*base)}),
                    "status": pgr["status"],
                }
            )
    return pd.DataFrame(lines)


def format_interval(value: float, low: float, high: float) -> str:
    """`0.75 [0.69, 0.81]`, or a dash where there is no value."""
    return "-" if np.isnan(value) else f"{value:.2f} [{low:.2f}, {high:.2f}]"
