"""A folder of `w2s student`'s outputs: what the report says of them, of pairs of them, and of damaged ones."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.report import write_report
from analyses.report.load.folder import read_folder
from analyses.report.views.student_pairs import pairs_of
from analyses.report.views.students import students_view
from tests.analyses.report.test_page import EVIL, Read, reported
from tests.worlds.report_folders import write_kept, write_run, write_sweep
from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import InputError
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.metrics.metric_names import Metric
from w2s_probes.metrics.recovery_over_seeds import ModelMeans
from w2s_probes.students.from_files import train_student

Train = Callable[..., Path]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A store of 400 rows."""
    return planted_store(tmp_path_factory.mktemp("world") / "acts", n=400, apart=(0.3, 0.8, 1.5))


@pytest.fixture(scope="module")
def train(world: Swept) -> Train:
    """Trains a student on the first 200 rows, tests it on others, and gives its folder."""

    def run(
        folder: Path, *, layer: int = 1, test: pd.DataFrame | None = None, tested: bool = True, **more: Any
    ) -> Path:
        beside = folder.with_name(folder.name + "-files")
        write_table(world.table[:200], beside / "weak.jsonl")
        write_table(world.table[200:] if test is None else test, beside / "test.jsonl")
        file = beside / "test.jsonl" if tested else None
        train_student(world.path, beside / "weak.jsonl", layer, folder, test=file, **({"epochs": 3} | more))
        return folder

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, train: Train) -> Path:
    """Three students on the same test rows; one of them has no supervisor's labels there. A fourth has no test."""
    made = tmp_path_factory.mktemp("all") / "students"
    train(made / "one", layer=0)
    train(made / "two", layer=2)
    train(made / "kept", layer=2, loss="logconf", seed=1)  # a name that a run gives to a folder of its own
    train(made / "untested", tested=False)
    return made


def test_students_are_read_compared_and_nothing_says_that_none_was_trained(folder: Path) -> None:
    read = reported(folder)
    assert "no student was trained" not in read.text
    scores = {one.name: one.scores for one in read_folder(folder).students}
    assert list(scores) == ["kept", "one", "two", "untested"]
    for name, found in scores.items():
        if found is None:
            continue
        record = json.loads((folder / name / "student.json").read_text())
        row = read.row(name)
        for metric, number in (("auroc", row[7]), ("accuracy", row[8])):
            value, low, high = record["test"]["intervals"][metric]
            assert number == f"{value:.3f} [{low:.3f}, {high:.3f}]"
        value, low, high = record["test"]["supervisor"]["auroc"]
        assert row[9] == f"{value:.3f} [{low:.3f}, {high:.3f}]"
        assert row[6] == "200"
        assert row[5] == "180 of 200"
    head = re.search(
        r"3 of 4 students were tested: AUROC (0\.\d+) \((\w+)\) to (0\.\d+) \((\w+)\), on the same 200 test rows",
        read.text,
    )
    assert head
    values = {name: found.student["auroc"].value for name, found in scores.items() if found and found.student["auroc"]}
    assert head[2] == min(values, key=lambda name: values[name])
    assert head[4] == max(values, key=lambda name: values[name])
    assert "One training each does not tell which student is better" in read.text
    assert "two trainings of one student can differ by more" in read.text
    assert "No scores of test rows: untested. Train again with --test FILE." in read.text


def test_differences_are_paired_on_the_same_rows(folder: Path) -> None:
    pairs, told = pairs_of(read_folder(folder).students)
    assert not told
    assert [(pair.a, pair.b, pair.rows) for pair in pairs] == [
        ("kept", "one", 200),
        ("kept", "two", 200),
        ("one", "two", 200),
    ]
    a, b = (read_table(folder / name / "predictions.jsonl") for name in ("one", "two"))
    truth = a["truth"].to_numpy(dtype=float)
    runs = [{"a": a["label"].to_numpy(dtype=float), "b": b["label"].to_numpy(dtype=float)}]
    metrics: tuple[Metric, ...] = ("auroc", "accuracy")
    for metric in metrics:
        expected = ModelMeans.of(truth, runs, metric).difference("a", "b")
        found = pairs[2].differences[metric]
        assert found is not None
        assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    read = reported(folder)
    assert read.row("one", "two")[2] == "200"
    found = pairs[2].differences["auroc"]
    assert found is not None
    assert read.row("one", "two")[3].replace("−", "-") == f"{found:+.3f}"
    largest = max(pairs, key=lambda pair: abs(pair.differences["auroc"].value if pair.differences["auroc"] else 0))
    assert f"largest difference {largest.a} − {largest.b} " in read.text
    assert "for 3 pairs" not in read.text
    assert re.search(r"excludes 0 for \d of 3 pairs, each by itself, not corrected", read.text)


