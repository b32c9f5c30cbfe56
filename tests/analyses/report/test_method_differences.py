"""The difference of two methods, of which one was repeated."""

import numpy as np
import pandas as pd
import pytest

from analyses.report.views.differences import difference
from w2s_probes.metrics.recovery import mean_metric


def test_a_repeated_method_counts_by_the_mean_of_all_its_draws() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(200) % 2
    names = ["plain", "drawn/1", "drawn/2", "drawn/3", "drawn-other"]
    columns = {name: 0.4 * i * truth + rng.normal(size=200) for i, name in enumerate(names)}
    table = pd.DataFrame({"id": np.arange(200).astype(str), "truth": truth, **columns})
    found = difference({0: table}, "drawn", "plain")
    assert found is not None
    auroc = {name: mean_metric("auroc", truth, values) for name, values in columns.items()}
    drawn = np.mean([auroc[name] for name in names[1:4]])
    assert found.estimate.value == pytest.approx(drawn - auroc["plain"], abs=1e-12)
