"""Answers are the model's own logits, whatever the batch; templates, shots, calibration; and what is refused."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
)

from extract.asking import Asking, kept_batches
from extract.asking.adjusting import bias
from extract.asking.shots import Shot, draw_shots
from extract.asking.speaker import Speaker
from extract.models.loading import Placement
from extract.models.source import ModelSource
from tests.conftest import save_checkpoint
from w2s_probes import InputError

Checkpoint = Callable[..., Path]
SIZE: dict[str, Any] = {"vocab_size": 44, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
PLAIN: dict[str, Any] = {"answers": ("w1", "w2"), "prompt": "{text}"}
CHAT = (
    "{% for m in messages %}{{ '<s> ' + m['role'].replace('user', 'w8').replace('assistant', 'w9') + ' ' }}"
    "{{ m['content'] }}"
    "{{ ' ' }}{% endfor %}{% if add_generation_prompt %}{{ '<s> w9 ' }}{% endif %}"
)


def gemma() -> Any:
    """A model that caps its logits after the head."""
    torch.manual_seed(0)
    config = Gemma2Config(**SIZE, intermediate_size=48, head_dim=8, num_key_value_heads=2, final_logit_softcapping=0.05)
    return Gemma2ForCausalLM(config)


def neox() -> Any:
    torch.manual_seed(0)
    return GPTNeoXForCausalLM(GPTNeoXConfig(**SIZE, intermediate_size=48, max_position_embeddings=64))


def by_hand(folder: Path, prompts: list[str]) -> tuple[Any, Any]:
    """Each prompt alone through the whole model: logits of w1 and w2, and log-totals."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        last = [model(input_ids=torch.tensor([tokenizer(p)["input_ids"]])).logits[0, -1].double() for p in prompts]
    return np.array([[x[5].item(), x[6].item()] for x in last]), np.array([x.logsumexp(0).item() for x in last])


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma", "neox"])
def test_answers_are_the_models_own_logits_in_batches_of_any_size(
    family: str, checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path
) -> None:
    made = {"gemma": gemma, "neox": neox}.get(family)
    folder = checkpoint(family) if made is None else save_checkpoint(made(), tmp_path / family)
    logits, total = by_hand(folder, rows["text"].tolist())
    for budget in (1, 40, 5000):
        found = Asking.plan(str(folder), rows, **PLAIN).run(placement=Placement("cpu", batch_tokens=budget))
        assert found.logit_0 == pytest.approx(logits[:, 0], abs=1e-5)
        assert found.logit_1 == pytest.approx(logits[:, 1], abs=1e-5)
        assert found.log_total == pytest.approx(total, abs=1e-5)
    assert found.p == pytest.approx(expit(logits[:, 1] - logits[:, 0]), abs=1e-5)
    assert found.said == pytest.approx(np.exp(logits - total[:, None]).sum(axis=1), abs=1e-5)
    assert (found.shift, found.together, found.labels.role) == (0, 0, "weak")


def test_swapped_answers_are_swapped_probabilities(checkpoint: Checkpoint, rows: pd.DataFrame) -> None:
    one = Asking.plan(str(checkpoint()), rows, **PLAIN)
    other = Asking.plan(str(checkpoint()), rows, answers=("w2", "w1"), prompt="{text}")
    assert one.run().p == pytest.approx(1 - other.run().p)
    assert one.key != other.key


def test_shots_stand_before_the_row_with_their_answers(checkpoint: Checkpoint, rows: pd.DataFrame) -> None:
    shots = [Shot("a", "w10 w11", 1), Shot("b", "w12", 0)]
    plan = Asking.plan(str(checkpoint()), rows[:3], answers=("w1", "w2"), prompt="{text} w7 {0} {1}", shots=shots)
    prompts = [f"w10 w11 w7 w1 w2 w2 w12 w7 w1 w2 w1 {text} w7 w1 w2" for text in rows["text"][:3]]
    logits, _ = by_hand(checkpoint(), prompts)
    assert plan.run().logit_1 == pytest.approx(logits[:, 1], abs=1e-5)


