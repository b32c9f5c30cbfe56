"""A PGR that is undefined or unstable says why and what to do: in results, in a run's answer, in the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.results.table import results_table, seed_rows, task_rows
from analyses.results.unreadable_pgr import remedies, unreadable_pgr
from tests.analyses.report.test_page import reported
from tests.analyses.results.test_table import judged
from tests.worlds.report_folders import PLAIN, write_run
from w2s_probes.cli import terminal
from w2s_probes.cli.commands import run as command
from w2s_probes.metrics.recovery import LEAST_GAP, GapRecovered, performance_gap_recovered, status_reason
from w2s_probes.metrics.recovery_over_seeds import gap_recovered_over_seeds

ABOVE = {"weak": 2.0, "ceiling": 0.3, PLAIN: 1.0}  # the supervisor is better than what was to be its ceiling
SMALL = {"weak": 0.8, "ceiling": 0.9, PLAIN: 0.85}
PLENTY = {"weak": 0.3, "ceiling": 2.0, PLAIN: 1.0}


def table_of(tasks: dict[str, dict[str, float]], seeds: int = 1) -> pd.DataFrame:
    lines: list[dict[str, Any]] = []
    for task, quality in tasks.items():
        runs = {seed: judged(quality, seed) for seed in range(seeds)}
        lines += task_rows(task, runs, 100)
    return results_table(lines)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("quality", [ABOVE, SMALL, PLENTY])
def test_the_reason_is_the_one_that_the_gap_gives(quality: dict[str, float], seed: int) -> None:
    one = judged(quality, seed)
    weak, student, ceiling = (one.scores[name] for name in ("weak", PLAIN, "ceiling"))
    found = performance_gap_recovered(one.truth, weak, student, ceiling, n_boot=200)
    assert found.gap_low < found.gap < found.gap_high
    numbers = f"(gap {found.gap:+.3f} [{found.gap_low:+.3f}, {found.gap_high:+.3f}])"
    if found.gap < -LEAST_GAP:
        assert (found.status, found.reason) == ("undefined", f"the ceiling is below the supervisor {numbers}")
        assert found.remedy.startswith("another layer or position")
    elif found.status == "unstable":
        assert found.reason == f"the gap between supervisor and ceiling is too small beside its error {numbers}"
        assert found.remedy.startswith("more test rows")
    else:
        assert (found.reason, found.remedy) == ("", "")
    pooled = gap_recovered_over_seeds(one.truth, [{"weak": weak, "s": student, "ceiling": ceiling}]).recovered["s"]
    assert bool(pooled.reason) == (pooled.status in ("undefined", "unstable"))
    assert pooled.reason == "" or f"(gap {pooled.gap.value:+.3f} [" in pooled.reason


def test_an_equal_ceiling_and_an_error_that_is_not_known_have_reasons_of_their_own() -> None:
    truth, scores = np.tile([0.0, 1.0], 20), np.random.default_rng(0).random(40)
    equal = performance_gap_recovered(truth, scores, scores, scores, n_boot=50)
    assert equal.reason.startswith("the ceiling equals the supervisor (gap +0.000 [")
    better = np.clip(scores + 0.5 * truth, 0, 1)
    lonely = performance_gap_recovered(truth, scores, scores, better, n_boot=50, groups=["one"] * 40)
    assert lonely.status == "unstable"
    assert lonely.reason.startswith("the error of the gap is unknown: a single row, or group, of a class (gap +")
    assert GapRecovered(0.5, 0.4, 0.6, 0.1, "ok").reason == ""


def test_results_hold_the_gap_of_each_pgr_and_the_reason_is_read_from_them() -> None:
    table = table_of({"above": ABOVE, "plenty": PLENTY}, seeds=3)
    pgr = table[table["metric"].str.startswith("pgr_")]
    assert pgr["gap"].notna().all()
    assert (pgr["gap_low"] < pgr["gap"]).all()
    assert table[~table["metric"].str.startswith("pgr_")]["gap"].isna().all()
    values = table[(table["metric"] == "auroc") & table["seed"].isna() & (table["task"] == "above")]
    by = values.set_index("method")["value"]
    (found,) = unreadable_pgr(table)
    assert (found.task, found.status, found.methods) == ("above", "undefined", (PLAIN,))
    assert f"gap {by['ceiling'] - by['weak']:+.3f} [" in found.reason
    assert found.line == f"above: PGR is undefined: {found.reason}."
    assert remedies([found]) == [
        "Where PGR is undefined, try another layer or position, a stronger strong model, or a weaker supervisor."
    ]


def test_files_of_before_they_held_gaps_give_what_the_status_means_and_no_number() -> None:
    old = table_of({"above": ABOVE}).drop(columns=["gap", "gap_low", "gap_high"])
    (found,) = unreadable_pgr(old)
    assert found.reason == "the ceiling is not above the supervisor"
    assert (
        status_reason("unstable; rows only") == "the gap between supervisor and ceiling is too small beside its error"
    )


def test_methods_with_a_ceiling_of_their_own_are_named() -> None:
    one = judged({"weak": 1.0, "ceiling": 0.3, "ceiling-knn": 3.0, PLAIN: 0.5, "probe-knn": 2.0})
    own = type(one)(one.test, None, one.outcomes, one.oracles, 0, 3, {"probe-knn": "ceiling-knn"})
    (found,) = unreadable_pgr(results_table(seed_rows("t", own, 100)))
    assert found.methods == (PLAIN,)
    assert f"t: PGR is undefined for {PLAIN}: the ceiling is below the supervisor (gap -" in found.line


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_the_report_says_it_in_the_headline_the_facts_and_the_table(seeds: tuple[int, ...], tmp_path: Path) -> None:
    signal = {"weak": 3.0, "ceiling": 0.8, PLAIN: 1.5, "filter-knn": 1.6, "control-random:filter-knn": 1.5}
    write_run(tmp_path / "one", ["alpha"], seeds=seeds, signal=signal)
    read = reported(tmp_path / "one")
    assert "PGR is undefined: the ceiling is below the supervisor (gap −0." in read.text
    assert "Where PGR is undefined, try another layer or position, a stronger strong model" in read.text
    assert read.row("alpha", PLAIN)[5] == "undefined: ceiling not above weak"
    write_run(tmp_path / "all", ["alpha", "beta"], seeds=seeds, signal=signal)
    read = reported(tmp_path / "all")
    assert "PGR is undefined on alpha, beta, where the ceiling is not above the supervisor. " in read.text
    signals = {"weak": 0.8, "ceiling": 3.0, PLAIN: 1.5}
    write_run(tmp_path / "some", ["alpha", "beta", "gamma"], seeds=seeds, signal=signals, no_gap="beta", n=60)
    read = reported(tmp_path / "some")
    level = "beta: PGR is undefined: the ceiling equals the supervisor (gap +0.000"
    others = "PGR is undefined on beta, where the ceiling is not above the supervisor; unstable on "
    headline = level if len(seeds) == 1 else others  # two seeds leave the error of the other gaps uncertain
    assert f"Nothing is compared: no method was run beside the plain student ({PLAIN}). {headline}" in read.text
    assert read.text.count(level) == (2 if len(seeds) == 1 else 1)  # in the headline, and among its facts
    assert "Where PGR is undefined, try" in read.text


def test_a_run_says_it_below_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path, ["alpha", "beta"], signal=ABOVE)
    said: list[str] = []
    monkeypatch.setattr(terminal, "say", lambda text: said.append(str(text)))
    monkeypatch.setattr(terminal, "show", lambda *a, **more: said.append("TABLE"))
    recipe = json.loads((tmp_path / "run.json").read_text())["recipe"]
    stand_in: Any = type("Recipe", (), {"seeds": [0], "baseline": PLAIN, "methods": recipe["methods"]})()
    stand_in.data = type("Data", (), recipe["data"] | {"tasks": ["alpha", "beta"]})()
    command._show(stand_in, pd.read_csv(tmp_path / "results.csv"), tmp_path)
    after = said[said.index("TABLE") + 1 :]
    assert after[0].startswith("alpha: PGR is undefined: the ceiling is below the supervisor (gap -0.")
    assert after[1].startswith("beta: PGR is undefined")
    assert after[2].startswith("Where PGR is undefined, try another layer or position")
    assert not any("nan" in line for line in said)
