"""`w2s ask`: a label file of a model's answers, what it says and refuses, and nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from extract.asking import Asking
from extract.asking.shots import draw_shots
from w2s_probes.cli import main
from w2s_probes.cli.json_schemas import answer_schema
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.labels.label_set import LabelSet

Call = Callable[..., None]
Failing = Callable[..., str]
WORDS = ["--answers", "w1,w2", "--prompt", "{text}"]


@pytest.fixture
def shots(world: Path, tmp_path: Path) -> Path:
    """Answered rows that are not asked about."""
    table = read_table(world / "test.jsonl")
    answered = table.assign(id=[f"s{i}" for i in range(len(table))], text=["w0 " + text for text in table["text"]])
    write_table(answered, tmp_path / "shots.jsonl")
    return tmp_path / "shots.jsonl"


def test_the_label_file_holds_what_the_library_says(
    world: Path, shots: Path, tmp_path: Path, checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "asked.jsonl"
    words = ["ask", checkpoint(), "--rows", world / "weak.jsonl", *WORDS, "--shots", shots, "--n-shots", 4]
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in (*words, "--calibrate", "prior", "--seed", 3, "--out", out, "--json")])
    answer = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    jsonschema.validate(answer, answer_schema("ask"))
    rows, written = read_table(world / "weak.jsonl"), read_table(out)
    drawn = draw_shots(read_table(shots), 4, rows, where="shots", seed=3)
    plan = Asking.plan(str(checkpoint()), rows, answers=("w1", "w2"), prompt="{text}", shots=drawn, calibrate="prior")
    found = plan.run()
    assert written["id"].tolist() == rows["id"].tolist()
    for name in ("logit_0", "logit_1", "log_total"):
        assert written[name].to_numpy(float) == pytest.approx(getattr(found, name), abs=1e-5)
    assert LabelSet.read(out).p == pytest.approx(found.p, abs=1e-6)
    assert written["truth"].tolist() == rows["truth"].tolist()
    assert written["given_label"].tolist() == rows["label"].tolist()
    assert answer["shots"] == [shot.id for shot in drawn]
    assert (answer["n"], answer["above_half"]) == (180, int((found.p > 0.5).sum()))
    assert answer["shift"] == pytest.approx(found.shift, abs=1e-6)
    assert answer["said"] == pytest.approx(found.said.mean(), abs=1e-6)
    assert [word["token"] for word in answer["words"]] == [5, 6]
    assert answer["template"] is False


def test_rows_of_a_question_have_one_true_answer_at_most(
    w2s: Call, world: Path, tmp_path: Path, checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_table(world / "rows.jsonl")[:12].assign(question=[f"q{i // 3}" for i in range(12)])
    write_table(table, tmp_path / "asked.csv")
    w2s("ask", checkpoint(), "--rows", tmp_path / "asked.csv", *WORDS, "--out", tmp_path / "out.csv")
    assert "4 questions and pairs were judged as wholes" in capsys.readouterr().out
    p = pd.Series(LabelSet.read(tmp_path / "out.csv").p)
    assert (p.groupby(table["question"]).sum() < 1).all()


def test_what_cannot_be_asked_is_refused_and_nothing_is_written(
    fails: Failing, world: Path, shots: Path, tmp_path: Path, checkpoint: Callable[..., Path]
) -> None:
    out = tmp_path / "out.jsonl"
    asked = ["ask", checkpoint(), "--rows", world / "weak.jsonl", "--out", out]
    assert "answer 'no': the tokenizer of" in fails(*asked)
    assert "give two words" in fails(*asked, "--answers", "yes")
    assert "begin with the same token 'w1'" in fails(*asked, "--answers", "w1,w1", "--prompt", "{text}")
    assert "no {text} in it" in fails(*asked, "--prompt", "really?")
    assert "say by --shots" in fails(*asked, *WORDS, "--n-shots", 4)
    assert "has no chat template" in fails(*asked, *WORDS, "--chat-template", "own")
    assert "are asked about, too (same id" in fails(*asked, *WORDS, "--shots", world / "weak.jsonl")
    write_table(read_table(shots).assign(truth=1), tmp_path / "ones.jsonl")
    assert "0 rows of label 0 where 8 shots need 4" in fails(*asked, *WORDS, "--shots", tmp_path / "ones.jsonl")
    long = "w1 " * 70
    write_table(pd.DataFrame({"id": ["a"], "text": [long]}), tmp_path / "long.jsonl")
    assert "row 'a' with its prompt is 70 tokens" in fails(
        "ask", checkpoint(), "--rows", tmp_path / "long.jsonl", *WORDS, "--out", out
    )
    assert "classifiers cannot answer: name a causal model" in fails(
        "ask", checkpoint("bert"), "--rows", world / "weak.jsonl", *WORDS, "--out", out
    )
    assert "is read by this command, too" in fails(
        "ask", checkpoint(), "--rows", world / "weak.jsonl", *WORDS, "--out", world / "weak.jsonl"
    )
    assert not out.exists()
