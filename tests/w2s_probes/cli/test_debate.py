"""`w2s debate`: a file of transcripts as the library makes them, shares, what it refuses, and nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest

from extract.debating import Debate, read_transcripts
from extract.generating.generator import TextGenerator
from tests.conftest import ROOT
from w2s_probes.cli import main
from w2s_probes.cli.json_schemas import answer_schema
from w2s_probes.io.tables import read_table, write_table

Call = Callable[..., None]
Failing = Callable[..., str]
STRONG = ROOT / "data" / "miniature" / "strong"
PROMPT = "{{ text }}{% for turn in said %} {{ turn.answer }} {{ turn.text }}{% endfor %} {{ answer }}"
DRAWN: list[Any] = ["--members", 2, "--max-new-tokens", 6, "--names", "noisy,quiet"]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with rows, labels of a naive model, and a prompt."""
    table = read_table(ROOT / "data/miniature/rows/miniature_sound/test.jsonl.gz")[:6].reset_index(drop=True)
    table = table.assign(id=[f"a{i}" for i in range(6)])
    write_table(table, tmp_path / "rows.jsonl")
    write_table(table.assign(label=1 - table["label"]), tmp_path / "flipped.jsonl")
    write_table(table.assign(label=0.9), tmp_path / "naive.jsonl")
    (tmp_path / "p.jinja").write_text(PROMPT)
    return tmp_path


def asked(files: Path, *more: object, rows: str = "rows.jsonl", out: str = "out.jsonl") -> list[str]:
    words = ["debate", STRONG, "--rows", files / rows, "--prompts", files / "p.jinja", *DRAWN, "--out", files / out]
    return [str(word) for word in (*words, *more)]


def test_the_file_holds_what_the_library_says_and_labels_are_not_read(
    w2s: Call, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(asked(files, "--seed", "3", "--json"))
    answer = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    jsonschema.validate(answer, answer_schema("debate"))
    rows = read_table(files / "rows.jsonl")
    plan = Debate.plan(
        str(STRONG),
        rows,
        members=2,
        max_new_tokens=6,
        names=("noisy", "quiet"),
        prompts=files / "p.jinja",
        seed=3,
    )
    found = plan.run()
    assert read_transcripts(files / "out.jsonl", rows["id"].tolist(), members=2, protocol="debate") == found
    assert (answer["n"], answer["members"], answer["turns"], answer["tokens"]) == (6, 2, 3, 6 * 2 * 3 * 6)
    assert (answer["key"], answer["cut"], answer["empty"], answer["template"]) == (plan.key, 36, 0, False)
    assert answer["a_for_1"] == sum(sides["A"] for sides in plan.sides)
    w2s(*asked(files, "--seed", "3", rows="flipped.jsonl", out="other.jsonl"))
    assert (files / "other.jsonl").read_bytes() == (files / "out.jsonl").read_bytes()


def test_shares_write_one_file_and_nothing_is_generated_twice(
    w2s: Call, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s(*asked(files, out="whole.jsonl.gz"))
    w2s(*asked(files, "--shard", "1/2"))
    assert "share 1/2 is done" in capsys.readouterr().out
    assert not (files / "out.jsonl").exists()
    w2s(*asked(files, "--shard", "0/2"))
    ids = read_table(files / "rows.jsonl")["id"].tolist()
    assert read_transcripts(files / "out.jsonl", ids) == read_transcripts(files / "whole.jsonl.gz", ids)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextGenerator, "__init__", lambda *_, **__: pytest.fail("a model was loaded"))
        w2s(*asked(files, "--members", "1", "--cache", files / "out.jsonl.turns", out="one.jsonl"))
    w2s(*asked(files, "--shard", "7/8", out="none.jsonl"))  # a share without rows


def test_what_is_argued_for_by_whom(w2s: Call, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    market = ["--protocol", "market-making", "--naive", files / "naive.jsonl", "--members", 1, "--turns", 1]
    w2s(*asked(files, *market, "--names", "no,yes"))
    ids = read_table(files / "rows.jsonl")["id"].tolist()
    assert {each.a_side for each in read_transcripts(files / "out.jsonl", ids)} == {0}
    words = [
        word for word in asked(files, "--protocol", "no-sides", "--shared") if word not in ("--names", "noisy,quiet")
    ]
    capsys.readouterr()
    w2s(*words)
    assert "no names of labels were given: argued for are 'no' and 'yes'" in capsys.readouterr().out
    assert {each.a_side for each in read_transcripts(files / "out.jsonl", ids)} == {None}
    (files / "task.toml").write_text(
        'text = "{text}"\nlabel_names = ["noisy", "quiet"]\n'
        'label = { field = "label", positive = [1], negative = [0] }\n'
    )
    w2s(*words, "--task", files / "task.toml", "--json")
    assert json.loads(capsys.readouterr().out)["names"] == ["noisy", "quiet"]


def test_what_cannot_be_argued_is_refused_and_nothing_is_written(
    fails: Failing, files: Path, checkpoint: Callable[..., Path]
) -> None:
    before = sorted(files.iterdir())
    bert = [str(checkpoint("bert")) if word == str(STRONG) else word for word in asked(files)]
    assert "classifiers cannot argue: name a causal model" in fails(*bert)
    assert "has no chat template: give --chat-template FILE" in fails(*asked(files, "--chat-template", "own"))
    assert "row 'a0' with its prompt is" in fails(*asked(files, "--max-new-tokens", 40))
    assert "is read by this command, too" in fails(*asked(files, out="rows.jsonl"))
    assert "--names and --task both say" in fails(*asked(files, "--task", "boolq"))
    assert "no such device here" in fails(*asked(files, "--device-map", "cuda:7"))
    write_table(pd.DataFrame({"id": ["a0"], "text": ["loud"], "label": [0.2]}), files / "few.jsonl")
    market = ("--protocol", "market-making", "--naive", files / "few.jsonl")
    assert "the naive labels have none of 5 of 6 rows" in fails(*asked(files, *market))
    (files / "few.jsonl").unlink()
    assert sorted(files.iterdir()) == before


def test_a_model_without_words_leaves_no_file(fails: Failing, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.debating.debate.end_tokens", lambda source: tuple(range(37)))
    assert "12 of 12 turns are empty, more than 5%: rows 'a0', 'a1', 'a2' and 3 more" in fails(*asked(files))
    assert not (files / "out.jsonl").exists()