def test_rows_in_common_are_found_by_id_whatever_their_order(world: Swept, train: Train, tmp_path: Path) -> None:
    train(tmp_path / "all", layer=0)
    train(tmp_path / "half", layer=2, test=world.table[250:].sample(frac=1, random_state=1))
    (pair,), told = pairs_of(read_folder(tmp_path).students)
    assert (pair.rows, told) == (150, [])
    a, b = (read_table(tmp_path / name / "predictions.jsonl").set_index("id") for name in ("all", "half"))
    rows = [a.loc[b.index, "label"].to_numpy(dtype=float), b["label"].to_numpy(dtype=float)]
    expected = ModelMeans.of(b["truth"].astype(float), [dict(zip("ab", rows, strict=True))]).difference("a", "b")
    found = pair.differences["auroc"]
    assert found is not None
    assert (found.value, found.low) == pytest.approx((expected.value, expected.low))
    text = reported(tmp_path).text
    assert "each on its own test rows; largest difference all − half" in text
    assert "on the 150 rows that both scored" in text


def flipped(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(truth=np.where(np.arange(len(table)) % 7, table["truth"], 1 - table["truth"]))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t[100:], "no test row of one is a test row of the other"),
        (lambda t: flipped(t[:100]), "their truth of the same rows differs"),
        (lambda t: t[:100].drop(columns="truth"), "one is scored against truth, the other against label"),
        (
            lambda t: pd.concat([t[:100].query("truth == 1"), t[100:]]),
            "the [0-9]+ rows that both scored are of one class",
        ),
    ],
    ids=["others", "truth", "against", "class"],
)
def test_students_that_cannot_be_compared_are_not_and_the_page_says_why(
    world: Swept, train: Train, tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], why: str
) -> None:
    others = world.table[200:]
    train(tmp_path / "one", test=others[:100])
    train(tmp_path / "two", test=change(others))
    pairs, told = pairs_of(read_folder(tmp_path).students)
    assert not pairs
    assert re.fullmatch(rf"one and two are not compared: {why}\.", told[0])
    assert told[0] in reported(tmp_path).text


def test_one_student_stands_beside_its_supervisor_or_the_way_to_know_it_is_said(
    world: Swept, train: Train, tmp_path: Path
) -> None:
    train(tmp_path / "a" / "only", layer=2)
    text = reported(tmp_path / "a" / "only").text
    assert re.search(r"only: AUROC 0\.\d+ \[[^]]+\] on 200 test rows; its supervisor's AUROC is 0\.\d+", text)
    train(tmp_path / "b" / "only", test=world.table[200:].drop(columns="label"))
    text = reported(tmp_path / "b").text
    assert "on 200 test rows. " in text
    assert "The supervisor's own number is not known for only: its P(1) has to stand as label beside truth" in text


def test_beside_runs_sweeps_and_filters_students_have_a_part_of_their_own(train: Train, tmp_path: Path) -> None:
    train(tmp_path / "student")
    write_sweep(tmp_path)
    write_kept(tmp_path / "kept.jsonl")
    text = reported(tmp_path).text
    assert "student: AUROC" in text
    assert "What a sweep or a filter shows of labels is not what a student makes of them" in text
    assert "no student was trained" not in text
    write_run(tmp_path / "run", ["a", "b"], n=20)
    read = reported(tmp_path)
    assert "Did anything beat the plain student?" in read.text
    assert read.row("student", "weak.jsonl")[2] == "xent"
    assert "two trainings of one student can differ by more" in read.text


def test_many_students_stand_beside_the_first_alone(folder: Path) -> None:
    (first, *_) = read_folder(folder).students
    many = [type(first)(f"s{i}", first.record, first.predictions) for i in range(12)]
    pairs, told = pairs_of(many)
    assert len(pairs) == 11
    assert {pair.b for pair in pairs} == {"s0"}
    assert "12 students" in told[0]
    view = students_view(many, "s")
    assert view is not None
    assert view.pairs is not None
    assert view.pairs.caption.endswith("some pairs")


def test_names_of_files_and_texts_are_no_markup(train: Train, tmp_path: Path) -> None:
    place = train(tmp_path / "s")
    record = json.loads((place / "student.json").read_text())
    record["labels"] = EVIL.replace("/", "\u2215")
    (place / "student.json").write_text(json.dumps(record))
    page = write_report(tmp_path).read_text()
    assert Read(page).tags.count("script") == 1
    assert "<img" not in page


