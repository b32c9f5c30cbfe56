"""What a fine-tuned student is made of: logits that do not depend on a text's company, and adapters on all experts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

from tests.conftest import save_checkpoint
from w2s_probes.errors import InputError
from w2s_probes.losses import Objective
from w2s_probes.students import FineTuning
from w2s_probes.students.finetune import finetune
from w2s_probes.students.finetuning.classifier import Checkpoint
from w2s_probes.students.finetuning.model_heads import expert_tensors, lora_targets
from w2s_probes.students.texts import Texts

SMALL: dict[str, Any] = {
    **{"vocab_size": 44, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48, "num_hidden_layers": 2},
    **{"max_position_embeddings": 64, "pad_token_id": 0, "num_key_value_heads": 2},
}


PLAIN, LORA = Objective("xent"), FineTuning(kind="lora", epochs=1)


def texts(n: int = 24) -> Texts:
    rng = np.random.default_rng(0)
    lines = [" ".join(f"w{i}" for i in rng.integers(0, 38, rng.integers(1, 30))) for _ in range(n)]
    return Texts(lines, np.arange(n) % 2 * 1.0)


def test_a_model_that_lets_texts_mix_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = hf.FNetModel(hf.FNetConfig(**SMALL, type_vocab_size=4))
    folder = save_checkpoint(model, tmp_path / "fnet")
    with pytest.raises(InputError, match=r"a text alone has other logits .* set batch_tokens = 1"):
        finetune(folder, texts(), objective=PLAIN, settings=FineTuning(kind="full", epochs=1), folder=tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()
    trained = finetune(folder, texts(), objective=PLAIN, settings=FineTuning(kind="full", epochs=1, batch_tokens=1))
    assert trained.best_step >= 0


@pytest.mark.parametrize("family", ["Mixtral", "Qwen2Moe"])
def test_experts_held_as_one_tensor_are_adapted_too(tmp_path: Path, family: str) -> None:
    torch.manual_seed(0)
    experts = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    config = getattr(hf, f"{family}Config")(**SMALL, **experts, shared_expert_intermediate_size=16)
    folder = save_checkpoint(getattr(hf, f"{family}Model")(config), tmp_path / family)
    classifier = Checkpoint.open(folder).classifier(FineTuning(kind="lora"), seed=0, dtype=torch.float32)
    adapted = {name for name, p in classifier.named_parameters() if "lora_A" in name and p.requires_grad}
    assert any("experts" in name for name in adapted), sorted(adapted)
    plain = hf.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    tensors = expert_tensors(plain)
    assert tensors
    targets = lora_targets(plain, None)
    assert all(any(name.endswith(target) for target in targets) for name in tensors)
    result = finetune(folder, texts(), predict={"t": texts().texts}, objective=PLAIN, settings=LORA)
    assert np.isfinite(result.scores["t"]).all()


def test_a_convolution_is_no_expert() -> None:
    assert expert_tensors(torch.nn.Sequential(torch.nn.Conv1d(2, 3, 4), torch.nn.Linear(2, 2))) == []
