"""Metrics beside AUROC and accuracy in results, comparisons, recipes and reports."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from analyses.experiment.outcomes import Outcome
from analyses.report import write_report
from analyses.results.comparisons import compare
from analyses.results.names import COMPARISON_COLUMNS, RESULT_COLUMNS
from analyses.results.table import results_table, task_rows
from analyses.results.trial_result import TrialResult
from tests.worlds.experiments import small_recipe
from tests.worlds.report_folders import write_run
from w2s_probes import InputError, performance_gap_recovered
from w2s_probes.metrics import METRICS
from w2s_probes.metrics.metric_names import DEFAULT_METRICS, Metric

EVERY: tuple[Metric, ...] = get_args(Metric)
QUALITY = {"weak": 0.3, "ceiling": 1.6, "student-xent": 0.8, "student-logconf": 1.0}


def trial(seed: int = 0, task: int = 0, *, hard: bool = False, n: int = 300) -> TrialResult:
    """Calibrated scores of this signal, of one noise, and a supervisor's labels where it gives labels."""
    rng = np.random.default_rng([task, seed])
    truth, noise = np.tile([0.0, 1.0], n // 2), np.random.default_rng(task).normal(size=n)
    scores = {
        name: 1 / (1 + np.exp(-2 * q * (noise + 0.2 * rng.normal(size=n) + q * (2 * truth - 1))))
        for name, q in QUALITY.items()
    }
    if hard:
        scores["weak"] = (scores["weak"] > 0.5).astype(float)
    test = pd.DataFrame({"id": [f"r{i}" for i in range(n)], "label": truth})
    outcomes = {name: Outcome({"test": p}) for name, p in scores.items()}
    return TrialResult(test, None, outcomes, frozenset({"ceiling"}), seed, layer=3)


def table_of(runs: dict[int, TrialResult]) -> pd.DataFrame:
    return results_table(task_rows("t", runs, 60, EVERY))


def lines_of(table: pd.DataFrame, seed: int | None) -> dict[tuple[str, str], dict[Any, Any]]:
    part = table[table["seed"].isna() if seed is None else table["seed"] == seed]
    return {(one["method"], one["metric"]): one for one in part.to_dict(orient="records")}


def test_columns_and_numbers_of_auroc_and_accuracy_stay_as_they_are() -> None:
    runs = {0: trial(), 1: trial(1)}
    table, plain = table_of(runs), results_table(task_rows("t", runs, 60))
    assert list(table) == RESULT_COLUMNS
    own = table["metric"].isin(set(plain["metric"]))
    pd.testing.assert_frame_equal(table[own].reset_index(drop=True), plain)
    assert set(table["metric"][~own]) == {
        f"{kind}{metric}"
        for metric in EVERY
        if metric not in DEFAULT_METRICS
        for kind in ("", "pgr_", "gain_", "gap_")
        if not (kind == "pgr_" and metric == "ece")
    }


@pytest.mark.parametrize("seed", [0, None])
def test_values_are_the_metrics_and_gains_count_what_is_better(seed: int | None) -> None:
    runs = {0: trial(), 1: trial(1)}
    lines = lines_of(table_of(runs), seed)
    chosen = list(runs.values()) if seed is None else [runs[seed]]
    for metric, entry in METRICS.items():
        value = {
            name: float(np.mean([entry(run.truth, run.scores[name]) for run in chosen])) for name in chosen[0].scores
        }
        line = lines["student-xent", metric]
        assert line["value"] == pytest.approx(value["student-xent"])
        assert line["low"] < line["value"] < line["high"]
        assert line["low"] >= 0
        if seed is None:
            gain = entry.sign * (value["student-xent"] - value["weak"])
            assert lines["student-xent", f"gain_{metric}"]["value"] == pytest.approx(gain)
            gap = entry.sign * (value["ceiling"] - value["weak"])
            assert lines["ceiling", f"gap_{metric}"]["value"] == pytest.approx(gap)
        if entry.pgr:
            pgr = lines["student-xent", f"pgr_{metric}"]
            assert pgr["gap"] == pytest.approx(entry.sign * (value["ceiling"] - value["weak"]))
            ratio = (value["student-xent"] - value["weak"]) / (value["ceiling"] - value["weak"])
            assert pgr["value"] == pytest.approx(ratio)
            assert pgr["gap"] > 0


def test_a_seeds_pgr_is_that_of_the_public_function() -> None:
    one = trial()
    lines = lines_of(table_of({0: one}), 0)
    weak, student, ceiling = (one.scores[name] for name in ("weak", "student-xent", "ceiling"))
    for metric in ("average_precision", "brier", "log_loss"):
        found = performance_gap_recovered(one.truth, weak, student, ceiling, metric, 500)
        line = lines["student-xent", f"pgr_{metric}"]
        assert line["value"] == pytest.approx(found.value)
        assert line["high"] - line["low"] == pytest.approx(found.high - found.low, rel=0.3)
        assert line["status"] == "rows only"


def test_a_supervisor_of_hard_labels_has_no_pgr_in_log_loss_and_the_status_says_why() -> None:
    lines = lines_of(table_of({0: trial(hard=True)}), 0)
    for metric in ("log_loss", "recall_at_1_fpr", "recall_at_5_fpr"):
        line = lines["student-xent", f"pgr_{metric}"]
        assert np.isnan(line["value"])
        assert line["status"] == "hard labels; rows only"
    assert lines["student-xent", "pgr_brier"]["value"] == pytest.approx(lines["student-xent", "pgr_accuracy"]["value"])


def test_comparisons_call_the_smaller_loss_better() -> None:
    judged = {f"t{task}": {0: trial(task=task)} for task in range(6)}
    table = compare(judged, "student-xent", EVERY)
    assert list(table) == COMPARISON_COLUMNS
    assert set(table["metric"]) == {f"{kind}{m}" for m in EVERY for kind in ("", "pgr_")} - {"pgr_ece"}
    by = table[table["method"] == "student-logconf"].set_index("metric")
    for metric, entry in METRICS.items():
        values = [
            entry.sign
            * (entry(run.truth, run.scores["student-logconf"]) - entry(run.truth, run.scores["student-xent"]))
            for runs in judged.values()
            for run in runs.values()
        ]
        assert by["difference"][metric] == pytest.approx(np.mean(values))
        assert by["better"][metric] == sum(value > 0 for value in values)
        assert by["worse"][metric] == sum(value < 0 for value in values)
    assert by["difference"]["log_loss"] > 0
    assert by["better"]["log_loss"] == 6  # control: the better student is
    assert np.isnan(by["pooled_pgr"]["ece"])
    pd.testing.assert_frame_equal(
        table[table["metric"].isin(["auroc", "pgr_auroc", "accuracy", "pgr_accuracy"])].reset_index(drop=True),
        compare(judged, "student-xent").pipe(lambda one: one.reset_index(drop=True)),
    )


def test_a_recipe_names_metrics_and_a_mistyped_one_is_refused() -> None:
    recipe = small_recipe('results.metrics=["brier", "auroc"]')
    assert recipe.results.every_metric == ["auroc", "accuracy", "brier"]
    assert small_recipe().results.every_metric == list(DEFAULT_METRICS)
    with pytest.raises(InputError, match=r"results\.metrics\.0: input should be .* 'brier'"):
        small_recipe('results.metrics=["briar"]')


def test_the_report_shows_them_where_a_run_has_them(tmp_path: Path) -> None:
    write_run(tmp_path / "more", metrics=EVERY, n=60)
    write_run(tmp_path / "plain", n=60)
    page = write_report(tmp_path / "more").read_text()
    for title in ("More metrics", "Brier score", "PGR of log loss", "recall at 1 % FPR", "calibration error (ECE)"):
        assert title in page
    assert "PGR of calibration" not in page
    assert "a difference above 0 is better" in page
    assert "More metrics" not in write_report(tmp_path / "plain").read_text()
