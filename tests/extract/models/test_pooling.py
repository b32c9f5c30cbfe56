"""What is said where a model asks for another position than the one that is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from extract.encoding import Encoding
from extract.models import checkpoints
from extract.models.pooling import pooling_modes, position_remarks
from extract.models.source import ModelSource
from tests.conftest import save_checkpoint
from w2s_probes.io.tables import write_table

Checkpoint = Callable[..., Path]
OLD = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False}


def closing(folder: Path) -> Path:
    """Make the folder's tokenizer end every text with `</s>`, as an encoder's does with its [SEP]."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_special_tokens({"sep_token": "</s>"})
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 3)])
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def encoder(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    return closing(Path(shutil.copytree(checkpoint("bert"), tmp_path / "encoder")))


def pooled(folder: Path, settings: Any) -> Path:
    (folder / "1_Pooling").mkdir(exist_ok=True)
    text = settings if isinstance(settings, str) else json.dumps(settings)
    (folder / "1_Pooling" / "config.json").write_text(text)
    return folder


def remarks(folder: Path, position: Any) -> list[str]:
    return position_remarks(ModelSource.find(str(folder)), position)


@pytest.mark.parametrize(
    ("settings", "right", "reads"),
    [
        (OLD | {"pooling_mode_mean_tokens": True}, "mean", "the mean of all tokens"),
        (OLD | {"pooling_mode_cls_token": True}, "first", "the first token"),
        (OLD | {"pooling_mode_lasttoken": True}, "last", "the last token"),
        ({"pooling_mode": "mean"}, "mean", "the mean of all tokens"),
        ({"pooling_mode": "lasttoken"}, "last", "the last token"),
    ],
)
def test_a_checkpoint_that_says_how_it_pools_is_believed(
    encoder: Path, settings: dict[str, Any], right: str, reads: str
) -> None:
    pooled(encoder, settings)
    for position in ("first", "last", "mean", "all"):
        found = remarks(encoder, position)
        assert len(found) == (position not in (right, "all"))
        for remark in found:
            assert f"its own pooling is {reads} (1_Pooling/config.json), and position {position} " in remark
            assert remark.endswith(f": --position {right} is what it was trained for")
    if right != "last":
        assert "position last reads '</s>' in every text" in remarks(encoder, "last")[0]


def test_two_ways_at_once_are_both_right_and_others_have_no_position(encoder: Path) -> None:
    pooled(encoder, {"pooling_mode": ["cls", "mean"]})
    assert [len(remarks(encoder, position)) for position in ("first", "mean", "last")] == [0, 0, 1]
    pooled(encoder, OLD | {"pooling_mode_max_tokens": True})
    for position in ("last", "mean"):
        assert "pools by max (1_Pooling/config.json), which no --position does" in remarks(encoder, position)[0]


@pytest.mark.parametrize("text", ["{", "[1]", '"mean"', '{"pooling_mode": 3}', "{}"])
def test_a_damaged_file_about_pooling_says_nothing(encoder: Path, text: str) -> None:
    assert pooling_modes(pooled(encoder, text)) == []
    assert len(remarks(encoder, "last")) == 1  # what the model's kind says, it says all the same


def test_an_encoders_last_token_is_named_where_it_closes_every_text(encoder: Path, checkpoint: Checkpoint) -> None:
    (remark,) = remarks(encoder, "last")
    assert remark.endswith(
        ": an encoder, and position last reads '</s>', which closes every text: --position mean takes the mean of all "
        "tokens"
    )
    assert [remarks(encoder, position) for position in ("first", "mean", "all")] == [[], [], []]
    assert remarks(checkpoint("bert"), "last") == []  # whose texts end in a word


def test_the_encoder_of_an_encoder_decoder_is_one(tmp_path: Path) -> None:
    sizes = {"vocab_size": 44, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    folder = closing(save_checkpoint(T5EncoderModel(T5Config(**sizes)), tmp_path / "t5"))
    assert "an encoder, and position last reads '</s>'" in remarks(folder, "last")[0]


def test_a_template_decides_how_texts_end(encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "t.jinja").write_text("{{ messages[0]['content'] }}")
    source = ModelSource.find(str(encoder))
    assert position_remarks(source, "last", Encoding.plan(source, None, "right", str(tmp_path / "t.jinja"))) == []


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gpt2"])
def test_a_causal_model_has_read_nothing_at_its_first_token(family: str, checkpoint: Checkpoint) -> None:
    (remark,) = remarks(checkpoint(family), "first")
    assert "causal, so the token that position first reads has seen nothing of the text after it" in remark
    assert "--position last" in remark
    assert [remarks(checkpoint(family), position) for position in ("last", "mean", "all")] == [[], [], []]


def test_a_causal_model_that_closes_texts_has_read_them_there(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = closing(Path(shutil.copytree(checkpoint("llama"), tmp_path / "m")))
    assert remarks(folder, "last") == []


def test_extract_and_doctor_say_it_and_go_on(
    encoder: Path, tmp_path: Path, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    pooled(encoder, {"pooling_mode": "mean"})
    texts = [f"w{i} w{9 - i} w3" for i in range(9)]
    write_table(pd.DataFrame({"id": [f"r{i}" for i in range(9)], "text": texts}), tmp_path / "rows.jsonl")
    w2s("doctor", encoder, "--rows", tmp_path / "rows.jsonl")
    assert "--position mean is what it was trained for\n" in capsys.readouterr().out
    w2s("extract", encoder, "--rows", tmp_path / "rows.jsonl", "--out", tmp_path / "last")
    assert "--position mean is what it was trained for\n" in capsys.readouterr().out
    notes = json.loads((tmp_path / "last" / "manifest.json").read_text())["notes"]
    assert "position last reads '</s>' in every text" in notes["remarks"][0]
    w2s("extract", encoder, "--rows", tmp_path / "rows.jsonl", "--position", "mean", "--out", tmp_path / "mean")
    assert "--position" not in capsys.readouterr().out
    assert "remarks" not in json.loads((tmp_path / "mean" / "manifest.json").read_text())["notes"]


def test_the_file_is_fetched_for_sentence_transformers_of_the_hub_alone(
    encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[list[str]] = []

    def download(name: str, *, allow_patterns: list[str], **_: Any) -> str:
        asked.append(allow_patterns)
        return str(encoder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    ModelSource.find("some-lab/an-encoder")
    assert [checkpoints.POOLING] not in asked
    (encoder / "modules.json").write_text("[]")
    ModelSource.find("some-lab/an-encoder")
    assert asked[-1] == [checkpoints.POOLING]