def test_a_template_makes_turns_of_shots_and_is_taken_where_the_tokenizer_has_one(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path
) -> None:
    from tests.conftest import model_of

    folder = save_checkpoint(model_of("llama"), tmp_path / "chat")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    plan = Asking.plan(str(folder), rows[:3], **PLAIN, shots=[Shot("a", "w10", 1), Shot("b", "w11", 0)])
    turns = "<s> w8 w10 <s> w9 w2 <s> w8 w11 <s> w9 w1 "
    logits, _ = by_hand(folder, [f"{turns}<s> w8 {text} <s> w9" for text in rows["text"][:3]])
    assert plan.run().logit_0 == pytest.approx(logits[:, 0], abs=1e-5)
    plain = Asking.plan(str(folder), rows[:3], **PLAIN, chat_template="none")
    assert plain.run().logit_0 == pytest.approx(by_hand(folder, rows["text"][:3].tolist())[0][:, 0], abs=1e-5)
    assert plan.key != plain.key
    with pytest.raises(InputError, match="its tokenizer has no chat template"):
        Asking.plan(str(checkpoint()), rows, **PLAIN, chat_template="own")


def test_calibration_takes_the_models_bias_off(checkpoint: Checkpoint, rows: pd.DataFrame) -> None:
    raw = Asking.plan(str(checkpoint()), rows, **PLAIN).run()
    prior = Asking.plan(str(checkpoint()), rows, **PLAIN, calibrate="prior").run()
    assert prior.shift == pytest.approx(bias(raw.log_odds))
    assert prior.p == pytest.approx(expit(raw.log_odds - prior.shift))
    free = Asking.plan(
        str(checkpoint()), rows, answers=("w1", "w2"), prompt="{text} w7", calibrate="content-free"
    ).run()
    logits, _ = by_hand(checkpoint(), ["N/A w7", "[MASK] w7", "w7"])
    assert free.shift == pytest.approx(bias(logits[:, 1] - logits[:, 0]), abs=1e-5)


def test_rows_of_one_question_are_judged_together(checkpoint: Checkpoint, rows: pd.DataFrame) -> None:
    asked = rows.assign(question=[f"q{i // 4}" for i in range(40)])
    found = Asking.plan(str(checkpoint()), asked, **PLAIN).run()
    assert found.together == 10
    assert (pd.Series(found.p).groupby(asked["question"]).sum() < 1).all()


def test_models_without_a_head_for_words_are_refused(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path
) -> None:
    from transformers import LlamaConfig, LlamaForSequenceClassification

    classifier = LlamaForSequenceClassification(LlamaConfig(**SIZE, intermediate_size=48))
    save_checkpoint(classifier, tmp_path / "classifier")
    for folder in (tmp_path / "classifier", checkpoint("bert"), checkpoint("gpt_neox")):
        with pytest.raises(InputError, match="classifiers cannot answer: name a causal model"):
            Asking.plan(str(folder), rows, **PLAIN)


def test_a_model_whose_tokens_see_those_after_them_is_refused_whatever_head_it_has(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    from transformers import BertConfig, BertLMHeadModel

    for is_decoder in (False, True):
        bert = BertLMHeadModel(BertConfig(**SIZE, intermediate_size=48, is_decoder=is_decoder))
        save_checkpoint(bert, tmp_path / str(is_decoder))
    with pytest.raises(InputError, match=r"its tokens see those after them \(a bert whose config does not say"):
        Asking.plan(str(tmp_path / "False"), rows, **PLAIN)
    found = Asking.plan(str(tmp_path / "True"), rows, **PLAIN).run()
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "True").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "True")
    ids = torch.tensor([tokenizer(rows["text"][0], add_special_tokens=False)["input_ids"]])
    assert found.logit_0[0] == pytest.approx(model(input_ids=ids).logits[0, -1, 5].item(), abs=1e-5)


