"""Damage to any file that a report is made of is one line that names the file, and nothing is written."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analyses.report import write_report
from tests.worlds.report_folders import write_kept, write_run, write_sweep
from w2s_probes import InputError

DEEP = "[" * 100_000
GONE = object()
RUN = "a, seed 0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two tasks, a sweep, and a filtered file, each by itself; what a test damages it puts back."""
    made = tmp_path_factory.mktemp("damage")
    write_run(made / "run", ["a", "b"], n=20)
    (made / "sweep").mkdir()
    write_sweep(made / "sweep")
    write_kept(made / "kept" / "kept.jsonl")
    write_report(made, made / "whole.html").unlink()
    return made


def place(name: str) -> str:
    """Where in the folder a file lies."""
    part = name.split(".")[0]
    return f"{part if part in ('sweep', 'kept') else 'run'}/{name}"


@pytest.fixture
def damaged(folder: Path) -> Iterator[Callable[[str, bytes], str]]:
    """Replaces a file's content, and gives what the report then says, without the folder's path."""
    old: dict[Path, bytes] = {}

    def damage(name: str, content: bytes) -> str:
        file = folder / place(name)
        old.setdefault(file, file.read_bytes())
        file.write_bytes(content)
        with pytest.raises(InputError) as caught:
            write_report(folder / Path(place(name)).parts[0])
        assert not list(folder.rglob("*.html"))
        said = str(caught.value)
        assert "\n" not in said
        assert said.startswith(f"{file}: "), said
        return said.removeprefix(f"{file}: ")

    yield damage
    for file, content in old.items():
        file.write_bytes(content)


RECORDS: list[tuple[str, list[Any], list[Any]]] = [  # file, key, values that may not stand there
    ("run.json", ["recipe"], [None, [], "x", {}, GONE]),
    ("run.json", ["recipe", "seeds"], [None, [], "x", ["x"], GONE]),
    ("run.json", ["recipe", "baseline"], [None, 5]),
    ("run.json", ["recipe", "weak"], [None, "x", {}]),
    ("run.json", ["recipe", "weak", "n_truth"], ["x", None]),
    ("run.json", ["recipe", "strong", "model"], [None, 3, GONE]),
    ("run.json", ["recipe", "student", "loss"], [None, [], GONE]),
    ("run.json", ["recipe", "probes"], [None, [1], {"knn_k": None}]),
    ("run.json", ["versions"], [None, [1], "x", GONE]),
    ("run.json", ["models"], [None, [1], "x"]),
    ("run.json", ["rows"], [None, [1], "x"]),
    ("run.json", ["runs"], [None, [], "x", {}, {"a": {}}, {"a, seed x": {}}]),
    ("run.json", ["runs"], [{f"{task}, seed 0": {}} for task in ("../../../private", "..", "a/b", "/etc/x", "a\0b")]),
    ("run.json", ["runs", RUN, "methods"], [{"../../private": {}}, {"": {}}]),
    ("run.json", ["runs", RUN, "taken"], [{"filter-../../x": {"seconds": 1.0, "made": {}}}]),
    ("run.json", ["files"], [None, [], {"results.csv": 3}]),
    ("run.json", ["checksum"], [None, 3]),
    ("run.json", ["runs", RUN], [None, [], "x"]),
    ("run.json", ["runs", RUN, "splits"], [None, [1], "x", {"test": {}}]),
    ("run.json", ["runs", RUN, "methods"], [None, [1], "x", {"filter-knn": 1}]),
    ("run.json", ["runs", RUN, "taken"], [None, [1], "x", {"weak": "x"}, {"weak": {"seconds": float("nan")}}]),
    ("run.json", ["runs", RUN, "taken", "weak", "made"], [None, [1], "x", {"trained": "x"}, GONE]),
    ("run.json", ["failed"], [None, "x", [1], [{}]]),
    ("run.json", ["seconds"], [None, "x", [1]]),
    ("sweep.json", ["best"], [3, None, [3], [{}]]),
    ("sweep.json", ["best", 0, "held_out"], [None, {"auroc_gain": [1]}, {"auroc_gain": "abc"}]),
    ("sweep.json", ["labels"], [[], None, {"weak-labels": {}}]),
    ("sweep.json", ["versions"], [None, [1]]),
    ("sweep.json", ["grid"], [None, {"knn_k": ["x"]}]),
]


@pytest.mark.parametrize(
    ("name", "path", "values"), RECORDS, ids=[f"{n} {'.'.join(map(str, p))}" for n, p, _ in RECORDS]
)
def test_a_record_with_a_wrong_value_is_named_with_its_key(
    name: str, path: list[Any], values: list[Any], folder: Path, damaged: Callable[[str, bytes], str]
) -> None:
    whole = (folder / place(name)).read_text()
    for value in values:
        record = json.loads(whole)
        inner = record
        for step in path[:-1]:
            inner = inner[step]
        if value is GONE:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
        said = damaged(name, json.dumps(record).encode())
        assert said.startswith(".".join(map(str, path))) or "not the record of a run" in said


@pytest.mark.parametrize("name", ["run.json", "sweep.json"])
def test_a_record_that_is_no_json_object_is_named(name: str, damaged: Callable[[str, bytes], str]) -> None:
    for content in ("", "{", "[]", "null", DEEP, '{"best": "\\ud800"}'):
        assert damaged(name, content.encode())
    assert "not valid JSON" in damaged(name, b"\xff\xfe")


