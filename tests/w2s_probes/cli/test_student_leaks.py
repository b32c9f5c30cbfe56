"""`w2s student`: test rows related to training rows, and the rows that stop training."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from w2s_probes.io.tables import read_table, write_table
from w2s_probes.rows.held_out import related_rows, set_aside

Invoke = Callable[..., Any]


def train(w2s: Invoke, world: Path, labels: Path, out: Path, *more: object) -> dict[str, Any]:
    w2s("student", world / "acts", labels, "--layer", "1", "--epochs", "3", "--out", out, *more)
    record: dict[str, Any] = json.loads((out / "student.json").read_text())
    return record


@pytest.mark.parametrize("column", ["text", "group"])
def test_test_rows_that_share_a_text_or_a_group_with_training_rows_are_left_out_and_said(
    column: str, w2s: Invoke, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weak, test = read_table(world / "weak.jsonl"), read_table(world / "test.jsonl")
    weak, test = (table.drop(columns=["text", "group"], errors="ignore") for table in (weak, test))
    weak[column] = [f"own {i}" for i in range(len(weak))]
    test[column] = [f"other {i}" for i in range(len(test))]
    test.loc[:9, column] = weak[column].iloc[5:15].to_numpy()
    write_table(weak, tmp_path / "weak.csv")
    write_table(test, tmp_path / "test.csv")
    record = train(w2s, world, tmp_path / "weak.csv", tmp_path / "out", "--test", tmp_path / "test.csv")
    assert record["test"]["left_out"] == 10
    assert record["test"]["of_rows"] == len(test) - 10
    assert "10 rows left out, which share a text or a group with training rows" in capsys.readouterr().out
    scored = read_table(tmp_path / "out" / "predictions.jsonl")
    assert set(scored["id"]) == set(test["id"].iloc[10:])


def test_a_test_file_of_relatives_alone_is_refused(fails: Invoke, world: Path, tmp_path: Path) -> None:
    weak, test = read_table(world / "weak.jsonl"), read_table(world / "test.jsonl")
    write_table(weak.assign(group="one"), tmp_path / "weak.jsonl")
    write_table(test.assign(group="one"), tmp_path / "test.jsonl")
    arguments = ("student", world / "acts", tmp_path / "weak.jsonl", "--layer", "1", "--out", tmp_path / "out")
    assert re.search(
        r"every row shares a text or a group with a training row", fails(*arguments, "--test", tmp_path / "test.jsonl")
    )
    assert not (tmp_path / "out").exists()


def test_rows_without_a_group_take_part_in_what_stops_training(w2s: Invoke, world: Path, tmp_path: Path) -> None:
    weak = read_table(world / "weak.jsonl").drop(columns="split", errors="ignore")
    weak["group"] = [f"g{i // 2}" if i < 40 else None for i in range(len(weak))]
    write_table(weak, tmp_path / "weak.csv")
    record = train(w2s, world, tmp_path / "weak.csv", tmp_path / "out")
    assert record["rows"]["val"] == pytest.approx(len(weak) / 10, abs=2)
    weak["group"] = None
    write_table(weak, tmp_path / "none.csv")
    record = train(w2s, world, tmp_path / "none.csv", tmp_path / "none")
    assert record["rows"]["val"] == round(len(weak) / 10)


def test_a_tenth_of_the_rows_that_are_no_test_rows_stops_training(w2s: Invoke, world: Path, tmp_path: Path) -> None:
    table = read_table(world / "weak.jsonl")
    table["split"] = ["test"] * 120 + ["train"] * 60
    write_table(table, tmp_path / "weak.jsonl")
    w2s("student", world / "acts", tmp_path / "weak.jsonl", "--layer", 1, "--epochs", 1, "--out", tmp_path / "s")
    rows = json.loads((tmp_path / "s" / "student.json").read_text())["rows"]
    assert (rows["train"], rows["val"]) == (54, 6)


def test_rows_that_all_hang_together_leave_none_to_stop_by(fails: Invoke, world: Path, tmp_path: Path) -> None:
    weak = read_table(world / "weak.jsonl").drop(columns="split", errors="ignore")
    write_table(weak.assign(group="one"), tmp_path / "weak.jsonl")
    arguments = ("student", world / "acts", tmp_path / "weak.jsonl", "--layer", "1", "--out", tmp_path / "out")
    assert re.search(r"all \d+ rows hang together, so none can be held out", fails(*arguments))


def test_penalty_and_criterion_reach_the_student_and_its_record(w2s: Invoke, world: Path, tmp_path: Path) -> None:
    plain = train(w2s, world, world / "weak.jsonl", tmp_path / "a")
    heavy = train(w2s, world, world / "weak.jsonl", tmp_path / "b", "--l2", "10", "--stop", "log_loss")
    assert (heavy["parameters"]["l2"], heavy["parameters"]["stop"]) == (10, "log_loss")
    assert (plain["parameters"]["l2"], plain["parameters"]["stop"]) == (0, "auroc")
    ramped = train(w2s, world, world / "weak.jsonl", tmp_path / "c", "--loss", "logconf")
    assert ramped["alpha_at_best_epoch"] == 0.5
    assert "alpha_at_best_epoch" not in plain


def test_a_test_file_whose_rows_of_known_truth_are_relatives_is_refused_before_training(
    fails: Invoke, world: Path, tmp_path: Path
) -> None:
    weak, test = read_table(world / "weak.jsonl"), read_table(world / "test.jsonl")
    weak["group"], test["group"] = "one", ["one"] * 20 + ["other"] * (len(test) - 20)
    test.loc[20:, "truth"] = None
    write_table(weak, tmp_path / "weak.jsonl")
    write_table(test, tmp_path / "test.jsonl")
    arguments = ("student", world / "acts", tmp_path / "weak.jsonl", "--layer", "1", "--out", tmp_path / "out")
    said = fails(*arguments, "--test", tmp_path / "test.jsonl")
    assert re.search(r"every row that has `truth` shares a text or a group with a training row", said)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("test", "training", "expected"),
    [
        (["2", "7", None], [1.0, 2.0, np.nan], [True, False, False]),
        ([7, 10, 3], ["007", "10", "x"], [True, True, False]),  # as a CSV file and a JSONL file of the same rows
        (["007", "7"], ["7", "8"], [False, True]),  # two spellings in one file: two groups
        (["7.0", "10.0", "x"], ["7", "011"], [True, False, False]),  # as pandas writes whole numbers with gaps
        (["007", "010"], ["7", "11"], [True, False]),  # as a spreadsheet reads and writes them
        ([2**53, 2**53 + 1], [str(2**53 + 1), "x"], [False, True]),
        (["8e99999999999999", "0x12"], ["12e4567890123456", "18"], [False, False]),  # hashes that a float would read
        ([None, np.nan, "nan"], ["None", "nan", "x"], [False, False, True]),
    ],
    ids=["number in CSV", "leading zeros", "text", "floats", "rewritten", "large", "hashes", "absent"],
)
def test_groups_are_the_same_in_whatever_format_they_are_read(
    test: list[Any], training: list[Any], expected: list[bool]
) -> None:
    related = related_rows(pd.DataFrame({"group": test}), pd.DataFrame({"group": training}))
    assert related.tolist() == expected


@pytest.mark.parametrize("seed", range(8))
def test_about_the_share_is_set_aside_whatever_the_sizes_of_the_groups(seed: int) -> None:
    groups = np.array(["big"] * 60 + ["a"] * 5 + [None] * 35, dtype=object)
    chosen = set_aside(pd.DataFrame({"group": groups}), 0.1, np.random.default_rng(seed))
    assert 10 <= chosen.sum() <= 14
    assert not chosen[:60].any()
    assert len(set(chosen[60:65])) == 1
    halves = set_aside(pd.DataFrame({"group": ["a"] * 50 + ["b"] * 50}), 0.1, np.random.default_rng(seed))
    assert halves.sum() == 50  # none is small enough


def test_what_a_student_reads_is_never_what_it_writes(fails: Invoke, w2s: Invoke, world: Path, tmp_path: Path) -> None:
    out = tmp_path / "d"
    out.mkdir()
    labels, test = out / "predictions.jsonl", out / "test.jsonl"
    labels.write_bytes((world / "weak.jsonl").read_bytes())
    before = labels.read_bytes()
    assert "is read by this command, too" in fails("student", world / "acts", labels, "--layer", 1, "--out", out)
    assert labels.read_bytes() == before
    labels.rename(out / "weak.jsonl")
    test.write_bytes((world / "test.jsonl").read_bytes())
    test.rename(labels)
    command = ["student", world / "acts", out / "weak.jsonl", "--layer", 1, "--test", labels, "--out", out]
    assert "is read by this command, too" in fails(*command)
    assert labels.read_bytes() == (world / "test.jsonl").read_bytes()
