"""The one tidy table of results: a line for each task, seed, method and metric."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.metrics import METRICS, Metric, bootstrap, gap_recovered, interval

from .experiment import Outcome

COLUMNS = ["task", "seed", "method", "probe", "layer", "k", "l2", "contamination"]
COLUMNS += ["metric", "value", "low", "high", "n", "status", "oracle"]
REFERENCES = ("weak", "ceiling")


def result_rows(
    outcomes: Mapping[str, Outcome],
    truth: NDArray[np.float64],
    *,
    task: str,
    seed: int,
    layer: int,
    n_boot: int,
) -> list[dict[str, Any]]:
    """AUROC, accuracy and PGR of every method, paired on the same resamples of the test rows.

    `outcomes` holds `weak` and `ceiling` beside the methods. The ceiling reads ground truth to train and to
    stop, and is marked as an oracle; nothing else here may.
    """
    rows: list[dict[str, Any]] = []
    scores = {name: outcome.scores for name, outcome in outcomes.items()}
    for metric in METRICS:
        draws = bootstrap(truth, scores, metric, n_boot, seed)  # type: ignore[arg-type]
        points = {name: METRICS[metric](truth, values) for name, values in scores.items()}
        for name, outcome in outcomes.items():
            common = {
                "task": task,
                "seed": seed,
                "method": name,
                "probe": outcome.probe,
                "layer": None if name == "weak" else layer,
                "k": outcome.k,
                "l2": outcome.l2,
                "contamination": outcome.contamination,
                "n": len(truth),
                "oracle": name == "ceiling",
            }
            low, high = interval(draws[name])
            rows.append(common | {"metric": metric, "value": points[name], "low": low, "high": high, "status": "ok"})
            if name not in REFERENCES:
                pgr = gap_recovered(
                    points["weak"],
                    points[name],
                    points["ceiling"],
                    draws["weak"],
                    draws[name],
                    draws["ceiling"],
                )
                rows.append(
                    common
                    | {"metric": f"pgr_{metric}", "value": pgr.value, "low": pgr.low, "high": pgr.high}
                    | {"status": pgr.status}
                )
    return rows


def results_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a table with the columns of results.csv; whole numbers stay whole where some are missing."""
    return pd.DataFrame(rows, columns=COLUMNS).astype({"layer": "Int64", "k": "Int64"})


def summary(results: pd.DataFrame, metric: Metric = "auroc") -> pd.DataFrame:
    """One line for each task, seed and method: weak, ceiling, student, and PGR as text with interval and status."""
    lines = []
    for (task, seed), part in results.groupby(["task", "seed"], sort=False):
        plain = part[part["metric"] == metric].set_index("method")["value"].to_dict()
        for pgr in part[part["metric"] == f"pgr_{metric}"].to_dict(orient="records"):
            lines.append(
                {
                    "task": task,
                    "seed": seed,
                    "method": pgr["method"],
                    "weak": plain["weak"],
                    "ceiling": plain["ceiling"],
                    "student": plain[pgr["method"]],
                    "pgr": format_interval(pgr["value"], pgr["low"], pgr["high"]),
                    "status": pgr["status"],
                }
            )
    return pd.DataFrame(lines)


def format_interval(value: float, low: float, high: float) -> str:
    """`0.75 [0.69, 0.81]`, or a dash where there is no value."""
    return "-" if np.isnan(value) else f"{value:.2f} [{low:.2f}, {high:.2f}]"
