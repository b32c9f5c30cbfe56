"""The report on gates: beside the plain student and their own controls, and what is said where these are missing."""

from pathlib import Path

import pytest

from analyses.report.load.folder import read_folder
from analyses.report.page import page
from analyses.report.views.differences import difference
from analyses.report.views.gates import gate_view
from analyses.results.names import trial_key
from tests.worlds.report_folders import SIGNAL, write_run

AVERAGE, SHUFFLED = "control-gate-average", "control-gate-shuffled"
GATED = SIGNAL | {"gate-entropy": 2.0, AVERAGE: 1.9, SHUFFLED: 1.5, "gate-ceiling": 3.5}


def test_a_gate_stands_beside_its_own_controls(tmp_path: Path) -> None:
    write_run(tmp_path, ["alpha"], seeds=(0, 1), signal=GATED | {"mowst": 1.2, "control-trusted": 1.1})
    (run,) = read_folder(tmp_path).runs
    for seed, share in ((0, 0.2), (1, 0.4)):
        run.record["runs"][trial_key("alpha", seed)]["methods"]["gate-entropy"] = {"weak_share": share}
    view = gate_view(run)
    assert view is not None
    assert view.lines == []
    by = {row[1].text: row for row in view.table.rows}
    assert list(by) == ["gate-entropy", "gate-ceiling (oracle)", "mowst"]
    line = by["gate-entropy"]
    assert line[3].text == "0.30"
    for column, control in ((5, "student-xent"), (6, AVERAGE), (7, SHUFFLED)):
        found = difference(run.predictions["alpha"], "gate-entropy", control)
        assert found is not None
        assert line[column].value == pytest.approx(found.estimate.value)
    assert line[8].value is None
    assert by["mowst"][8].value is not None
    assert "Gates between supervisor and student" in page(read_folder(tmp_path))


def test_what_is_missing_beside_a_gate_is_said(tmp_path: Path) -> None:
    write_run(tmp_path, ["alpha"], signal=SIGNAL | {"gate-entropy": 2.0, "gate-variance": 2.0, "mowst": 1.2})
    html = page(read_folder(tmp_path))
    assert "Run without both controls of its own (control-gate-average:gate-entropy, " in html
    assert "Without control-trusted nothing says what the trusted rows of mowst would teach" in html
    assert "Without gate-ceiling nothing says what a gate could reach" in html


def test_a_run_without_gates_has_no_such_section(tmp_path: Path) -> None:
    write_run(tmp_path, ["alpha"])
    assert gate_view(read_folder(tmp_path).runs[0]) is None
    assert "Gates between" not in page(read_folder(tmp_path))
