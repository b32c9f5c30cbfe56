"""What students of a run gained, a line a task; and the names of what was foretold of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from w2s_probes.errors import InputError

from ..results.names import RESULTS, TEST

FORETOLD = "foretold.csv"  # in the run's folder
RUN_COLUMNS = ["task", "seed", "measure", "value", "low", "high", "chance", "draws", "needs", "n", "oracle", "trusted"]
RUN_COLUMNS += ["status", "run"]
GAINS = ("gain", "pgr", "filter gain", "relabel gain")


def gains_of(run: Path | str) -> pd.DataFrame:
    """What students of a run gained, a line a task, as far as the methods were in the recipe.

    `gain`: AUROC of student-xent less the supervisor's; `pgr`: its PGR; `filter gain`, `relabel gain`: AUROC of
    filter-logistic and relabel-logistic less student-xent's. NaN for a method that was not run. All over seeds.
    """
    path = Path(run) / RESULTS
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return gains_in(pd.read_csv(path, keep_default_na=False, na_values=[""]))


def gains_in(results: pd.DataFrame) -> pd.DataFrame:
    """The same of a table of results."""
    own = results[(results["test_set"] == TEST) if "test_set" in results else slice(None)]
    over = own[own["seed"].isna()]
    chosen = over if len(over) else own

    def of(method: str, metric: str) -> "pd.Series[float]":
        lines = chosen[(chosen["method"] == method) & (chosen["metric"] == metric)]
        return lines.groupby("task")["value"].mean()

    tasks = pd.Index(chosen["task"].unique(), name="task")
    student, weak = of("student-xent", "auroc").reindex(tasks), of("weak", "auroc").reindex(tasks)
    table = pd.DataFrame({"gain": student - weak, "pgr": of("student-xent", "pgr_auroc").reindex(tasks)}, index=tasks)
    for kind in ("filter", "relabel"):
        table[f"{kind} gain"] = of(f"{kind}-logistic", "auroc").reindex(tasks) - student
    return table.astype(np.float64)
