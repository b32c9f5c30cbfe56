"""One table over many runs: what is found, what is kept, and what each format holds."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from analyses.results.names import RESULTS
from analyses.tables import collect_results, write_results
from analyses.tables.write import readable
from tests.worlds.report_folders import write_run
from w2s_probes.errors import InputError
from w2s_probes.io.tables import read_table


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two seeds, a ladder's two pairs of one seed, a run that has begun, and a sweep's folder."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "mine", ["alpha", "beta"], seeds=(0, 1))
    for pair in ("s--m", "s--l"):
        write_run(folder / "ladder" / pair, ["alpha"], no_gap="alpha" if pair == "s--m" else "")
    (folder / "begun" / "labels").mkdir(parents=True)
    return folder


def test_every_line_of_every_run_is_there_under_its_folder(runs: Path) -> None:
    found = collect_results([runs])
    assert found.runs == [f"{runs}/ladder/s--l", f"{runs}/ladder/s--m", f"{runs}/mine"]
    assert found.unfinished == [f"{runs}/begun"]
    for name, part in found.table.groupby("run"):
        own = pd.read_csv(Path(str(name)) / RESULTS, keep_default_na=False, na_values=[""])
        assert list(part.columns) == ["run", *own.columns]
        assert len(part) == len(own)
        pd.testing.assert_series_equal(part["value"].reset_index(drop=True), own["value"])
    again = collect_results([runs / "mine", runs, runs / "ladder" / "s--m"])  # a run that is found twice counts once
    assert len(again.table) == len(found.table)
    assert again.runs[0] == f"{runs}/mine"


def test_metrics_methods_and_lines_over_seeds_alone(runs: Path) -> None:
    table = collect_results([runs], metrics=["auroc"], methods=["weak", "student-xent"], over_seeds=True).table
    assert set(table["metric"]) == {"auroc"}
    assert set(table["method"]) == {"weak", "student-xent"}
    mine = table[table["run"] == f"{runs}/mine"]
    assert mine["seed"].isna().all()
    assert (mine["seeds"] == 2).all()
    assert (table[table["run"] != f"{runs}/mine"]["seed"] == 0).all()  # of a run with one seed its own
    assert len(table) == 2 * 2 + 2 * 2  # tasks or runs times methods


def test_values_stand_with_their_intervals_in_the_tables_for_people(runs: Path, tmp_path: Path) -> None:
    table = collect_results([runs], metrics=["auroc", "pgr_auroc"], over_seeds=True).table
    write_results(table, tmp_path / "t.md")
    write_results(table, tmp_path / "t.tex")
    lines = (tmp_path / "t.md").read_text().splitlines()
    first = table.iloc[0]
    cell = f"{first['value']:.2f} [{first['low']:.2f}, {first['high']:.2f}]"
    assert cell in lines[2]
    assert len(lines) == len(table) + 2
    assert {line.count("|") for line in lines} == {lines[0].count("|")}
    assert "| – |" in "\n".join(lines)  # a PGR that is undefined
    assert "low" not in lines[0]
    assert "l2" not in lines[0]  # empty throughout
    assert "test_set" not in lines[0]  # the tasks' own throughout
    assert "test_set" in readable(pd.concat([table, table.assign(test_set="hard")]))
    latex = (tmp_path / "t.tex").read_text()
    assert latex.count(r"\\") == len(table) + 1
    assert all(rule in latex for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"pgr\_auroc", cell))
    assert latex.count("&") == (len(table) + 1) * (lines[0].count("|") - 2)


def test_other_formats_hold_every_number(runs: Path, tmp_path: Path) -> None:
    table = collect_results([runs]).table
    for ending in ("csv", "jsonl", "parquet"):
        write_results(table, tmp_path / f"t.{ending}")
        back = read_table(tmp_path / f"t.{ending}")
        values = pd.to_numeric(back["value"], errors="coerce").to_numpy(dtype=float)
        assert values == pytest.approx(table["value"].to_numpy(dtype=float), nan_ok=True)


def test_signs_that_a_format_obeys_are_escaped(tmp_path: Path) -> None:
    hostile = r"a|b*c_d &%$#_{x}~^\ <b>"
    table = pd.DataFrame({"run": [hostile], "method": "_x_", "value": -0.001, "low": float("-inf"), "high": 0.5})
    assert readable(table)["value [95 %]"].tolist() == ["0.00 [-∞, 0.50]"]
    write_results(table, tmp_path / "t.md")
    write_results(table, tmp_path / "t.tex")
    row = (tmp_path / "t.md").read_text().splitlines()[2]
    assert len(re.findall(r"(?<!\\)\|", row)) == 4
    assert r"a\|b\*c_d" in row
    assert r"\_x\_" in row
    assert r"\<b\>" in row
    latex = (tmp_path / "t.tex").read_text().splitlines()[-3]
    expected = r"a|b*c\_d \&\%\$\#\_\{x\}\textasciitilde{}\textasciicircum{}\textbackslash{} <b>"
    assert latex.startswith(expected)
    assert r"-$\infty$" in latex


def test_what_is_not_there_is_refused(runs: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (([tmp_path / "none"],), "no such folder"),
        (([tmp_path],), "no finished run in it"),
        (([runs / "begun"],), "has not finished"),
    ):
        with pytest.raises(InputError, match=said):
            collect_results(*arguments)
    with pytest.raises(InputError, match="the metric 'aurco': did you mean 'auroc'"):
        collect_results([runs], metrics=["aurco"])
    with pytest.raises(InputError, match="the method 'student-xnt': did you mean 'student-xent'"):
        collect_results([runs], methods=["student-xnt"])
    with pytest.raises(InputError, match=r"t\.txt: unknown format; the name must end in one of \.jsonl, .*\.md, \.tex"):
        write_results(pd.DataFrame({"run": ["a"]}), tmp_path / "t.txt")
    shutil.copytree(runs / "mine", tmp_path / "damaged")
    (tmp_path / "damaged" / RESULTS).write_text("task\n")
    with pytest.raises(InputError, match=r"results\.csv: (has no column|holds no rows)"):
        collect_results([tmp_path / "damaged"])
