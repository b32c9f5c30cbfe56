"""`w2s tokens`: a line a token, out of sample, beside its control; and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from extract.extractor import Extraction, extract
from w2s_probes import ActivationStore, InputError
from w2s_probes.cli import main
from w2s_probes.cli.json_schemas import answer_schema
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.probes import AttentionProbe, token_rows
from w2s_probes.token_scores import score_tokens

Call = Callable[..., None]
SMALL = ["--layer", 2, "--hidden", 8, "--epochs", 5]


@pytest.fixture(scope="module")
def every_token(world: Path, tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[..., Path]) -> Path:
    """A store of every token of the world's rows."""
    folder = tmp_path_factory.mktemp("tokens") / "acts-all"
    rows = read_table(world / "rows.jsonl")
    extract(Extraction.plan(str(checkpoint()), rows, position="all"), folder)
    return folder


def test_tokens_writes_what_the_library_says_of_each_token(
    w2s: Call, world: Path, every_token: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = world / "weak.jsonl"
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in ("tokens", every_token, labels, *SMALL, "--out", tmp_path / "t.jsonl", "--json")])
    answer = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    jsonschema.validate(answer, answer_schema("tokens"))
    table, frame = read_table(labels), pd.read_json(tmp_path / "t.jsonl", lines=True)
    assert (answer["rows"], answer["learned"], answer["tokens"]) == (180, 150, len(frame))
    assert frame["id"].drop_duplicates().tolist() == table["id"].tolist()
    tokens = ActivationStore.open(every_token).tokens(2, ids=table["id"].tolist())
    learned = (table["split"] == "train").to_numpy()
    y = table["label"].to_numpy(float)
    expected = score_tokens(AttentionProbe(hidden=8, epochs=5), tokens, y, learned=learned)
    for name in ("attention", "score", "contribution"):
        assert frame[name].to_numpy(float) == pytest.approx(expected.frame[name].to_numpy(float), abs=1e-4)
    by_row = frame.groupby("id", sort=False)
    assert by_row["attention"].sum().to_numpy(float) == pytest.approx(np.ones(180), abs=1e-5)
    assert (by_row["fold"].count().to_numpy() > 0).tolist() == learned.tolist()
    assert answer["auroc"] == pytest.approx(expected.attention, abs=1e-3)
    assert answer["auroc_of_mean"] == pytest.approx(expected.mean, abs=1e-3)
    assert any("mean of the tokens" in line for line in answer["remarks"])


def test_labels_of_rows_that_are_not_learned_from_are_not_read(every_token: Path, world: Path) -> None:
    table = read_table(world / "weak.jsonl")
    tokens = ActivationStore.open(every_token).tokens(2, ids=table["id"].tolist())
    learned = (table["split"] == "train").to_numpy()
    y = table["label"].to_numpy(float)
    probe = AttentionProbe(hidden=4, epochs=2)
    one, other = (score_tokens(probe, tokens, np.where(learned, y, kept), learned=learned).frame for kept in (y, 1 - y))
    pd.testing.assert_frame_equal(one, other)
    with pytest.raises(InputError, match="no row is to be learned from"):
        score_tokens(probe, tokens, y, learned=np.zeros(len(y), dtype=bool))


BAD: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "holds one vector a row: extract with --position all for its tokens": ({}, ["acts", "--layer", 2]),
    "layer 9 is outside": ({}, ["acts-all", "--layer", 9]),
    "one class only": ({"label": 1}, ["acts-all", "--layer", 2]),
    "has no row for 150 of 150": ({"id": [f"x{row}" for row in range(180)]}, ["acts-all", "--layer", 2]),
    "no row has split = train": ({"split": "test"}, ["acts-all", "--layer", 2]),
    "a row may have 7: extract with a smaller --max-length": ({}, ["acts-all", *SMALL]),
    "has no token after its first, which skip_first leaves out": ({}, ["acts-one", *SMALL, "--skip-first"]),
    "the mean of all tokens is one": ({}, ["acts-all", *SMALL, "--pool", "mean", "--heads", 2]),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_ends_in_one_line_and_no_file(
    said: str,
    world: Path,
    every_token: Path,
    tmp_path: Path,
    fails: Callable[..., str],
    checkpoint: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns, (store, *words) = BAD[said]
    labels, out = tmp_path / "weak.jsonl", tmp_path / "t.jsonl"
    write_table(read_table(world / "weak.jsonl").assign(**columns), labels)
    if "may have 7" in said:
        monkeypatch.setattr(token_rows, "MOST_TOKENS", 7)
    place = {"acts": world / "acts", "acts-all": every_token, "acts-one": tmp_path / "acts-one"}[store]
    if store == "acts-one":
        rows = read_table(world / "rows.jsonl").assign(text="w1")
        extract(Extraction.plan(str(checkpoint()), rows, position="all"), place)
    assert said in fails("tokens", place, labels, *words, "--out", out)
    assert not out.exists()
