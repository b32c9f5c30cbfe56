"""`w2s student`: how good the student is, beside what, how sure that is, and where every row went."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from w2s_probes.io.sealed import not_as_written
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.metrics.metric_names import Metric
from w2s_probes.metrics.paired_scores import difference, estimate, with_interval
from w2s_probes.metrics.recovery_over_seeds import ModelMeans
from w2s_probes.students.chosen_rows import choose_rows
from w2s_probes.students.scored_rows import compare_with_supervisor

Invoke = Callable[..., Any]


@pytest.fixture
def train(w2s: Invoke, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Invoke:
    """Train a student on the world's weak labels; its record and what was said."""

    def run(*more: object, labels: Path | None = None) -> tuple[dict[str, Any], str]:
        file = labels or world / "weak.jsonl"
        w2s("student", world / "acts", file, "--layer", 1, "--epochs", 3, "--out", tmp_path / "s", *more)
        return json.loads((tmp_path / "s" / "student.json").read_text()), capsys.readouterr().out

    return run


def soft(table: pd.DataFrame) -> pd.DataFrame:
    """The table with soft weak labels, as a model's are."""
    noise = np.random.default_rng(3).uniform(0, 0.4, len(table))
    return table.assign(label=np.abs(table["label"].astype(float) - noise))


def test_student_and_supervisor_stand_side_by_side_with_intervals_on_the_same_rows(
    train: Invoke, world: Path, tmp_path: Path
) -> None:
    table = soft(read_table(world / "test.jsonl"))
    table["truth"] = np.where(np.arange(60) % 9, table["truth"].astype(int), 1 - table["truth"].astype(int))
    write_table(table, tmp_path / "test.jsonl")
    record, said = train("--test", tmp_path / "test.jsonl")
    found = read_table(tmp_path / "s" / "predictions.jsonl")
    assert list(found.columns) == ["id", "label", "truth", "weak_label"]
    assert found["weak_label"].tolist() == table["label"].tolist()
    truth, p, weak = (found[name].astype(float).to_numpy() for name in ("truth", "label", "weak_label"))
    test = record["test"]
    for name, scores, numbers in (("student", p, test["intervals"]), ("weak", weak, test["supervisor"])):
        assert numbers["auroc"][0] == pytest.approx(roc_auc_score(truth, scores))
        assert numbers["accuracy"][0] == pytest.approx(accuracy_score(truth, scores > 0.5))
        means = ModelMeans.of(truth, [{name: scores}])
        expected = means.means.proportion(means.weights(name))
        assert numbers["auroc"] == pytest.approx([expected.value, expected.low, expected.high])
    apart = ModelMeans.of(truth, [{"a": p, "b": weak}]).difference("a", "b")
    assert test["student_minus_supervisor"]["auroc"] == pytest.approx([apart.value, apart.low, apart.high])
    low, high = apart.low, apart.high
    assert f"student - supervisor: AUROC {apart.value:+.3f} [{low:+.3f}, {high:+.3f}], accuracy " in said
    assert re.search(r"\n  supervisor \(`label`\), same rows: AUROC 0\.\d{3} \[0\.\d{3}, \d\.\d{3}\], accuracy ", said)
    assert "not the luck of this one training" in said
    assert f"Next: w2s report {tmp_path / 's'}\n" in said
    assert not not_as_written(tmp_path / "s" / "student.json", record)


def test_hard_labels_of_the_supervisor_are_compared_by_accuracy_alone(train: Invoke, world: Path) -> None:
    record, said = train("--test", world / "test.jsonl")
    assert list(record["test"]["student_minus_supervisor"]) == ["accuracy"]
    assert "The supervisor gives hard labels, which rank nothing: compare accuracy." in said


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t.drop(columns="label"), "has no `label` beside `truth`: put the supervisor's P(1) of each row"),
        (lambda t: t.assign(label=None), "has no `label` beside `truth`"),
        (lambda t: t.assign(label=t["truth"]), "`label` is `truth` on every row of"),
        (lambda t: t.assign(label="good"), "is 'good'; labels are numbers in [0, 1]"),
        (lambda t: t.drop(columns="truth"), "nor is the truth known: give each row `truth` beside the supervisor's"),
    ],
    ids=["no label", "empty label", "truth twice", "words", "no truth"],
)
def test_a_supervisor_that_is_not_known_is_said_with_the_remedy(
    train: Invoke, world: Path, tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], why: str
) -> None:
    write_table(change(read_table(world / "test.jsonl")), tmp_path / "test.jsonl")
    record, said = train("--test", tmp_path / "test.jsonl")
    assert "The supervisor is not compared" in said
    assert why in said
    assert "supervisor" not in record["test"]
    assert "weak_label" not in read_table(tmp_path / "s" / "predictions.jsonl")


