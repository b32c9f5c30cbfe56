"""The reliability of a run's scores on its page: bins of all seeds together, before calibration and after."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from analyses.report.load.folder import FinishedRun
from analyses.report.views.reliability import SHOWN, reliability_view
from analyses.results.names import UNCALIBRATED
from w2s_probes.calibration import reliability_bins
from w2s_probes.metrics import METRICS

N = 200
RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 2, N)


def scores(seed: int) -> NDArray[np.float64]:
    return np.asarray(expit(2 * TRUTH - 1 + np.random.default_rng(seed).normal(size=N)))


def table(seed: int, *calibrated: str) -> pd.DataFrame:
    own = {name: scores(10 * seed + i) for i, name in enumerate(["weak", "ceiling", "student-xent", "filter-knn"])}
    own |= {f"control-random:filter-knn/{draw}": scores(10 * seed + 5 + draw) for draw in (1, 2)}
    own |= {UNCALIBRATED + name: p**3 for name, p in own.items() if name.partition("/")[0] in calibrated}
    ids = [f"r{row}" for row in range(N)]
    return pd.DataFrame({"id": ids, "group": ids, "truth": TRUTH, **own})


def run_of(*tables: pd.DataFrame) -> FinishedRun:
    record: dict[str, Any] = {"recipe": {"seeds": [*range(len(tables))]}}
    return FinishedRun("", record, pd.DataFrame(), pd.DataFrame(), None, {"boolq": dict(enumerate(tables))}, [])


def test_without_calibration_the_supervisor_the_plain_student_and_the_ceiling_are_drawn() -> None:
    found = reliability_view(run_of(table(0)), "run")
    assert found is not None
    assert [figure.title for figure in found.figures] == ["boolq: scores as they are judged"]
    assert [[cell.text for cell in row][1] for row in found.table.rows] == ["weak", "student-xent", "ceiling"]
    assert [column.name for column in found.table.columns][3:] == ["calibration error [95 %]", "Brier score [95 %]"]
    assert found.table.rows[0][3].value == METRICS["ece"](TRUTH, scores(0))
    assert len(found.lines) == 1


def test_each_calibrated_method_has_a_diagram_before_and_after_of_all_seeds_and_draws() -> None:
    names = ("student-xent", "control-random:filter-knn")
    found = reliability_view(run_of(table(0, *names), table(1, *names)), "run")
    assert found is not None
    assert [figure.title.partition(": ")[2] for figure in found.figures[1:]] == [
        f"{n}, before and after" for n in names
    ]
    rows = {row[1].text: row for row in found.table.rows}
    assert set(rows) == {"weak", "ceiling", "student-xent", "filter-knn", "control-random:filter-knn"}
    truth, after = np.tile(TRUTH, 2), np.concatenate([scores(2), scores(12)])
    assert rows["student-xent"][2].text == "400"
    for at, values in ((3, after**3), (4, after)):
        assert rows["student-xent"][at].value == pytest.approx(METRICS["ece"](truth, values))
    assert rows["student-xent"][5].value == pytest.approx(
        METRICS["ece"](truth, after) - METRICS["ece"](truth, after**3)
    )
    assert rows["control-random:filter-knn"][2].text == "800"
    assert rows["weak"][3].text == "–"
    # Heights of the points in the drawing are the shares of the bins, whose intervals take a row once over seeds.
    groups = np.tile(np.arange(N), 2)
    bins = reliability_bins(truth, after, groups=groups)
    drawn = str(found.figures[1].svg)
    across = [float(x) for x in re.findall(r'<circle cx="([0-9.]+)" cy="[0-9.]+" r="4"', drawn)]
    expected = 66 + 250 * bins["mean_score"].to_numpy()
    assert across[1:] == pytest.approx(expected, abs=0.06)  # the first stands in the legend
    alone = reliability_bins(truth, after)
    assert (bins["high"] - bins["low"]).mean() > (alone["high"] - alone["low"]).mean()
    assert f"at most {max(int(bins['rows'].max()), 40):,}" in drawn


def test_many_calibrated_methods_are_cut_short_and_said() -> None:
    names = ("weak", "student-xent", "ceiling", "filter-knn", "control-random:filter-knn")
    found = reliability_view(run_of(table(0, *names)), "run")
    assert found is not None
    assert len(found.figures) == 1 + SHOWN
    assert found.lines[-1] == f"Before and after: the first {SHOWN} methods of each task; the table has 1 more."


def test_what_are_no_probabilities_or_of_one_class_is_left_out() -> None:
    assert reliability_view(run_of(table(0).assign(truth=1)), "run") is None
    logits = table(0)
    logits["student-xent"] = logits["student-xent"] * 9 - 3
    found = reliability_view(run_of(logits), "run")
    assert found is not None
    assert [row[1].text for row in found.table.rows] == ["weak", "ceiling"]
    assert reliability_view(run_of(table(0)[["id", "truth"]]), "run") is None
