"""`w2s steer`: a record, its table and figure, what it says and refuses, and nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from extract.steering import steer
from w2s_probes import ActivationStore
from w2s_probes.cli import main
from w2s_probes.cli.json_schemas import answer_schema
from w2s_probes.io.json_files import read_json
from w2s_probes.io.tables import read_table

Call = Callable[..., None]
Failing = Callable[..., str]
FEW = ["--random", 3, "--controls", "isotropic,permuted", "--strength", "1,-2"]


def test_the_files_hold_what_the_library_says(
    world: Path, tmp_path: Path, checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "steer.json"
    words = ["steer", checkpoint(), world / "acts", world / "weak.jsonl", "--layer", 1, "--rows", world / "test.jsonl"]
    asked = ["--answers", "w1,w20", "--prompt", "{text}", *FEW, "--from-token", -1, "--seed", 2]
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in (*words, *asked, "--out", out, "--json")])
    answer = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    jsonschema.validate(answer, answer_schema("steer"))
    found = steer(
        str(checkpoint()),
        ActivationStore.open(world / "acts"),
        world / "weak.jsonl",
        world / "test.jsonl",
        layer=1,
        answers=("w1", "w20"),
        prompt="{text}",
        random=3,
        controls=["isotropic", "permuted"],
        strengths=[-2, 1],
        from_token=-1,
        seed=2,
    )
    assert [one["log_odds"]["value"] for one in answer["results"]] == pytest.approx(
        [one.log_odds.value for one in found.results], abs=1e-6
    )
    assert (answer["n"], answer["steered"]["learned"], answer["strengths"]) == (60, 150, [-2, 1])
    assert answer["words"] == [" w1", " w20"]
    record = read_json(out)
    assert record["results"] == answer["results"]
    assert {"steer.csv", "steer.png"} == set(record["files"])
    assert set(read_table(tmp_path / "steer.csv")["kind"]) == {"base", "probe", "isotropic", "permuted"}


def test_what_cannot_be_steered_is_refused_and_nothing_is_written(
    fails: Failing, world: Path, tmp_path: Path, checkpoint: Callable[..., Path]
) -> None:
    out = tmp_path / "made" / "steer.json"
    begun = ["--layer", 1, "--rows", world / "test.jsonl", "--out", out]
    given = ["steer", checkpoint(), world / "acts", world / "weak.jsonl", *begun]
    assert "was made by other weights" in fails("steer", checkpoint("gpt2"), *given[2:])
    assert "answer 'no': the tokenizer of" in fails(*given)
    assert "--answers is for --read words" in fails(*given, "--read", "layer:2", "--answers", "w1,w2")
    assert "no {text} in it" in fails(*given, "--prompt", "really?")
    assert "none.safetensors: no such file" in fails(*given, "--probe", "none.safetensors")
    over = ["--out", world / "weak.json"]
    assert "are among those that the probe learned from" in fails(*given, *over, "--rows", world / "weak.jsonl")
    assert not out.parent.exists()
