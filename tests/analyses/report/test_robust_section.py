"""The report's section of students that were tried on every family of errors."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from analyses.report import write_report
from analyses.report.load.folder import read_folder
from analyses.report.load.places import find_runs
from analyses.robustness.robust_files import GREEDY, PAYOFF, REPLAYED, ROBUST_RECORD, STUDENTS_CHOSEN
from analyses.robustness.robust_run import run_robust
from tests.analyses.robustness.conftest import robust_recipe
from w2s_probes.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("robust")
    run_robust(robust_recipe("seeds=[0]", "robustness.families=random,longest"), out)
    return out


def test_the_section_shows_every_student_attack_and_replay(folder: Path) -> None:
    page = write_report(folder, folder / "page.html").read_text()
    students = pd.read_csv(folder / STUDENTS_CHOSEN)
    assert "Under every family of errors" in page
    for name in (*students["student"], *students["best_at"], "random@0.3", "hedge", "exp3 as published", "minimax"):
        assert name in page
    for value in students["mean"]:
        assert f"{value:.3f}" in page
    assert "One seed tells nothing of the luck of a training" in page
    assert page.count("Regret, ") >= 4
    assert "Hedge&#39;s bound" in page
    assert re.search(r"<svg[^>]*u0-margins", page)
    assert write_report(folder, folder / "again.html").read_bytes() == (folder / "page.html").read_bytes()


def test_a_folder_of_it_is_no_unfinished_run(folder: Path) -> None:
    assert read_folder(folder).unfinished == []
    assert find_runs(folder).unfinished == []
    assert find_runs(folder).finished == []


def test_what_has_changed_since_is_said(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "r", ignore=shutil.ignore_patterns("kept", "activations"))
    table = pd.read_csv(tmp_path / "r" / REPLAYED)
    table.assign(regret=table["regret"] / 2).to_csv(tmp_path / "r" / REPLAYED, index=False)
    said: list[str] = []
    write_report(tmp_path / "r", warn=said.append)
    assert len(said) == 1
    assert REPLAYED in said[0]
    assert "w2s robust" in said[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (PAYOFF, "held-out", "elsewhere", "is not known"),
        (STUDENTS_CHOSEN, "margin", "margn", "has no column 'margin'"),
        (GREEDY, "True", "maybe", "neither true nor false"),
        (ROBUST_RECORD, '"rounds"', '"round"', "rounds"),
        (ROBUST_RECORD, "{", "[", "robust.json"),
    ],
    ids=range(5),
)
def test_a_damaged_file_is_named(folder: Path, tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    shutil.copytree(folder, tmp_path / "r", ignore=shutil.ignore_patterns("kept", "activations"))
    content = (tmp_path / "r" / file).read_text()
    assert old in content
    (tmp_path / "r" / file).write_text(content.replace(old, new))
    with pytest.raises(InputError, match=message):
        write_report(tmp_path / "r")
    assert not (tmp_path / "r" / "report.html").exists()


def test_a_missing_table_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "r", ignore=shutil.ignore_patterns("kept", "activations"))
    (tmp_path / "r" / PAYOFF).unlink()
    with pytest.raises(InputError, match=r"payoff\.csv: missing beside robust\.json"):
        write_report(tmp_path / "r")