CELLS = [  # file, column, values that no cell of it may hold
    ("results.csv", "value", ["x", "inf", "1e400"]),
    ("results.csv", "low", ["x"]),
    ("results.csv", "high", ["x"]),
    ("results.csv", "seed", ["x", "inf", "0.5"]),
    ("results.csv", "status", [""]),
    ("results.csv", "task", [""]),
    ("results.csv", "method", ["", "unknown"]),
    ("results.csv", "metric", ["", "unknown"]),
    ("results.csv", "oracle", ["x", ""]),
    ("comparisons.csv", "tasks", ["x", "", "inf"]),
    ("comparisons.csv", "difference", ["x", "inf"]),
    ("comparisons.csv", "p_wilcoxon_holm", ["x", "7"]),
    ("comparisons.csv", "better", ["x", "0.5"]),
    ("comparisons.csv", "metric", ["", "unknown"]),
    ("sweep.csv", "value", ["x", "inf"]),
    ("sweep.csv", "low", ["x"]),  # infinite where a side of a PGR is open
    ("sweep.csv", "seed", ["x", "inf"]),
    ("sweep.csv", "layer", ["x", "inf"]),
    ("sweep.csv", "k", ["x", "inf"]),
    ("sweep.csv", "rows", ["", "unknown"]),
    ("sweep.csv", "metric", ["", "unknown"]),
    ("predictions/a-0.csv", "truth", ["x", ""]),
    ("predictions/a-0.csv", "student-xent", ["x", "", "inf"]),
]


@pytest.mark.parametrize(("name", "column", "values"), CELLS, ids=[f"{n} {c}" for n, c, _ in CELLS])
def test_a_damaged_cell_is_named_by_file_row_and_column(
    name: str, column: str, values: list[str], folder: Path, damaged: Callable[[str, bytes], str]
) -> None:
    whole = list(csv.reader(io.StringIO((folder / place(name)).read_text())))
    at = whole[0].index(column)
    for value in values:
        for rows in ([3], range(1, len(whole))):
            lines = [[*line] for line in whole]
            for row in rows:
                lines[row][at] = value
            written = io.StringIO()
            csv.writer(written, lineterminator="\n").writerows(lines)
            said = damaged(name, written.getvalue().encode())
            assert said.startswith(f"row {rows[0]}: {column} ")


def test_a_comparison_that_lacks_the_tasks_it_is_above_on_is_named(
    folder: Path, damaged: Callable[[str, bytes], str]
) -> None:
    whole = list(csv.DictReader(io.StringIO((folder / place("comparisons.csv")).read_text())))
    compared = next(row for row, line in enumerate(whole) if line["difference"])
    whole[compared]["better"] = ""
    written = io.StringIO()
    writer = csv.DictWriter(written, list(whole[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(whole)
    assert damaged("comparisons.csv", written.getvalue().encode()).startswith(f"row {compared + 1}: better is empty")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("truth", "x"),
        ("truth", 7),
        ("p", "x"),
        ("p", 2),
        ("label", "x"),
        ("label", None),
        ("score", []),
        ("new_label", "x"),
    ],
)
def test_a_filtered_file_with_a_text_for_a_number_is_named(
    column: str, value: object, folder: Path, damaged: Callable[[str, bytes], str]
) -> None:
    first, *others = (folder / "kept" / "kept.jsonl").read_text().splitlines(keepends=True)
    line = json.loads(first) | {column: value}
    said = damaged("kept.jsonl", (json.dumps(line) + "\n" + "".join(others)).encode())
    assert column in said
    assert "row" in said


def test_truth_may_be_missing_on_some_rows_and_newer_keys_in_an_old_record(folder: Path, tmp_path: Path) -> None:
    for name in ("recipe.toml", "results.csv", "comparisons.csv"):
        (tmp_path / name).write_bytes((folder / "run" / name).read_bytes())
    record = json.loads((folder / "run" / "run.json").read_text())
    for name in ("failed", "models", "rows", "seconds"):
        del record[name]
    for made in record["runs"].values():
        del made["taken"]
    del record["recipe"]["baseline"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    lines = [json.loads(line) for line in (folder / "kept" / "kept.jsonl").read_text().splitlines()]
    del lines[0]["truth"]
    lines[1]["truth"] = None
    (tmp_path / "kept.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "kept.jsonl" in write_report(tmp_path).read_text()


def test_a_folder_in_the_place_of_a_record_is_not_passed_over(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    (tmp_path / "sweep.json").unlink()
    (tmp_path / "sweep.json").mkdir()
    with pytest.raises(InputError, match=r"sweep\.json: no file"):
        write_report(tmp_path)


def test_a_fault_of_the_page_is_not_said_to_be_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("analyses.report.page.run_view", fail)
    with pytest.raises(KeyError, match="a bug"):
        write_report(folder)
    assert not list(folder.rglob("*.html"))


def test_what_is_wrong_with_files_together_names_the_folder_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InputError("kept.jsonl: row 1:\nis of no kind")

    monkeypatch.setattr("analyses.report.page.cards", refuse)
    with pytest.raises(InputError) as caught:
        write_report(folder)
    assert str(caught.value) == f"{folder}: kept.jsonl: row 1: is of no kind"


def test_the_page_goes_into_an_html_file_and_into_no_other(folder: Path, tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    (tmp_path / "made.html").mkdir()
    for out in (folder / "run" / "results.csv", folder / "kept" / "kept.jsonl", tmp_path, tmp_path / "made.html"):
        with pytest.raises(InputError, match=r"must end in \.html or \.htm|is a folder") as caught:
            write_report(folder, out)
        assert str(caught.value).startswith(f"{out}: ")
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert write_report(folder, tmp_path / "page.HTM").is_file()