def test_a_prompt_beyond_the_window_is_refused_before_weights_are_read(
    checkpoint: Checkpoint, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> Any:
        raise AssertionError

    monkeypatch.setattr(Asking, "speaker", never)
    shots = [Shot("a", "w10 " * 20, 1), Shot("b", "w11 " * 20, 0)]
    with pytest.raises(
        InputError, match=r"row 'row-\d+' with its prompt is \d+ tokens, and .* reads 64 \(\d+ such rows"
    ):
        Asking.plan(str(checkpoint()), rows, **PLAIN, shots=shots).run()


def test_a_word_that_the_weights_do_not_know_is_refused(
    checkpoint: Checkpoint, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelSource, "vocabulary", 6)
    with pytest.raises(InputError, match=r"answer 'w2' is token 6, and .* knows 6: tokenizer and weights"):
        Asking.plan(str(checkpoint()), rows, **PLAIN)


def test_options_that_cannot_be_used_are_refused(checkpoint: Checkpoint, rows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"no \{text\} in it"):
        Asking.plan(str(checkpoint()), rows, answers=("w1", "w2"), prompt="w3")
    with pytest.raises(InputError, match="did you mean 'prior'"):
        Asking.plan(str(checkpoint()), rows, **PLAIN, calibrate="priors")


def test_a_batch_that_does_not_fit_is_halved(
    checkpoint: Checkpoint, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Asking.plan(str(checkpoint()), rows, **PLAIN)
    before, speaker = plan.run(), plan.speaker(Placement("cpu", batch_tokens=400))
    forward = Speaker._forward
    monkeypatch.setattr(
        Speaker, "_forward", lambda self, tokens, *a: None if len(tokens) > 2 else forward(self, tokens, *a)
    )
    assert plan.run(speaker=speaker).logit_0 == pytest.approx(before.logit_0, abs=1e-5)
    assert speaker.budget < 400


def test_killed_midway_it_goes_on_with_the_same_bits(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, small = Asking.plan(str(checkpoint()), rows, **PLAIN), Placement("cpu", batch_tokens=60)
    whole, forward = plan.run(placement=small), Speaker._forward
    monkeypatch.setattr(kept_batches, "SECONDS", 0.0)
    calls: list[int] = []
    dies_at = 0

    def fatal(self: Speaker, tokens: Any, words: Any) -> Any:
        calls.append(len(tokens))
        if len(calls) == dies_at:
            os.kill(os.getpid(), SIGKILL)
        return forward(self, tokens, words)

    monkeypatch.setattr(Speaker, "_forward", fatal)
    plan.run(placement=small)
    batches = calls.copy()
    assert len(batches) > 8
    read = 0
    for dies_at in (3, 4):  # of the batches that are left
        calls.clear()
        if (child := os.fork()) == 0:
            try:
                plan.run(placement=small, kept=tmp_path / "unfinished")
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -SIGKILL
        read += dies_at - 1
        assert len(list((tmp_path / "unfinished").iterdir())) == read
    dies_at = 0
    calls.clear()
    again = plan.run(placement=small, kept=tmp_path / "unfinished")
    assert calls == batches[read:]
    for name in ("p", "logit_0", "logit_1", "log_total"):
        assert np.array_equal(getattr(again, name), getattr(whole, name))
    assert not (tmp_path / "unfinished").exists()


def test_what_was_kept_of_other_words_or_damaged_is_read_again(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_batches, "SECONDS", 0.0)
    plan, small = Asking.plan(str(checkpoint()), rows, **PLAIN), Placement("cpu", batch_tokens=60)
    whole, forward, calls = plan.run(placement=small), Speaker._forward, list[int]()

    def stopped(self: Speaker, tokens: Any, words: Any) -> Any:
        calls.append(len(tokens))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return forward(self, tokens, words)

    monkeypatch.setattr(Speaker, "_forward", stopped)
    with pytest.raises(KeyboardInterrupt):
        plan.run(placement=small, kept=tmp_path / "kept")
    first, *_ = kept = sorted((tmp_path / "kept").iterdir())
    assert len(kept) == 4
    first.write_bytes(first.read_bytes()[:-3])
    monkeypatch.setattr(Speaker, "_forward", forward)
    for other in (plan, replace(plan, words=plan.words[::-1])):
        kept_here = tmp_path / other.key
        shutil.copytree(tmp_path / "kept", kept_here)
        again = other.run(placement=small, kept=kept_here)
        sides = (again.logit_0, again.logit_1)[:: 1 if other is plan else -1]
        assert sides[0] == pytest.approx(whole.logit_0, abs=1e-6)
        assert sides[1] == pytest.approx(whole.logit_1, abs=1e-6)


def labelled(n: int = 20) -> pd.DataFrame:
    ids, texts = [f"s{i}" for i in range(n)], [f"w{i} w{i}" for i in range(n)]
    return pd.DataFrame(
        {"id": ids, "text": texts, "label": [i % 2 for i in range(n)], "group": [f"g{i}" for i in range(n)]}
    )


def test_shots_are_as_many_of_each_class_whatever_the_files_order(rows: pd.DataFrame) -> None:
    table = labelled()
    shots = draw_shots(table, 8, rows, where="shots")
    assert sorted(shot.label for shot in shots) == [0] * 4 + [1] * 4
    assert draw_shots(table[::-1].reset_index(drop=True), 8, rows, where="shots") == shots
    assert draw_shots(table, 8, rows, where="shots", seed=1) != shots
    assert len({shot.id for shot in draw_shots(table, 5, rows, where="shots")}) == 5
    truth = table.assign(truth=1 - table["label"])
    assert {shot.label for shot in draw_shots(truth, 4, rows, where="s") if int(shot.id[1:]) % 2} == {0}


@pytest.mark.parametrize("field", ["id", "text", "group"])
def test_shots_that_are_asked_about_are_refused(field: str, rows: pd.DataFrame) -> None:
    rows = rows.assign(group=[f"h{i}" for i in range(len(rows))])
    table = labelled()
    table.loc[3, field] = rows[field][5]
    with pytest.raises(InputError, match=f"1 rows are asked about, too \\(same {field}"):
        draw_shots(table, 4, rows, where="shots")


def test_too_few_shots_and_soft_ones_are_refused(rows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="at least 2 are needed"):
        draw_shots(labelled(), 1, rows, where="shots")
    with pytest.raises(InputError, match="0 rows of label 0 where 4 shots need 2"):
        draw_shots(labelled().assign(label=1), 4, rows, where="shots")
    with pytest.raises(InputError, match=r"the label of row 's0' is 0.3: a shot's is 0 or 1"):
        draw_shots(labelled().assign(label=[0.3, *[1] * 19]), 4, rows, where="shots")


def test_the_key_is_that_of_all_that_decides_the_answers(checkpoint: Checkpoint, rows: pd.DataFrame) -> None:
    source = ModelSource.find(str(checkpoint()))
    plans = [
        Asking.plan(source, rows, **PLAIN),
        Asking.plan(source, rows[::-1], **PLAIN),
        Asking.plan(source, rows.assign(question="q"), **PLAIN),
        Asking.plan(source, rows, answers=("w1", "w2"), prompt="{text} w7"),
        Asking.plan(source, rows, **PLAIN, calibrate="prior"),
        Asking.plan(source, rows, **PLAIN, dtype="bfloat16"),
        Asking.plan(source, rows, **PLAIN, shots=[Shot("a", "w10", 1), Shot("b", "w11", 0)]),
    ]
    assert len({plan.key for plan in plans}) == len(plans)
    assert Asking.plan(source, rows, **PLAIN).key == plans[0].key
