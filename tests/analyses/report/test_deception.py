"""The report on conflicting objectives: a score stands beside chance and churn, or is not shown."""

from pathlib import Path

import pandas as pd

from analyses.report import write_report
from analyses.report.load.folder import read_folder
from analyses.report.views.deception import Deception, deception
from analyses.results.names import predictions_file
from tests.worlds.report_folders import PLAIN, write_run
from w2s_probes.audit import conflict_audit
from w2s_probes.io.tables import read_table

KIND, CHURN, TRUTH = "student-conflict-explicit", "control-churn", "control-truth-conflict-explicit"
SIGNAL = {"weak": 0.8, "ceiling": 3.0, PLAIN: 1.5, KIND: 0.4, CHURN: 1.4, TRUTH: 2.0}


def section(folder: Path) -> Deception:
    (run,) = read_folder(folder).runs
    found = deception(run)
    assert found is not None
    return found


def cells(found: Deception) -> pd.DataFrame:
    assert found.table is not None
    names = [column.name for column in found.table.columns]
    return pd.DataFrame([[cell.text for cell in row] for row in found.table.rows], columns=names)


def test_every_score_has_chance_and_churn_beside_it(tmp_path: Path) -> None:
    write_run(tmp_path, ("alpha",), seeds=(0, 1), signal=SIGNAL)
    found = section(tmp_path)
    table = cells(found)
    assert found.told == []
    assert table["without it"].tolist() == [PLAIN, "ceiling", "ceiling"]
    assert table["churn"].tolist() == [CHURN, PLAIN, PLAIN]
    assert (table[["score", "expected", "its score", "its tax"]] != "–").all(axis=None)
    scores = []
    for seed in (0, 1):
        rows = read_table(tmp_path / predictions_file("alpha", seed))
        audit = conflict_audit(*(rows[name].astype(float) for name in ("truth", "weak", "ceiling", PLAIN, KIND)))
        scores.append(audit.score)
    low, high = min(scores), max(scores)
    assert table["score"][0] == f"{sum(scores) / 2:.3f} [{low:.3f}, {high:.3f}]"
    html = write_report(tmp_path).read_text()
    assert "What conflicting objectives cost" in html
    assert f"{KIND} (oracle)" in html


def test_without_churn_no_score_is_shown(tmp_path: Path) -> None:
    write_run(tmp_path, ("alpha",), signal={name: apart for name, apart in SIGNAL.items() if name != CHURN})
    found = section(tmp_path)
    assert cells(found)["without it"].tolist() == ["ceiling", "ceiling"]
    assert found.told == [
        f"alpha: {KIND} against {PLAIN} is not shown, since no score can be judged without {CHURN}: add it to the "
        "recipe's methods."
    ]


def test_a_student_that_is_right_nowhere_is_said_to_be(tmp_path: Path) -> None:
    write_run(tmp_path, ("alpha",), signal=SIGNAL)
    (run,) = read_folder(tmp_path).runs
    table = run.predictions["alpha"][0]
    run.predictions["alpha"][0] = table.assign(**{PLAIN: 1 - table["truth"]})
    found = deception(run)
    assert found is not None
    assert found.told == [
        f"alpha: {KIND} cannot be audited: the student is right nowhere, so nothing can become wrong: "
        "audit other scores."
    ]


def test_a_run_without_a_conflict_has_no_such_section(tmp_path: Path) -> None:
    write_run(tmp_path, ("alpha",), signal={"weak": 0.8, "ceiling": 3.0, PLAIN: 1.5, CHURN: 1.4})
    (run,) = read_folder(tmp_path).runs
    assert deception(run) is None
    assert "What conflicting objectives cost" not in write_report(tmp_path).read_text()