def damage(folder: Path, name: str, content: bytes) -> str:
    """What the report says when a file of a student holds this."""
    file = folder / "s" / name
    old = file.read_bytes()
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        write_report(folder)
    file.write_bytes(old)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(str(file)), said
    assert not list(folder.rglob("*.html"))
    return said.removeprefix(f"{file}").removeprefix(": ")


RECORDS: list[tuple[list[str], list[Any]]] = [
    (["layer"], ["x", None, 1.5]),
    (["labels"], [None, 3]),
    (["parameters"], [None, [], {}]),
    (["rows"], [None, {}, {"train": "x", "val": 1}]),
    (["row_counts"], ["x", {"file": None}]),
    (["validation"], [3, {"auroc": [1]}]),
    (["test"], ["x", {}]),
    (["test", "against"], [None, "p"]),
    (["test", "intervals"], [None, {"auroc": [1, 2]}]),
    (["files"], [None, {"predictions.jsonl": 3}]),
]


@pytest.mark.parametrize(("path", "values"), RECORDS, ids=[".".join(path) for path, _ in RECORDS])
def test_a_students_record_with_a_wrong_value_is_named_with_its_key(
    path: list[str], values: list[Any], train: Train, tmp_path: Path
) -> None:
    whole = (train(tmp_path / "s") / "student.json").read_text()
    for value in values:
        record = json.loads(whole)
        inner = record
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        assert damage(tmp_path, "student.json", json.dumps(record).encode()).startswith(".".join(path))


def test_files_that_are_not_a_students_or_are_damaged_are_named(train: Train, tmp_path: Path) -> None:
    train(tmp_path / "s")
    for content in (b"", b"{", b"[]", b"null", b"\xff\xfe"):
        assert damage(tmp_path, "student.json", content)
    foreign = damage(tmp_path, "student.json", b'{"name": "Ada", "marks": [1, 2]}')
    assert foreign == "not the record of a student; move it elsewhere, or train the student again"
    rows = (tmp_path / "s" / "predictions.jsonl").read_bytes()
    assert damage(tmp_path, "predictions.jsonl", rows[: rows.rindex(b'"label"')])  # cut off within a line
    assert damage(tmp_path, "predictions.jsonl", b"")
    assert "has no column 'truth'" in damage(tmp_path, "predictions.jsonl", rows.replace(b'"truth"', b'"other"'))
    lines = rows.splitlines(keepends=True)
    assert "'row-365'" in damage(tmp_path, "predictions.jsonl", lines[0] + rows)  # a row twice
    outside = re.sub(rb'"label": [0-9.e-]+', b'"label": 1.5', lines[0])
    assert "label '1.5' is not in [0, 1]" in damage(tmp_path, "predictions.jsonl", outside + b"".join(lines[1:]))
    assert "of one class" in damage(tmp_path, "predictions.jsonl", lines[0])


def test_a_changed_file_is_told_and_a_missing_one_leaves_the_records_numbers(train: Train, tmp_path: Path) -> None:
    place = train(tmp_path / "s")
    file = place / "predictions.jsonl"
    rows = read_table(file)
    write_table(rows.assign(label=rows["label"].to_numpy()[::-1]), file)
    said: list[str] = []
    page = Read(write_report(tmp_path, warn=said.append).read_text())
    told = "Not as the student wrote it, so not to be relied on: predictions.jsonl. To have it anew: train the student"
    assert told in page.text
    assert told in said[0]
    assert said[0].startswith(f"{tmp_path}: student s: ")
    file.unlink()
    page = Read(write_report(tmp_path).read_text())
    assert "Written by the student and not there any more: predictions.jsonl." in page.text
    value, low, high = json.loads((place / "student.json").read_text())["test"]["intervals"]["auroc"]
    assert f"{value:.3f} [{low:.3f}, {high:.3f}]" in page.row("s")


def test_a_student_of_an_earlier_version_is_read_too(train: Train, tmp_path: Path) -> None:
    place = train(tmp_path / "s")
    record = json.loads((place / "student.json").read_text())
    for name in ("row_counts", "validation", "files", "checksum"):
        del record[name]
    record["test"] = {name: record["test"][name] for name in ("against", "rows", "of_rows", "auroc", "accuracy")}
    (place / "student.json").write_text(json.dumps(record))
    rows = read_table(place / "predictions.jsonl")
    write_table(rows[["id", "label", "truth"]], place / "predictions.jsonl")
    read = reported(tmp_path)
    assert "s: AUROC 0." in read.text
    assert "180" in read.row("s")
    (place / "predictions.jsonl").unlink()
    assert f"{record['test']['auroc']:.3f}" in reported(tmp_path).row("s")
