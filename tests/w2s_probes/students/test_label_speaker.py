"""A model that learns to say labels: its loss by hand, its files, its rows and batches, and what is refused."""

import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from extract.asking import Asking, Saying, said_labels
from tests.worlds.finetuning import QUICK, save_model, task, tiny
from w2s_probes import InputError, auroc
from w2s_probes.losses import Objective
from w2s_probes.store.manifest import identity_key
from w2s_probes.students import FineTuning, Texts
from w2s_probes.students.artefacts import SavedStudent
from w2s_probes.students.finetune import FineTuned, finetune
from w2s_probes.students.finetuning import training_folder
from w2s_probes.students.finetuning.classifier import Checkpoint
from w2s_probes.students.finetuning.process_group import ProcessGroup
from w2s_probes.students.finetuning.updates import ModelInTraining
from w2s_probes.students.texts import Tokenized

Made = Callable[..., Path]
SIZE: dict[str, Any] = {"vocab_size": 44, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
USUAL = SIZE | {"intermediate_size": 48, "max_position_embeddings": 64}
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", USUAL | {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "gemma2": (
        "Gemma2ForCausalLM",
        "Gemma2Config",
        USUAL | {"num_key_value_heads": 2, "head_dim": 8, "final_logit_softcapping": 3.0},
    ),
    "gpt2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        {"vocab_size": 44, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    ),
    "neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", USUAL),
}
PROMPT: dict[str, Any] = {"answers": ("w7", "w8"), "prompt": "{text} w9"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function from a family's name to a checkpoint's folder."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            kind, config, settings = FAMILIES[family]
            made[family] = save_model(tmp_path_factory.mktemp(family), tiny(kind, config, **settings))
        return made[family]

    return make


def trained(place: Path, settings: FineTuning = QUICK, *, rows: Texts | None = None, **more: Any) -> FineTuned:
    held_out, asked = task(40, seed=1), more.pop("asked", PROMPT)
    return finetune(
        place,
        rows or task(),
        held_out,
        {"test": held_out.texts},
        settings=settings,
        objective=more.pop("objective", Objective("xent")),
        says=Saying.plan(str(place), **asked),
        **more,
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_every_architecture_learns_and_its_saved_model_says_the_same(
    model: Callable[[str], Path], family: str, kind: str, tmp_path: Path
) -> None:
    steps: dict[str, Any] = {"kind": kind, "epochs": 5, "learning_rate": 2e-2 if kind == "lora" else 3e-3}
    found = trained(model(family), QUICK.model_copy(update=steps), folder=tmp_path, save=True)
    held_out = task(40, seed=1)
    assert found.best_auroc == auroc(held_out.soft, found.scores["test"]) > 0.85
    rows = pd.DataFrame({"id": [f"r{i}" for i in range(40)], "text": held_out.texts})
    again = said_labels(tmp_path / "model", rows.assign(question="all of one"))
    assert again.p == pytest.approx(found.scores["test"], abs=1e-5)
    asked = Asking.plan(str(tmp_path / "model"), rows, **PROMPT).run()
    assert asked.p == pytest.approx(again.p, abs=1e-6)
    assert SavedStudent.find(tmp_path / "model").speaks


def test_what_is_learnt_is_what_the_labels_say(model: Callable[[str], Path]) -> None:
    rows, test = task(), task(40, seed=1)
    turned = trained(model("llama"), rows=Texts(rows.texts, 1 - rows.soft))
    assert auroc(test.soft, turned.scores["test"]) < 0.15


@pytest.mark.parametrize("over", ["labels", "vocabulary"])
@pytest.mark.parametrize("budget", [40, 5000])
def test_the_loss_and_its_gradient_are_those_of_the_whole_model_by_hand(
    model: Callable[[str], Path], over: str, budget: int
) -> None:
    place, rows = model("gemma2"), task(12)
    soft = np.linspace(0.05, 0.95, 12)
    says = Saying.plan(str(place), **PROMPT)
    settings = QUICK.model_copy(update={"over": over, "batch_tokens": budget})
    speaker = Checkpoint.open(place).speaker(settings, says, seed=0, dtype=torch.float32)
    student = ModelInTraining(speaker, settings, pad=0, dtype=torch.float32, processes=ProcessGroup.join(), seed=0)
    tokens = says.tokens(rows.texts, "train")
    read = Tokenized(tokens, np.array([len(row) for row in tokens]), 0)
    weight = torch.linspace(0.5, 1.5, 12)
    value = student.gradients(read, torch.from_numpy(soft), np.arange(12), Objective("xent"), step=0, weight=weight)
    plain = AutoModelForCausalLM.from_pretrained(place)
    tokenizer = AutoTokenizer.from_pretrained(place)
    lost = []
    for row, text in enumerate(rows.texts):
        logits = plain(input_ids=torch.tensor([tokenizer(f"{text} w9")["input_ids"]])).logits[0, -1]
        two = logits[list(says.words)]
        log_p = torch.log_softmax(two, -1) if over == "labels" else torch.log_softmax(logits, -1)[list(says.words)]
        lost.append(-weight[row] * ((1 - soft[row]) * log_p[0] + soft[row] * log_p[1]))
    mean = torch.stack(lost).mean()
    mean.backward()  # type: ignore[no-untyped-call]
    assert float(value) == pytest.approx(float(mean.detach()), abs=1e-5)
    theirs = {name: parameter.grad for name, parameter in plain.named_parameters()}
    for name, parameter in student.named.items():
        expected = theirs[name.removeprefix("model.")]
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, expected, atol=1e-5, rtol=1e-3)


def test_over_the_vocabulary_the_words_take_the_rest(model: Callable[[str], Path], tmp_path: Path) -> None:
    rows, place = pd.DataFrame({"id": list("abcd"), "text": task(4, seed=3).texts}), model("llama")
    said, says = {}, Saying.plan(str(place), **PROMPT)
    for over in ("labels", "vocabulary"):
        settings = QUICK.model_copy(update={"over": over, "epochs": 8})
        objective, folder = Objective("xent"), tmp_path / over
        finetune(place, task(), settings=settings, objective=objective, folder=folder, save=True, says=says)
        said[over] = said_labels(folder / "model", rows).said.mean()
    assert said["vocabulary"] > 0.5 > 0.2 > said["labels"]


def test_killed_anywhere_it_ends_with_the_same_bits(
    model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_folder, "SECONDS", 0.0)
    monkeypatch.setattr(training_folder, "SHARE", 0.0)
    settings = QUICK.model_copy(update={"kind": "lora", "learning_rate": 1e-2})

    class Fatal(Objective):
        at = 0

        def advance(self) -> None:
            super().advance()
            if self.step == Fatal.at:
                os.kill(os.getpid(), SIGKILL)

    whole = trained(model("llama"), settings, objective=Fatal("logconf", warm_up=4))
    for at in (3, 9):
        Fatal.at = at
        if (child := os.fork()) == 0:
            try:
                trained(model("llama"), settings, objective=Fatal("logconf", warm_up=4), folder=tmp_path)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -SIGKILL
        assert (tmp_path / training_folder.STATE).is_file()
    Fatal.at = 0
    again = trained(model("llama"), settings, objective=Fatal("logconf", warm_up=4), folder=tmp_path)
    assert np.array_equal(again.scores["test"], whole.scores["test"])
    assert again.history == whole.history


def test_in_bfloat16_adapters_are_merged_once_and_log_odds_stay_fine(
    model: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = QUICK.model_copy(update={"kind": "lora", "learning_rate": 2e-2, "dtype": "bfloat16"})
    found = trained(model("llama"), settings, folder=tmp_path, save=True)
    held_out = task(40, seed=1)
    assert auroc(held_out.soft, found.scores["test"]) > 0.85
    odds = np.log(found.scores["test"] / (1 - found.scores["test"]))
    assert len(set(odds.astype(np.float32).view(np.uint32) << 16)) > 10  # more digits than bfloat16 has
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype="auto")
    assert {p.dtype for p in saved.parameters()} == {torch.float32}
    rows = pd.DataFrame({"id": [f"r{i}" for i in range(40)], "text": held_out.texts})
    again = said_labels(tmp_path / "model", rows).p
    assert np.abs(again - found.scores["test"]).max() < 0.1
    assert auroc(held_out.soft, again) > 0.85


def test_what_little_adapters_add_to_bfloat16_weights_is_saved(model: Callable[[str], Path], tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"kind": "lora", "learning_rate": 1e-4, "dtype": "bfloat16"})
    trained(model("llama"), settings, folder=tmp_path, save=True)
    before = dict(AutoModelForCausalLM.from_pretrained(model("llama"), dtype=torch.bfloat16).named_parameters())
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype="auto")
    moved = {name: (after != before[name].float()).float().mean() for name, after in saved.named_parameters()}
    assert moved["model.layers.0.self_attn.q_proj.weight"] > 0.9
    assert moved["model.embed_tokens.weight"] == 0


