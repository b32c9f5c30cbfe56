"""Fine-tuning tiny models: every architecture learns; the head, the adapters, the choice of the best, bad input."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.worlds.finetuning import QUICK, save_model, task, tiny
from w2s_probes import auroc
from w2s_probes.losses import Objective
from w2s_probes.students import FineTuning, Texts
from w2s_probes.students.finetune import FineTuned, finetune
from w2s_probes.students.finetuning.classifier import Checkpoint, set_padding
from w2s_probes.students.finetuning.loop import Evaluation
from w2s_probes.students.finetuning.model_heads import find_head, lora_targets

SIZE: dict[str, Any] = {"vocab_size": 44, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
USUAL = SIZE | {"intermediate_size": 48, "max_position_embeddings": 64}
GROUPED = USUAL | {"num_key_value_heads": 2}
# By family: class, config, its settings, the head's modules, and the projections inside a block.
LLAMA = {f"self_attn.{x}_proj" for x in "qkvo"} | {f"mlp.{x}_proj" for x in ("gate", "up", "down")}
BERT = {f"attention.self.{x}" for x in ("query", "key", "value")} | {
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
}
FAMILIES: dict[str, tuple[str, str, dict[str, Any], list[str], set[str]]] = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", GROUPED, ["score"], LLAMA),
    "qwen2": ("Qwen2Model", "Qwen2Config", GROUPED, ["score"], LLAMA),
    "mistral": ("MistralForCausalLM", "MistralConfig", GROUPED, ["score"], LLAMA),
    "gemma2": ("Gemma2Model", "Gemma2Config", GROUPED | {"head_dim": 8}, ["score"], LLAMA),
    "opt": (
        "OPTForCausalLM",
        "OPTConfig",
        USUAL | {"ffn_dim": 48, "word_embed_proj_dim": 32},
        ["score"],
        {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "fc1", "fc2"},
    ),
    "gpt2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        {"vocab_size": 44, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64},
        ["score"],
        {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"},
    ),
    "gpt_neox": (
        "GPTNeoXModel",
        "GPTNeoXConfig",
        USUAL,
        ["score"],
        {"attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"},
    ),
    "bert": ("BertModel", "BertConfig", USUAL, ["classifier", "bert.pooler"], BERT),
    "roberta": ("RobertaModel", "RobertaConfig", USUAL | {"pad_token_id": 0}, ["classifier"], BERT),
}
Made = Callable[[str], Path]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A function from a family's name to a checkpoint's folder."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            kind, config, settings, _, _ = FAMILIES[family]
            made[family] = save_model(tmp_path_factory.mktemp(family), tiny(kind, config, **settings))
        return made[family]

    return make


def trained(place: Path, settings: FineTuning = QUICK, *, rows: Texts | None = None, **more: Any) -> FineTuned:
    held_out = task(40, seed=1)
    return finetune(
        place,
        rows or task(),
        held_out,
        {"test": held_out.texts},
        settings=settings,
        objective=more.pop("objective", Objective("xent")),
        **more,
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_every_architecture_learns(model: Made, family: str, kind: str) -> None:
    steps: dict[str, Any] = {"epochs": 3, "eval_every": 10, "learning_rate": 2e-2 if kind == "lora" else 5e-3}
    found = trained(model(family), QUICK.model_copy(update={"kind": kind, **steps}), rows=task(160))
    truth = task(40, seed=1).soft
    assert found.best_auroc == auroc(truth, found.scores["test"]) > 0.85
    assert found.history[-1].step == 30


def test_what_is_learnt_is_what_the_labels_say(model: Made) -> None:
    rows, test = task(), task(40, seed=1)
    turned = Texts(rows.texts, 1 - rows.soft)
    found = finetune(model("llama"), turned, None, {"t": test.texts}, settings=QUICK, objective=Objective("xent"))
    assert auroc(test.soft, found.scores["t"]) < 0.15


@pytest.mark.parametrize("family", FAMILIES)
def test_head_and_projections_are_found_and_only_they_are_trained(model: Made, family: str) -> None:
    head, projections = FAMILIES[family][3:]
    checkpoint = Checkpoint.open(model(family))
    full = checkpoint.classifier(QUICK, seed=0, dtype=torch.float32)
    assert find_head(full).modules == head
    assert set(lora_targets(full, None)) == projections
    adapted = checkpoint.classifier(FineTuning(), seed=0, dtype=torch.bfloat16)
    trainable = {n: p for n, p in adapted.named_parameters() if p.requires_grad}
    assert all(p.dtype == torch.float32 for p in trainable.values())
    assert all("lora_" in n or any(f"{h}." in n for h in head) for n in trainable)
    lora = [n for n in trainable if "lora_" in n]
    assert len(lora) == 2 * 3 * len(projections)  # A and B, in each of three blocks
    assert {n.split("modules_to_save")[0].removeprefix("base_model.model.").rstrip(".") for n in trainable} - {
        n.removeprefix("base_model.model.") for n in lora
    } == set(head)
    frozen = [p.dtype for n, p in adapted.named_parameters() if not p.requires_grad and "original_module" not in n]
    assert set(frozen) == {torch.bfloat16}


def test_the_head_is_made_anew_from_the_seed_whatever_the_checkpoint_had(model: Made, tmp_path: Path) -> None:
    first = Checkpoint.open(model("llama")).classifier(QUICK, seed=0, dtype=torch.float32)
    with torch.no_grad():
        first.score.weight.fill_(100)
    tuned = save_model(tmp_path / "tuned", first)
    three = tiny("LlamaForSequenceClassification", "LlamaConfig", **GROUPED, num_labels=3)
    heads = [
        Checkpoint.open(folder).classifier(QUICK, seed=seed, dtype=torch.float32).score.weight
        for folder, seed in [(model("llama"), 0), (tuned, 0), (save_model(tmp_path / "three", three), 0), (tuned, 1)]
    ]
    assert torch.equal(heads[0], heads[1])
    assert torch.equal(heads[0], heads[2])
    assert not torch.equal(heads[0], heads[3])
    assert heads[0].std().item() == pytest.approx(0.01 * 0.02, rel=0.3)
    assert heads[0].dtype == torch.float32


def test_the_head_computes_in_float32_where_the_rest_is_bfloat16(model: Made) -> None:
    found = Checkpoint.open(model("llama")).classifier(FineTuning(dtype="bfloat16"), seed=0, dtype=torch.bfloat16)
    seen: list[torch.dtype] = []
    found.get_submodule("base_model.model.model.layers.0").register_forward_hook(lambda *a: seen.append(a[2].dtype))
    found.base_model.model.score.register_forward_hook(lambda *a: seen.append(a[2].dtype))
    found.config.pad_token_id = 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found(input_ids=torch.tensor([[5, 6]]))
    assert seen == [torch.bfloat16, torch.float32]
    assert trained(model("llama"), QUICK.model_copy(update={"dtype": "bfloat16"})).best_auroc is not None


@pytest.mark.parametrize("special", [{"pad_token": "</s>", "eos_token": "</s>"}, {"pad_token": None}])
def test_a_text_is_judged_by_its_last_token_even_where_that_is_the_padding(
    model: Made, tmp_path: Path, special: dict[str, Any]
) -> None:
    folder = save_model(tmp_path, tiny("LlamaForCausalLM", "LlamaConfig", **GROUPED), **special)
    texts = ["w1 w2 </s>", "w3 </s> </s>", "w1 w2 w3 w4 w5 </s>", "</s>"]
    rows = Texts(texts, [0, 1, 0, 1])
    settings = QUICK.model_copy(update={"learning_rate": 1e-12})
    together = finetune(folder, rows, None, {"t": texts}, settings=settings, objective=Objective("xent"))
    checkpoint = Checkpoint.open(folder)
    plain = checkpoint.classifier(settings, seed=0, dtype=torch.float32).eval()
    for text, score in zip(texts, together.scores["t"], strict=True):
        hidden = plain.model(input_ids=torch.tensor([checkpoint.tokenizer(text)["input_ids"]])).last_hidden_state
        assert plain.score(hidden[0, -1]).softmax(0)[1].item() == pytest.approx(score, abs=1e-6)
    pad = set_padding(checkpoint, plain, {0, 3})
    assert pad not in (0, 3)


def test_the_best_look_is_kept_and_patience_ends_training(model: Made) -> None:
    looks: list[Evaluation] = []
    settings = QUICK.model_copy(update={"epochs": 30, "patience": 3, "eval_every": 2, "learning_rate": 1e-2})
    found = trained(model("llama"), settings, report=looks.append)
    scores = [look.auroc or 0 for look in looks]
    assert found.history == tuple(looks)
    assert found.best_auroc == max(scores)
    assert found.best_step == looks[scores.index(max(scores))].step
    assert found.stopped
    assert len(looks) == scores.index(max(scores)) + 1 + 3 < 90
    assert auroc(task(40, seed=1).soft, found.scores["test"]) == found.best_auroc  # of the kept model, not the last


def test_nothing_is_concluded_while_the_loss_ramps(model: Made) -> None:
    settings = QUICK.model_copy(update={"epochs": 10, "patience": 1, "eval_every": 2, "learning_rate": 1e-9})
    plain = trained(model("llama"), settings)
    ramping = trained(model("llama"), settings, objective=Objective("logconf", warm_up=20))
    assert plain.history[-1].step < 20 < ramping.history[-1].step


def test_no_update_of_the_ramp_is_chosen_and_the_weight_at_the_choice_is_told(model: Made) -> None:
    """At a rate of nothing all looks are alike and the first one that may be chosen is."""
    settings = QUICK.model_copy(update={"epochs": 10, "eval_every": 2, "learning_rate": 1e-9})
    plain = trained(model("llama"), settings)
    ramped = trained(model("llama"), settings, objective=Objective("logconf", alpha=0.4, warm_up=20))
    assert (plain.best_step, plain.best_alpha) == (2, None)
    assert ramped.best_step > 20
    assert ramped.best_alpha == 0.4
    never = trained(model("llama"), settings, objective=Objective("logconf", alpha=0.4, warm_up=10_000))
    assert never.best_step == never.history[-1].step  # the ramp outlasts the training: the last is all there is


@pytest.mark.parametrize("stop", ["log_loss", "agreement"])
def test_other_criteria_judge_validation_rows_of_one_class(stop: str, model: Made) -> None:
    rows = task(40, 1)
    one = Texts(rows.texts, np.full(40, 0.4))
    settings = QUICK.model_copy(update={"stop": stop, "learning_rate": 1e-2, "eval_every": 2})
    found = finetune(model("llama"), task(), one, {"t": rows.texts}, settings=settings, objective=Objective("xent"))
    assert found.best_auroc is None
    assert found.best_step < found.history[-1].step  # labels near one half agree with an early model best
    assert np.abs(found.scores["t"] - 0.4).max() < 0.5


def test_validation_rows_of_one_class_leave_the_last_model(model: Made) -> None:
    rows = task(40, 1)
    one = Texts(rows.texts, np.full(40, 0.9))
    given = finetune(model("llama"), task(), one, {"t": rows.texts}, settings=QUICK, objective=Objective("xent"))
    none = finetune(model("llama"), task(), None, {"t": rows.texts}, settings=QUICK, objective=Objective("xent"))
    assert given.best_auroc is None
    assert given.best_step == given.history[-1].step == 24
    np.testing.assert_array_equal(given.scores["t"], none.scores["t"])


def test_the_same_seed_gives_the_same_bits_with_dropout_and_leaves_random_states_alone(model: Made) -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    first = trained(model("bert"), seed=3)
    assert torch.equal(states[0], torch.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002
    torch.rand(7)
    again, other = trained(model("bert"), seed=3), trained(model("bert"), seed=4)
    np.testing.assert_array_equal(first.scores["test"], again.scores["test"])
    assert not np.array_equal(first.scores["test"], other.scores["test"])


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks by an older name
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_saved_model_loads_in_transformers_and_peft_and_scores_alike(model: Made, tmp_path: Path, kind: str) -> None:
    found = trained(model("gpt2"), QUICK.model_copy(update={"kind": kind}), folder=tmp_path, save=True)
    assert found.model is not None
    tokenizer = AutoTokenizer.from_pretrained(found.model)
    if kind == "lora":
        from peft import PeftModel

        base = AutoModelForSequenceClassification.from_pretrained(model("gpt2"), num_labels=2)
        base.config.pad_token_id = tokenizer.pad_token_id
        loaded: Any = PeftModel.from_pretrained(base, found.model)
        names = load_file(found.model / "adapter_model.safetensors")
        assert all("lora_" in name or "score" in name for name in names)
    else:
        loaded = AutoModelForSequenceClassification.from_pretrained(found.model)
    inputs = tokenizer(task(40, seed=1).texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = loaded.eval()(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    np.testing.assert_allclose(logits.softmax(1)[:, 1].numpy(), found.scores["test"], atol=1e-5)


def test_long_texts_are_cut_at_the_window_and_counted(model: Made) -> None:
    rows = Texts(["w1 " * 100, "w2 " * 65, "w3 " * 64, "w4"], [0, 1, 0, 1])
    more: dict[str, Any] = {"predict": {"t": rows.texts}, "objective": Objective("xent")}
    assert finetune(model("gpt2"), rows, settings=QUICK, **more).cut == {"train": 2, "t": 2}
    settings = QUICK.model_copy(update={"max_length": 3})
    assert finetune(model("gpt2"), rows, settings=settings, **more).cut == {"train": 3, "t": 3}
