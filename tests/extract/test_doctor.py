"""The doctor passes every family, and sees the faults that are planted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from extract import doctor
from extract.doctor import diagnose, sample_plan
from extract.extractor import Extraction, extract
from extract.forward import trace
from extract.models.source import ModelSource
from tests.conftest import run_failing
from tests.extract.forward.test_families import FAMILIES, whole_model
from w2s_probes import ActivationStore, InputError

Checkpoint = Callable[..., Path]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_passed(family: str, checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path) -> None:
    whole_model(family).save_pretrained(tmp_path / "model")
    source = ModelSource.find(str(tmp_path / "model"))
    # Some families' tokenizers cannot be made from a word list: all of them are given the same one.
    source.__dict__["tokenizer"] = ModelSource.find(str(checkpoint())).tokenizer
    found = diagnose(sample_plan(Extraction.plan(source, rows, max_length=20)))
    assert found.ok, found.checks
    assert len(found.checks) == 4
    assert found.read[0].startswith("row 'row-")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("position", ["last", "first", "mean", "all"])
def test_half_precision_passes_and_is_compared_with_float32(
    checkpoint: Checkpoint, rows: pd.DataFrame, dtype: str, position: Any
) -> None:
    plan = sample_plan(Extraction.plan(str(checkpoint()), rows, dtype=dtype, position=position))
    found = diagnose(plan)
    assert found.ok, found.checks
    rounding = found.checks[-1]
    assert rounding.name == f"{dtype} ~ float32"
    assert 0 < rounding.worst < 0.1
    assert len(diagnose(plan, against_float32=False).checks) == 4


def last_column(states: Tensor, mask: Tensor, position: str) -> Tensor:
    return states[:, -1]


def blind(self: Any, input_ids: Tensor, attention_mask: Tensor, *rest: Any) -> Any:
    """The model is not told which tokens are padding."""
    with torch.inference_mode():
        states = self.model(input_ids=input_ids, output_hidden_states=True).hidden_states
    return {layer: trace.pool(states[layer], attention_mask, rest[1]) for layer in rest[0]}


def no_move(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    return input_ids, attention_mask


@pytest.mark.parametrize(
    ("target", "fault", "family", "wrong"),
    [
        ("extract.forward.trace.pool", last_column, "llama", "batched = single rows"),
        ("extract.forward.trace.ActivationReader.read", blind, "bert", "batched = single rows"),
        ("extract.forward.trace.padding_moved_right", no_move, "gpt2", "padded left = padded right"),
        ("extract.doctor.pool", last_column, "llama", "nnsight = plain hooks"),
    ],
)
def test_planted_faults_are_seen(
    checkpoint: Checkpoint,
    rows: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    fault: Callable[..., Any],
    family: str,
    wrong: str,
) -> None:
    plan = sample_plan(Extraction.plan(str(checkpoint(family)), rows))
    assert diagnose(plan).ok
    monkeypatch.setattr(target, fault)
    found = diagnose(plan)
    assert not found.ok
    assert wrong in [check.name for check in found.checks if not check.ok]


def test_a_store_is_compared_with_fresh_numbers_and_keeps_the_result(
    checkpoint: Checkpoint,
    rows: pd.DataFrame,
    tmp_path: Path,
    w2s: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    folder, store = checkpoint(), tmp_path / "s"
    extract(Extraction.plan(str(folder), rows, position="mean"), store)
    w2s("doctor", folder, "--rows", tmp_path / "rows.jsonl", "--store", store)
    assert "stored = fresh               ok" in capsys.readouterr().out
    assert ActivationStore.open(store).manifest.notes["doctor"]["ok"] is True
    monkeypatch.setattr(doctor, "_stored", lambda store, layer, names: store.layer(layer, ids=names[::-1]))
    from w2s_probes.cli import main

    with pytest.raises(SystemExit) as exit_info:
        main(["doctor", str(folder), "--rows", str(tmp_path / "rows.jsonl"), "--store", str(store)])
    assert exit_info.value.code == 1
    assert "cannot be trusted: stored = fresh" in capsys.readouterr().err.replace("\n", " ")
    assert ActivationStore.open(store).manifest.notes["doctor"]["ok"] is False
    message = run_failing("doctor", folder, "--store", store, "--position", "mean")
    assert "--store says itself what was extracted" in message


def test_the_doctor_needs_texts_that_differ(checkpoint: Checkpoint) -> None:
    rows = pd.DataFrame({"id": ["a", "b"], "text": ["w1", "w1"]})
    with pytest.raises(InputError, match="at least two different texts"):
        diagnose(Extraction.plan(str(checkpoint()), rows))


def test_the_doctor_says_which_token_it_read(
    checkpoint: Checkpoint, tmp_path: Path, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "text": "w1 w2"}\n{"id": "b", "text": "w3 w4 w5"}\n')
    w2s("doctor", checkpoint(), "--rows", tmp_path / "rows.jsonl")
    said = capsys.readouterr().out
    assert "row 'a': token 2 of 2, 'w2'" in said
    assert "row 'b': token 3 of 3, 'w5'" in said
    assert "4 checks passed on 2 rows" in said