def test_words_prompt_and_template_decide_what_is_kept(model: Callable[[str], Path], tmp_path: Path) -> None:
    place = str(model("llama"))
    template = tmp_path / "chat.jinja"
    template.write_text("{% for m in messages %}w1 {{ m['content'] }} {% endfor %}")
    kinds: list[dict[str, Any]] = [
        PROMPT,
        PROMPT | {"answers": ("w8", "w7")},
        PROMPT | {"prompt": "{text} w9 w9"},
        PROMPT | {"chat_template": str(template)},
    ]
    assert len({identity_key(Saying.plan(place, **kind).facts) for kind in kinds}) == 4
    first = trained(model("llama"), folder=tmp_path)
    assert trained(model("llama"), folder=tmp_path).seconds == first.seconds
    for kind in kinds[1:]:
        other = trained(model("llama"), folder=tmp_path / "other", asked=kind)
        assert not np.array_equal(other.scores["test"], first.scores["test"])
        assert trained(model("llama"), folder=tmp_path / "other", asked=kind).seconds == other.seconds


def test_models_words_and_prompts_that_cannot_be_learned_are_refused_before_training(
    model: Callable[[str], Path], checkpoint: Made, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"train: row 3, .* with its prompt is 71 tokens, and .* reads 64 \(1 such"):
        rows = task()
        trained(model("llama"), rows=Texts([*rows.texts[:3], "w3 " * 70, *rows.texts[4:]], rows.soft))
    with pytest.raises(InputError, match="max_length = 20 cuts texts, and a prompt is never cut"):
        trained(model("llama"), QUICK.model_copy(update={"max_length": 20}))
    with pytest.raises(InputError, match="over = 'vocabulary' is of a model that says labels: give says"):
        settings = QUICK.model_copy(update={"over": "vocabulary"})
        finetune(model("llama"), task(20), settings=settings, objective=Objective("xent"))
    with pytest.raises(InputError, match="the language-model head stays as it is: leave it out"):
        trained(model("llama"), QUICK.model_copy(update={"kind": "lora", "lora_targets": ["q_proj", "lm_head"]}))
    with pytest.raises(InputError, match="classifiers cannot answer: name a causal model"):
        Saying.plan(str(checkpoint("bert")), **PROMPT)
    settings, says = QUICK, Saying.plan(str(model("llama")), **PROMPT)
    with pytest.raises(InputError, match="a bert whose config does not say is_decoder"):
        Checkpoint.open(checkpoint("bert")).speaker(settings, says, seed=0, dtype=torch.float32)
    with pytest.raises(
        InputError, match=r"its weights lack 1 of a causal model's \(.*\): it has no language-model head"
    ):
        Checkpoint.open(checkpoint("gpt_neox")).speaker(settings, says, seed=0, dtype=torch.float32)
    finetune(model("llama"), task(20), settings=settings, objective=Objective("xent"), folder=tmp_path, save=True)
    with pytest.raises(InputError, match="says no labels: give a model that was trained as kind 'lm'"):
        said_labels(tmp_path / "model", pd.DataFrame({"id": ["a"], "text": ["w1"]}))
