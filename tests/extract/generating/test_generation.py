"""What a model writes is its own, whatever the batch: against transformers, alone against together, in any order."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    RwkvConfig,
    RwkvForCausalLM,
)

from extract.generating import Generation, generate
from extract.generating.generator import TextGenerator
from extract.models.loading import Placement
from tests.conftest import ROOT, save_checkpoint
from w2s_probes import InputError
from w2s_probes.io.tables import read_table
from w2s_probes.randomness import stream

Checkpoint = Callable[..., Path]
SIZE: dict[str, Any] = {"vocab_size": 44, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
STRONG = str(ROOT / "data" / "miniature" / "strong")


def models() -> dict[str, Callable[[], Any]]:
    grouped: dict[str, Any] = {**SIZE, "intermediate_size": 48, "num_key_value_heads": 2}
    long = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [8.0] * 4, "rope_theta": 1e4}
    return {
        "gemma": lambda: Gemma2ForCausalLM(Gemma2Config(**grouped, head_dim=8, sliding_window=8)),
        "mistral": lambda: MistralForCausalLM(MistralConfig(**grouped, sliding_window=6)),
        "bloom": lambda: BloomForCausalLM(BloomConfig(vocab_size=44, hidden_size=32, n_layer=2, n_head=4)),
        "opt": lambda: OPTForCausalLM(
            OPTConfig(**SIZE, ffn_dim=48, max_position_embeddings=64, word_embed_proj_dim=32)
        ),
        "mamba": lambda: MambaForCausalLM(
            MambaConfig(vocab_size=44, hidden_size=32, num_hidden_layers=2, eos_token_id=3)
        ),
        "rwkv": lambda: RwkvForCausalLM(
            RwkvConfig(vocab_size=44, hidden_size=32, attention_hidden_size=32, num_hidden_layers=2, eos_token_id=None)
        ),
        "longrope": lambda: Phi3ForCausalLM(
            Phi3Config(
                **grouped,
                max_position_embeddings=64,
                original_max_position_embeddings=20,
                rope_parameters=long | {"original_max_position_embeddings": 20},
                pad_token_id=0,
                initializer_range=0.5,
            )
        ),
    }


def talks(rows: pd.DataFrame) -> list[list[str]]:
    return [[text] for text in rows["text"]]


def streams(rows: Sequence[str], seed: int = 0) -> list[np.random.Generator]:
    return [stream(seed, "test", row) for row in rows]


def write(folder: Path | str, rows: pd.DataFrame, **options: Any) -> list[Generation]:
    given: dict[str, Any] = {"max_new_tokens": 9, "template": "none", **options}
    return generate(str(folder), talks(rows), streams(rows["id"].tolist()), **given)


@pytest.fixture
def short(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[:12].reset_index(drop=True)


@pytest.mark.parametrize("family", ["llama", "gpt2", *models()])
def test_the_likeliest_tokens_are_those_of_transformers_row_by_row(
    family: str, checkpoint: Checkpoint, short: pd.DataFrame, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    folder = checkpoint(family) if family in ("llama", "gpt2") else save_checkpoint(models()[family](), tmp_path / "m")
    window = {"placement": Placement("cpu", batch_tokens=200)}
    found = write(folder, short, temperature=0, **window)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text, generation in zip(short["text"], found, strict=True):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        ends = model.generation_config.eos_token_id
        whole = model.generate(ids, max_new_tokens=9, do_sample=False, pad_token_id=0)[0, ids.shape[1] :].tolist()
        said = [token for token in whole if token != ends]
        assert generation.text == tokenizer.decode(said, skip_special_tokens=True)
        assert (generation.tokens, generation.cut) == (len(said), len(said) == 9)


def test_a_rows_text_is_the_same_alone_and_in_batches_of_any_size_and_order() -> None:
    rows = read_table(ROOT / "data/miniature/rows/miniature_sound/test.jsonl.gz")[:12].reset_index(drop=True)
    rows = rows.assign(id=[f"r{i}" for i in range(len(rows))])
    options: dict[str, Any] = {"max_new_tokens": 10, "placement": Placement("cpu", batch_tokens=100_000)}
    together = write(STRONG, rows, **options)
    assert len({generation.text for generation in together}) == len(rows)
    assert {(generation.tokens, generation.cut) for generation in together} == {(10, True)}
    for budget in (1, 200):
        assert write(STRONG, rows, **options | {"placement": Placement("cpu", batch_tokens=budget)}) == together
    turned = rows[::-1].reset_index(drop=True)
    assert write(STRONG, turned, **options)[::-1] == together
    assert write(STRONG, rows[5:9].reset_index(drop=True), **options) == together[5:9]
    # More tokens begin with the same.
    more = write(STRONG, rows, **options | {"max_new_tokens": 14})
    assert all(b.text.startswith(a.text) for a, b in zip(together, more, strict=True))


@pytest.mark.parametrize("family", ["gpt2", "mamba"])
def test_rows_that_have_ended_leave_the_batch_and_those_that_are_left_do_not_notice(
    family: str, checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    # The end of text of either is a word of the tokenizer's.
    folder = checkpoint(family) if family == "gpt2" else save_checkpoint(models()[family](), tmp_path / "m")
    seen = []
    forward = TextGenerator._forward

    def watched(self: TextGenerator, ids: Any, *others: Any) -> Any:
        seen.append(len(ids))
        return forward(self, ids, *others)

    rows = rows[[len(text.split()) < 14 for text in rows["text"]]][:14].reset_index(drop=True)
    options: dict[str, Any] = {"max_new_tokens": 44, "placement": Placement("cpu", batch_tokens=100_000)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextGenerator, "_forward", watched)
        together = write(folder, rows, **options)
    assert sorted(seen, reverse=True) == seen
    assert len(set(seen)) > 1
    assert {generation.cut for generation in together} == {True, False}
    assert all(generation.tokens < 44 for generation in together if not generation.cut)
    assert write(folder, rows, **options | {"placement": Placement("cpu", batch_tokens=1)}) == together


def test_rows_that_come_to_be_read_in_another_way_do_so_together(rows: pd.DataFrame, tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = save_checkpoint(models()["longrope"](), tmp_path / "m")
    alone = write(folder, rows, placement=Placement("cpu", batch_tokens=1))
    assert write(folder, rows, placement=Placement("cpu", batch_tokens=10_000)) == alone


@pytest.mark.parametrize("family", ["llama", "mamba"])
def test_equal_prompts_are_read_once_and_go_on_by_their_own_draws(
    family: str, checkpoint: Checkpoint, short: pd.DataFrame, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    folder = checkpoint() if family == "llama" else save_checkpoint(models()[family](), tmp_path / "m")
    twice = pd.concat([short, short.assign(id="again " + short["id"])], ignore_index=True)
    seen = []
    forward = TextGenerator._forward

    def watched(self: TextGenerator, ids: Any, *others: Any) -> Any:
        seen.append(len(ids))
        return forward(self, ids, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextGenerator, "_forward", watched)
        found = write(folder, twice)
    assert seen[:2] == [12, 24]
    assert found[:12] == write(folder, short)
    assert found[12:] == write(folder, short.assign(id="again " + short["id"]))
    assert found[:12] != found[12:]


def test_a_batch_that_does_not_fit_is_halved_and_a_row_that_does_not_is_named(
    checkpoint: Checkpoint, short: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = write(checkpoint(), short)
    continued = TextGenerator._continued

    def small(self: TextGenerator, tokens: Any, *others: Any) -> Any:
        if len(tokens) > most:
            raise torch.OutOfMemoryError
        return continued(self, tokens, *others)

    monkeypatch.setattr(TextGenerator, "_continued", small)
    most = 2
    assert write(checkpoint(), short) == before
    most = 0
    with pytest.raises(InputError, match=r"row '\d+' with \d+ tokens does not fit into the memory of cpu"):
        write(checkpoint(), short)


def test_logits_that_are_no_numbers_are_refused_by_row(checkpoint: Checkpoint, short: pd.DataFrame) -> None:
    continued = TextGenerator._forward

    def broken(self: TextGenerator, ids: Any, *others: Any) -> Any:
        logits, cache = continued(self, ids, *others)
        logits[-1, 3] = torch.nan
        return logits, cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextGenerator, "_forward", broken)
        with pytest.raises(
            InputError, match=r"a token of row 'row-\d+' are NaN or infinite in float32: are its weights"
        ):
            write(checkpoint(), short, names=short["id"].tolist())


def test_a_model_that_cannot_be_run_so_is_refused_in_one_line(
    checkpoint: Checkpoint, short: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise AttributeError("no such cache")

    monkeypatch.setattr("transformers.LlamaForCausalLM.forward", broken)
    with pytest.raises(InputError, match=r"cannot write on in batches .no such cache.: name another one"):
        write(checkpoint(), short)


def test_prompts_that_leave_no_room_are_refused_before_weights_are_read(
    checkpoint: Checkpoint, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> Any:
        raise AssertionError

    monkeypatch.setattr(TextGenerator, "__init__", never)
    with pytest.raises(InputError, match=r"row '\d+' with its prompt is \d+ tokens, 40 are to be added, .* reads 64"):
        write(checkpoint(), rows, max_new_tokens=40)
    with pytest.raises(InputError, match="classifiers cannot write: name a causal model"):
        write(checkpoint("bert"), rows)
    with pytest.raises(InputError, match="its tokenizer has no chat template"):
        write(checkpoint(), rows, template="own")


def test_earlier_messages_stand_before_the_last(checkpoint: Checkpoint, tmp_path: Path) -> None:
    jinja = tmp_path / "chat.jinja"
    jinja.write_text(
        "{% for m in messages %}{{ 'w8 ' if m['role'] == 'user' else 'w9 ' }}{{ m['content'] }}{{ ' ' }}{% endfor %}w9"
    )
    options: dict[str, Any] = {"max_new_tokens": 5}
    talk = ["w1 w2", "w3", "the quick heron w4"]
    by_turns = generate(str(checkpoint()), [talk], streams(["a"]), template=str(jinja), **options)
    flat = [["w8 w1 w2 w9 w3 w8 the quick heron w4 w9"]]
    assert by_turns == generate(str(checkpoint()), flat, streams(["a"]), template="none", **options)
