"""The checks of GPUs on torch's own device, at small sizes, and what becomes of those that fail, die or hang."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.gpu_check.__main__ import main
from tests.gpu_check.checks import Finding, Setting
from tests.gpu_check.gpu_report import write
from tests.gpu_check.groups import GROUPS, checks_of
from tests.gpu_check.processes import run_group


def test_every_check_runs_without_a_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--device", "cpu", "--size", "small", "--one-process", "--work", str(tmp_path)]
    assert main([*options, "--out", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out" / "gpu-check.json").read_text())
    findings = [Finding(**finding) for finding in record["findings"]]
    assert {finding.check for finding in findings} == {c.name for module in GROUPS.values() for c in checks_of(module)}
    statuses = Counter(finding.status for finding in findings)
    assert set(statuses) == {"pass", "measured"}
    assert statuses["pass"] >= 12  # numbers are judged here as on a GPU; speeds are not
    assert record["counts"]["pass"] == statuses["pass"]
    table = (tmp_path / "out" / "gpu-check.md").read_text()
    assert table == capsys.readouterr().out
    assert len([line for line in table.splitlines() if line.startswith("| ")]) == len(findings) + 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # models and stores are gone


def test_a_check_that_fails_hangs_or_dies_hides_no_other(tmp_path: Path) -> None:
    setting = Setting("cpu", "small", tmp_path)
    told = run_group("planted", "tests.worlds.planted_checks", setting, time.monotonic() + 100, about=False)
    said = {finding.check: finding for finding in told.findings}
    assert len(told.findings) == 16
    assert {name: finding.status for name, finding in said.items() if not name.startswith("process")} == {
        "passes": "measured",
        "misses": "measured",
        "fails": "failed",
        "spoils": "failed",
        "is killed": "failed",
        "takes too long": "failed",
        "would take an hour": "left out",
        "finds nothing": "failed",
    }
    assert [f.status for f in told.findings if f.check == "passes"] == ["pass", "measured"]
    assert [f.status for f in told.findings if f.check == "misses"] == ["miss", "measured"]
    assert said["fails"].said == "ValueError: of shapes that differ"
    assert "SIGKILL" in said["is killed"].said
    assert "longer than the 0 s" in said["takes too long"].said
    processes = [finding.ours for finding in told.findings if finding.check.startswith("process")]
    assert len(processes) == 4
    assert len(set(processes)) == 3  # a new one after what spoiled or killed its own, and only then
    page = write(tmp_path / "out", told.machine, told.findings, 1.0)
    assert "1 pass, 1 miss, 5 failed, 1 left out" in page
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == 17
    assert all(row.count("|") == 10 for row in rows)


def test_what_no_time_is_left_for_is_named(tmp_path: Path) -> None:
    told = run_group("planted", "tests.worlds.planted_checks", Setting("cpu", "small", tmp_path), time.monotonic())
    assert [(finding.check, finding.status) for finding in told.findings] == [("planted", "left out")]
