"""From a serving engine's folder to the doctor's word: tokens are compared on the way in, numbers in the store."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file
from transformers import AutoModel, AutoTokenizer

from tests.conftest import ROOT, run_failing
from w2s_probes import ActivationStore
from w2s_probes.io.tables import write_table

MODEL = ROOT / "data" / "miniature" / "strong"
TEXTS = {"a": "calm cheap quick", "b": "loud steep idle not bleak", "c": "sunny calm"}


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A folder as vLLM writes it, of layers 1 and 3."""
    tokenizer, model = AutoTokenizer.from_pretrained(MODEL), AutoModel.from_pretrained(MODEL).eval()
    (tmp_path / "states").mkdir()
    for name, text in TEXTS.items():
        ids = tokenizer(text)["input_ids"]
        with torch.no_grad():
            states = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
        held = torch.stack([states[1][0], states[3][0]], dim=1).numpy()
        save_file({"hidden_states": held, "token_ids": np.array(ids)}, tmp_path / "states" / f"{name}.safetensors")
    write_table(pd.DataFrame({"id": list(TEXTS), "text": list(TEXTS.values())}), tmp_path / "rows.jsonl")
    return tmp_path


def test_a_served_folder_is_imported_with_its_tokens_compared_and_the_store_is_right(
    served: Path, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    rows, layout = served / "rows.jsonl", ["--layout", "vllm", "--layers", "1,3", "--position", "last"]
    asked = ["import", served / "states", "--rows", rows, *layout, "--model", MODEL]
    w2s(*asked, "--out", served / "acts")
    w2s("doctor", served / "acts", "--model", MODEL, "--rows", rows)
    assert "2 layers are those of" in capsys.readouterr().out
    every = ["import", served / "states", "--rows", rows, "--layout", "vllm", "--layers", "1,3", "--position", "all"]
    w2s(*every, "--model", MODEL, "--out", served / "every")
    w2s("doctor", served / "every", "--model", MODEL, "--rows", rows)
    assert "2 layers are those of" in capsys.readouterr().out
    tokens, alone = ActivationStore.open(served / "every").tokens(3), ActivationStore.open(served / "acts")
    np.testing.assert_array_equal(tokens.values[tokens.offsets[1:] - 1], alone.layer(3))
    table = pd.DataFrame({"id": list(TEXTS), "text": [TEXTS["a"], TEXTS["b"] + " calm", TEXTS["c"]]})
    write_table(table, rows)
    message = run_failing(*asked, "--out", served / "other")
    assert "row 'b' has 6 tokens there, and the tokenizer gives 7" in message
    assert not (served / "other").exists()
    w2s(*asked, "--no-check", "--out", served / "other")
    message = run_failing("import", served / "states", "--rows", rows, *layout, "--chat-template", "own", "--out", "o")
    assert "--chat-template is for comparing tokens" in message
