"""The section on gold rows: budgets beside their controls, a curve, and what gold rows have chosen."""

from pathlib import Path

import pandas as pd
import pytest

from analyses.report.load.folder import read_folder
from analyses.report.views.gold_budget import GoldView, gold_view
from analyses.report.views.runs import run_view
from analyses.results.gold_tables import budget_table
from tests.worlds.report_folders import PLAIN, write_run

SIGNAL = {
    "weak": 0.8,
    "ceiling": 3.0,
    PLAIN: 1.5,
    "control-gold-alone:20": 1.0,
    "control-gold-weak:gold-append:20": 1.5,
}
SIGNAL |= {"gold-append:20": 2.0, "gold-append:60": 2.5, "gold-select-knn:20": 1.6, "gold-select-knn:60": 1.6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("gold")
    write_run(made, ("alpha",), seeds=(0, 1), signal=SIGNAL)
    return made


@pytest.fixture(scope="module")
def view(folder: Path) -> GoldView:
    (run,) = read_folder(folder).runs
    found = gold_view(run, "r0")
    assert found is not None
    return found


def test_each_budget_stands_beside_the_controls_that_were_run(view: GoldView) -> None:
    names = [column.name for column in view.table.columns]
    lines = {row[1].text: dict(zip(names, (cell.text for cell in row), strict=True)) for row in view.table.rows}
    append = lines["gold-append:20"]
    assert (append["true labels"], append["weak labels"], append["cost"]) == ("20", "100", "21")
    assert append["− gold rows alone [95 %]"].startswith("+")
    assert append["− by weak labels [95 %]"].startswith("+")
    assert lines["gold-append:60"]["− gold rows alone [95 %]"] == "–"  # control-gold-alone:60 was not run
    assert lines[PLAIN]["cost"] == lines["control-gold-weak:gold-append:20"]["cost"] == "1.2"
    assert "gold-append:60" in view.lines[0]
    assert "gold-append:20" not in view.lines[0]


def test_students_begin_at_the_plain_student_and_a_probe_does_not(view: GoldView) -> None:
    (figure,) = view.figures
    said = str(figure.svg).partition("AUROC over cost of all labels.")[2].partition("<")[0]
    append, probe = (said.partition(f" {use}: ")[2].partition(";")[0] for use in ("append", "select-knn"))
    assert " at 1.2," in append  # of the plain student: 120 weak labels at .01
    assert " at 21," in probe
    assert " at 1.2" not in probe


def test_a_method_of_ones_own_is_a_use_of_its_own_and_not_the_plain_student() -> None:
    values = {"task": "t", "test_set": "test", "seed": 0, "metric": "auroc", "value": 0.9, "seeds": 1, "status": "ok"}
    results = pd.DataFrame([values | {"method": name} for name in (PLAIN, "gold-append:20", "mine", "filter-knn")])
    notes = {name: {"gold_rows": 20, "weak_rows": 80} for name in ("gold-append:20", "mine")}
    made = {"methods": {**notes, "filter-knn": {"removed": 5}}, "splits": {"train": {"rows": 100}}}
    table = budget_table(results, {"t, seed 0": made}, {"gold": 2.0, "weak": 0.1}, PLAIN).set_index("method")
    assert table["use"].to_dict() == {PLAIN: "plain student", "gold-append:20": "append", "mine": "mine"}
    assert table["cost"].to_dict() == pytest.approx({PLAIN: 10, "gold-append:20": 48, "mine": 48})


def test_choices_are_counted_over_seeds(view: GoldView) -> None:
    assert view.choices is not None
    names = [column.name for column in view.choices.columns]
    line = dict(zip(names, (cell.text for cell in view.choices.rows[0]), strict=True))
    assert (line["method"], line["seeds"], line["chosen"]) == ("gold-select-knn:20", "2", "5 × 1, 50 × 1")
    assert (line["lead over the second"], line["told apart"]) == ("+0.020", "1 of 2")


def test_what_was_run_is_said_in_the_words_of_recipes(folder: Path) -> None:
    (run,) = read_folder(folder).runs
    facts = dict(run_view(run, "r0").facts)
    assert facts["Gold rows"] == "costs.gold = 1; costs.weak = 0.01"
    assert "knn_k = 20" in facts["Probes"]
    assert not any(mark in said for said in facts.values() for mark in "{}'")
    assert "attention" not in facts["Probes"]
