"""A label set with wrong labels, and what a person who knows the truth answers of it."""

import numpy as np
import pandas as pd

from w2s_probes.auditing import AuditRows

N, DRAWN = 120, 40


def labels(n: int = N, wrong: float = 0.25) -> pd.DataFrame:
    """A label file with texts; every fourth label or so is wrong."""
    rng = np.random.default_rng(0)
    truth = rng.random(n) < 0.5
    weak = truth ^ (rng.random(n) < wrong)
    table = pd.DataFrame({"id": [f"r{i}" for i in range(n)], "text": [f"text {i}, “quoted”\nline" for i in range(n)]})
    return table.assign(label=np.where(weak, 0.9, 0.2), truth=truth.astype(int), score_p=rng.random(n))


WORLD = labels()
GIVEN = WORLD.drop(columns=["truth", "score_p"])  # what is audited: its truth is not in the file
P = np.clip(np.where(WORLD["truth"] == 1, 0.7, 0.3) + 0.2 * (WORLD["score_p"] - 0.5), 0, 1).to_numpy()


def answered(audit: AuditRows, *, rows: slice = slice(None)) -> pd.DataFrame:
    """The audit's table with the truth of some rows filled in, in the drawn order."""
    truth = WORLD.set_index("id")["truth"]
    table = audit.table.astype({"truth": object})
    at = table.index[rows]
    table.loc[at, "truth"] = truth.loc[table["id"][at]].to_numpy()
    return table
