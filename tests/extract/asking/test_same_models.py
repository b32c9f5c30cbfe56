"""Models whose logits are fused: of one vocabulary, token by token, and of one architecture before and after tuning."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from extract.asking.same_models import refuse_other_architecture, refuse_other_vocabulary
from extract.models.source import ModelSource
from tests.conftest import ROOT
from w2s_probes import InputError

MODELS = ROOT / "data" / "miniature"


def copied(folder: Path, name: str = "weak", **config: Any) -> Path:
    shutil.copytree(MODELS / name, folder)
    if config:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return folder


def source(folder: Path) -> ModelSource:
    return ModelSource.find(str(folder))


def test_models_of_one_vocabulary_pass(tmp_path: Path) -> None:
    refuse_other_vocabulary(source(MODELS / "weak"), source(MODELS / "strong"))
    wider = copied(tmp_path / "wider", vocab_size=48)  # a table with rows that no token has
    refuse_other_vocabulary(source(MODELS / "strong"), source(wider))


def test_the_first_token_that_differs_is_named(tmp_path: Path) -> None:
    other = copied(tmp_path / "other")
    file = other / "tokenizer.json"
    text = file.read_text()
    for one, two in (("steep", "steeper"), ("rowdy", "rowdier")):
        assert f'"{one}"' in text
        text = text.replace(f'"{one}"', f'"{two}"')
    file.write_text(text)
    with pytest.raises(InputError, match=r"token 8 is 'steep' of .*strong and 'steeper' of .*other, so their logits"):
        refuse_other_vocabulary(source(MODELS / "strong"), source(other))


def test_a_token_that_one_lacks_is_named(tmp_path: Path) -> None:
    more = copied(tmp_path / "more")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(more)
    tokenizer.add_tokens(["cosy"])
    tokenizer.save_pretrained(more)
    with pytest.raises(InputError, match=r"token 37 is none of .*weak and 'cosy' of .*more"):
        refuse_other_vocabulary(source(MODELS / "weak"), source(more))
    short = copied(tmp_path / "short", vocab_size=30)
    with pytest.raises(
        InputError, match=r"token 30 \('noisy'\) has a logit in .*weak and none in .*short, which knows"
    ):
        refuse_other_vocabulary(source(MODELS / "weak"), source(short))


def test_base_and_tuned_are_of_one_architecture_and_of_other_weights(tmp_path: Path) -> None:
    weak = source(MODELS / "weak")
    with pytest.raises(
        InputError, match=r"expert .*strong is a llama of 4 blocks of 64, and its base .*weak a llama of 2"
    ):
        refuse_other_architecture(weak, source(MODELS / "strong"))
    same = copied(tmp_path / "same")
    with pytest.raises(InputError, match=r"expert .*same has the weights of its base"):
        refuse_other_architecture(weak, source(same))
    tuned = copied(tmp_path / "tuned")
    tuned_weights = tuned / "model.safetensors"
    data = bytearray(tuned_weights.read_bytes())
    data[-1] ^= 1
    tuned_weights.write_bytes(bytes(data))
    refuse_other_architecture(weak, source(tuned))
