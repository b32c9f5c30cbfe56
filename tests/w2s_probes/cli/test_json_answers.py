"""`--json`: exactly one object on stdout, with every documented field, equal to what is written; docs/json.md."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT, shard_file
from tests.worlds.report_folders import write_run
from tools.schemas import json_page
from w2s_probes.cli import main
from w2s_probes.cli.app import ANSWERING
from w2s_probes.cli.json_answers import JsonAnswer, plain_json
from w2s_probes.cli.json_schemas import ANSWERS, answer_fields, answer_schema
from w2s_probes.comparing import compare_files
from w2s_probes.io.tables import read_table, write_table

Call = Callable[..., Any]


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run `w2s VERB … --json` and give its object, checked against the verb's schema."""

    def call(*words: object, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in (*words, "--json")])
        said = capsys.readouterr()
        assert ended.value.code == code, said.err
        assert said.out.endswith("\n")
        assert said.out.count("\n") == 1
        assert said.out.isascii()
        found = json.loads(said.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        jsonschema.validate(found, answer_schema(str(words[0])))
        assert set(found) == set(ANSWERS[str(words[0])].model_fields)
        return dict(found)

    return call


def test_an_approximate_index_says_everywhere_what_it_found(
    answer: Call, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("w2s_probes.neighbors.searching.FEW", 2)
    asked = [world / "acts", world / "weak.jsonl", "--index", "approximate:recall=0", "--out"]
    shares = {}
    for verb in ("filter", "relabel"):
        out = tmp_path / f"{verb}.jsonl"
        found = answer(verb, *asked, out, "--layer", 2, "--by", "knn", "--k", 9)
        shares[verb] = found["remarks"][0].split(": ")[1].split("%")[0]
        assert found["remarks"][0].startswith("approximate neighbours: ")
        assert 0 < float(shares[verb]) < 100
        named = set(read_table(out)["probe"].dropna()) - {""}
        assert named == {f"knn, {shares[verb]}% of the neighbours found"} == {found["probe"]}
    out = tmp_path / "sweep.csv"
    found = answer("sweep", *asked, out, "--layers", "1,2", "--knn-k", "9,3")
    lines = read_table(out)
    lines = lines[lines["metric"] == "neighbors_found"]
    answer("sweep", *asked, tmp_path / "graph.csv", "--layers", 1, "--graph-k", "9")
    graph = read_table(tmp_path / "graph.csv")
    assert set(graph["rows"][graph["metric"] == "neighbors_found"]) == {"training"}
    of_cells = lines.groupby(["layer", "k", "rows"])["value"].count()
    assert set(of_cells) == {1}
    assert set(lines["rows"]) == {"training", "held-out"}
    values = lines["value"].astype(float)
    assert found["neighbors_found"] == [values.min(), values.max()]
    assert 0 < values.min() <= values.max() < 1
    exactly = answer("sweep", *asked[:2], "--out", tmp_path / "exact.csv", "--layers", "1,2", "--knn-k", "9")
    assert exactly["neighbors_found"] is None


def test_filter_and_relabel_answer_what_they_wrote(answer: Call, world: Path, tmp_path: Path) -> None:
    judged = [world / "acts", world / "weak.jsonl", "--layer", 2, "--out", tmp_path / "out.jsonl"]
    found = answer("filter", *judged, "--by", "knn", "--k", 9)
    written = read_table(tmp_path / "out.jsonl")
    judged_rows = written[written["reason"] != "not a training row"]
    assert (found["judged"], found["removed"]) == (150, int((~judged_rows["keep"].astype(bool)).sum()))
    assert found["kept"] + found["removed"] == 150
    assert found["label_0"]["dropped"] + found["label_1"]["dropped"] == found["removed"]
    wrong = judged_rows["label"].astype(float).round() != judged_rows["truth"].astype(float)
    gone = ~judged_rows["keep"].astype(bool)
    expected = {"known": 150, "wrong": wrong.sum(), "removed": gone.sum(), "wrong_removed": (wrong & gone).sum()}
    assert found["by_truth"] == {name: int(count) for name, count in expected.items()}
    assert found["remarks"][0] == f"kept {found['kept']} of 150 rows, removed {found['removed']}"
    found = answer("relabel", *judged, "--by", "logistic")
    written = read_table(tmp_path / "out.jsonl")
    written = written[(written["reason"] != "not a training row").to_numpy()]
    before, after = (written[name].astype(float) > 0.5 for name in ("label", "new_label"))
    assert found["to_one"] == int((~before & after).sum())
    assert found["to_zero"] == int((before & ~after).sum())
    accuracy = found["by_truth"]["accuracy"]
    assert accuracy["after"]["value"] == pytest.approx((after == (written["truth"].astype(float) > 0.5)).mean())
    assert accuracy["difference"]["value"] == pytest.approx(accuracy["after"]["value"] - accuracy["before"]["value"])


def test_student_and_sweep_answer_what_their_records_say(answer: Call, world: Path, tmp_path: Path) -> None:
    out, acts, weak = tmp_path / "st", world / "acts", world / "weak.jsonl"
    found = answer("student", acts, weak, "--layer", 1, "--test", world / "test.jsonl", "--out", out, "--epochs", 5)
    record = json.loads((out / "student.json").read_text())
    assert found["files"] == ["student.json", "head.safetensors", "predictions.jsonl"]
    assert [found["train"], found["val"]] == [record["rows"]["train"], record["rows"]["val"]]
    assert list(found["validation"].values()) == record["validation"]["auroc"]
    for metric in ("auroc", "accuracy"):
        assert list(found["test"]["student"][metric].values()) == record["test"]["intervals"][metric]
    untested = answer("student", acts, weak, "--layer", 1, "--out", out, "--epochs", 5)
    assert untested["test"] is None
    assert untested["files"] == ["student.json", "head.safetensors"]
    table = tmp_path / "sweep.csv"
    sweep = ["sweep", acts, weak, "--layers", "1,2", "--knn-k", "5,9", "--out", table]
    assert answer(*sweep, "--dry-run")["finished"] is False
    assert answer(*sweep)["best_students"] == []
    students = ["--students", "xent", "--student-filter", "none,knn", "--seeds", "0,1"]
    found = answer(*sweep, *students, "--plot", tmp_path / "p.png")
    record = json.loads((tmp_path / "sweep.json").read_text())
    ((student,), (chosen,)) = found["best_students"], record["best_students"]
    assert [student[name] for name in ("layer", "method", "loss")] == [
        chosen[name] for name in ("layer", "method", "loss")
    ]
    assert {name: list(ends.values()) for name, ends in student["stopping"].items()} == chosen["stopping"]
    (best,), (cell,) = found["best"], record["best"]
    assert [best[name] for name in ("layer", "probe", "k", "l2")] == [
        cell[name] for name in ("layer", "probe", "k", "l2")
    ]
    for side in ("training", "held_out"):
        assert {name: list(ends.values()) for name, ends in best[side].items()} == cell[side]
    assert found["lines"] == len(read_table(table))
    assert found["plots"] == [str(tmp_path / "p.png")]


def test_compare_answers_the_numbers_of_the_library_and_of_its_table(answer: Call, tmp_path: Path) -> None:
    rng, truth = np.random.default_rng(0), np.arange(80) % 2
    for name, apart in (("a", 0.5), ("b", 1.0), ("weak", 0.2), ("top", 4.0)):
        score = 1 / (1 + np.exp(-(apart * (2 * truth - 1) + rng.normal(size=80))))
        table = pd.DataFrame({"id": [f"é{i}" for i in range(80)], "score": score * (9 if name == "b" else 1)})
        write_table(table.assign(truth=truth), tmp_path / f"{name}.jsonl")
    a, b, weak, top = (tmp_path / f"{name}.jsonl" for name in ("a", "b", "weak", "top"))
    found = answer("compare", a, b, "--weak", weak, "--ceiling", top, "--out", tmp_path / "t.csv")
    library = compare_files([a, b], weak=weak, ceiling=top).comparison
    expected = [[one.estimate.value, one.estimate.low, one.estimate.high] for one in library.scores]
    assert [[one[name] for name in ("value", "low", "high")] for one in found["scores"]] == plain_json(expected)
    assert [one["p"] for one in found["differences"]] == plain_json([one.p for one in library.differences])
    nulls = [(one["name"], one["metric"], one["status"]) for one in found["scores"] if one["value"] is None]
    assert nulls == [("b", "accuracy", "scores outside [0, 1]")]  # NaN in Python
    values = pd.read_csv(tmp_path / "t.csv")["value"]
    every = [one["value"] for part in ("scores", "differences", "pgr") for one in found[part]]
    assert [None if math.isnan(value) else value for value in values] == pytest.approx(every)


def test_verify_answers_of_sound_and_of_damaged_stores(answer: Call, place: Path) -> None:
    assert answer("verify", place / "acts") | {"bytes": 0} == {
        "store": str(place / "acts"),
        "ok": True,
        "rows": 40,
        "layers": 4,
        "bytes": 0,
        "problems": [],
    }
    shard = shard_file(place / "acts")
    shard.write_bytes(shard.read_bytes()[:-100])
    found = answer("verify", place / "acts", code=2)
    assert not found["ok"]
    assert "checksum differs" in found["problems"][0]


def test_report_results_and_plan_answer_what_they_wrote_and_said(
    answer: Call, w2s: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "run", ["alpha"], no_gap="alpha")
    found = answer("report", tmp_path / "run")
    assert found["bytes"] == (tmp_path / "run" / "report.html").stat().st_size
    found = answer("results", tmp_path / "run", "--out", tmp_path / "t.csv")
    lines = pd.read_csv(tmp_path / "t.csv")
    assert [one["value"] for one in found["rows"]] == plain_json(lines["value"].tolist())
    assert None in [one["value"] for one in found["rows"]]
    assert set(found["rows"][0]) == set(lines)
    words = ["plan", ROOT / "data" / "miniature" / "weak", "--rows", 100, "--tokens-per-row", 20, "--test-rows", 500]
    words += ["--flops-per-s", 1e12]  # else this machine is measured
    found = answer(*words)
    (model,) = found["models"]
    assert (model["rows"], model["tokens"], found["recipe"]) == (100, 2000, None)
    w2s(*words)
    printed = capsys.readouterr().out
    assert f"{model['rows']:,}, {model['tokens']:,} tokens" in printed
    assert len(found["intervals"]) == 4
    for row in found["intervals"]:
        assert all(str(value) in printed for name, value in row.items() if name.startswith("PGR"))
    recipe = answer("plan", "demo", "--flops-per-s", 1e12)["recipe"]
    assert recipe["fits"] == recipe["tasks"] * recipe["seeds"] * (recipe["methods"] + 2)


def test_a_refusal_says_nothing_on_stdout(fails: Call, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["verify", world / "none"],
        ["compare", world / "weak.jsonl"],
        ["results", world],
        ["filter", world / "acts", world / "weak.jsonl", "--layer", 99, "--out", "o.jsonl"],
        ["extract", "m", "--rows", "r"],
    ):
        fails(*words, "--json")
        assert capsys.readouterr().out == ""
    assert "--json stands after the command" in fails("--json", "verify", world / "acts")


def test_the_words_are_on_stderr_and_the_next_command_prints_as_ever(
    answer: Call, w2s: Call, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer("verify", world / "acts")
    w2s("verify", world / "acts", "--json")
    assert "sound; 240 rows" in capsys.readouterr().err
    w2s("verify", world / "acts", "--json", "--quiet")
    assert capsys.readouterr().out.startswith('{"store"')
    w2s("verify", world / "acts")
    said = capsys.readouterr()
    assert "sound; 240 rows" in said.out
    assert said.err == ""


def test_every_answer_is_described_and_its_page_is_as_the_code_has_it(
    w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(ANSWERS) == list(ANSWERING)
    for verb in ANSWERS:
        fields = answer_fields(verb)
        assert all(about for _, _, about in fields), verb
        w2s("schema", "json", verb)
        assert json.loads(capsys.readouterr().out) == answer_schema(verb)
    page = (ROOT / "docs" / "json.md").read_text()
    assert page == json_page(), "docs/json.md is not as the code has it: make schema"


def test_numbers_that_json_lacks_are_null() -> None:
    class Some(JsonAnswer):
        value: float | None
        parts: dict[str, list[float | None]]

    some = Some(value=math.nan, parts={"a": np.array([1.5, math.inf])})
    assert some.model_dump() == {"value": None, "parts": {"a": [1.5, None]}}
    assert plain_json([np.int64(3), pd.NA, Path("a\udcffb")]) == [3, None, "a\\xffb"]