def test_rows_that_lack_the_supervisors_label_are_left_out_of_the_comparison_alone(
    train: Invoke, world: Path, tmp_path: Path
) -> None:
    table = soft(read_table(world / "test.jsonl"))
    table["label"] = table["label"].where(np.arange(60) % 3 > 0, None)
    write_table(table, tmp_path / "test.jsonl")
    record, said = train("--test", tmp_path / "test.jsonl")
    assert (record["test"]["rows"], record["test"]["supervisor"]["rows"]) == (60, 40)
    assert "\n  student on the 40 rows that have the supervisor's `label`: AUROC" in said
    found = read_table(tmp_path / "s" / "predictions.jsonl")
    assert found["weak_label"].notna().sum() == 40


def test_without_a_test_the_number_says_what_it_is_and_the_next_line_makes_a_better_one(
    train: Invoke, w2s: Invoke, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train("--test", world / "test.jsonl")
    assert (tmp_path / "s" / "predictions.jsonl").exists()
    record, said = train("--loss", "logconf", "--seed", 2)
    assert not (tmp_path / "s" / "predictions.jsonl").exists()  # they were another student's
    value, low, high = record["validation"]["auroc"]
    assert (
        f"No test: AUROC {value:.3f} [{low:.3f}, {high:.3f}] on the 30 rows that stop training, against their" in said
    )
    assert "agreement with the supervisor" in said
    (line,) = re.findall(r"Next: (w2s student .*--test) FILE", said)
    assert "--loss logconf --epochs 3 --seed 2" in line
    w2s(*shlex.split(line)[1:], world / "test.jsonl")
    assert "test: 60 rows" in capsys.readouterr().out
    again = json.loads((tmp_path / "s" / "student.json").read_text())
    assert again["validation"] == record["validation"]


def test_validation_labels_of_one_class_judge_nothing_and_that_is_said(
    train: Invoke, world: Path, tmp_path: Path
) -> None:
    weak = read_table(world / "weak.jsonl")
    write_table(weak.assign(label=weak["label"].where(weak["split"] == "train", 1)), tmp_path / "weak.jsonl")
    record, said = train(labels=tmp_path / "weak.jsonl")
    assert record["validation"]["auroc"] is None
    assert "No test: the weak labels of the 30 rows that stop training are of one class" in said


def test_a_test_file_of_one_class_is_refused_before_training(fails: Invoke, world: Path, tmp_path: Path) -> None:
    table = read_table(world / "test.jsonl")
    write_table(table[table["truth"].astype(int) == 1], tmp_path / "test.jsonl")
    arguments = ("student", world / "acts", world / "weak.jsonl", "--layer", "1", "--out", tmp_path / "out")
    assert "the truth of all 30 test rows is the same" in fails(*arguments, "--test", tmp_path / "test.jsonl")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("splits", [("train",), ("train", "val"), ("train", "test"), ("train", "val", "test")])
@pytest.mark.parametrize("seed", range(3))
def test_every_row_of_the_file_is_accounted_for(filtered: bool, splits: tuple[str, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"id": [f"r{i}" for i in range(300)], "label": rng.random(300)})
    if len(splits) > 1:
        table["split"] = rng.choice(splits, 300)
    if filtered:
        table["keep"] = rng.random(300) < 0.8
    rows = choose_rows(table, "file", seed)
    counts = [rows.train, rows.dropped, rows.test, int(rows.val.sum())]
    assert sum(counts) == 300
    assert len(rows.table) == counts[0] + counts[3]
    told = [int(number.replace(",", "")) for number in re.findall(r"\d+", re.sub(r"\(.*\)", "", rows.account))]
    assert told == [counts[0], 300, *(n for n in counts[1:] if n)]
    if filtered:
        assert rows.dropped_val == int((~rows.table["keep"]).sum())
        too = f"({rows.dropped_val} of these dropped by the filter, too)" in rows.account
        assert too == (rows.dropped_val > 0)


@pytest.mark.parametrize("metric", ["auroc", "accuracy"])
def test_rows_of_a_group_are_not_taken_for_independent(metric: Metric) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 80).astype(float)
    a, b = (truth + rng.normal(0, noise, 80) for noise in (1, 2))
    groups = np.array([f"g{i}" for i in range(80)] * 4, dtype=object)
    truths, first, second = (np.tile(one, 4) for one in (truth, a, b))
    plain, naive = estimate(metric, truth, a), estimate(metric, truths, first)
    grouped = estimate(metric, truths, first, groups)
    assert plain is not None
    assert naive is not None
    assert grouped is not None
    assert (grouped.low, grouped.high) == pytest.approx((plain.low, plain.high), abs=1e-6)
    assert naive.high - naive.low < 0.6 * (plain.high - plain.low)
    apart, together = difference(metric, truth, a, b), difference(metric, truths, first, second, groups)
    assert apart is not None
    assert together is not None
    assert (together.low, together.high) == pytest.approx((apart.low, apart.high), abs=1e-6)


def test_numbers_without_an_interval_say_so() -> None:
    truth, p = np.array([1.0, 0, 0, 0]), np.array([0.9, 0.4, 0.3, 0.2])
    unknown = np.full(4, np.nan)
    scores = compare_with_supervisor(truth, p, unknown, None)
    assert scores.supervisor is None
    assert "AUROC 1.000 (too few rows for an interval)" in scores.lines[0]
    assert with_interval(estimate("auroc", np.ones(3), p[:3])) == "undefined (rows of one class)"
