"""Fine-tuning that goes on from a saved student: its weights are where training begins, whatever they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extract.asking import Saying
from tests.worlds.finetuning import QUICK, save_model, task, tiny
from w2s_probes import InputError
from w2s_probes.losses import Objective
from w2s_probes.students.finetune import FineTuned, finetune

SIZE: dict[str, Any] = {"vocab_size": 44, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZE |= {"intermediate_size": 48, "max_position_embeddings": 64}
TEST = task(40, seed=1)
STILL = 1e-12  # a learning rate that leaves float32 weights as they are


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("llama"), tiny("LlamaForCausalLM", "LlamaConfig", **SIZE))


def tuned(place: Path, kind: str, **more: Any) -> FineTuned:
    """Two epochs on 48 rows; `rate`, `says` and the rest of `finetune` where they are given."""
    rate = more.pop("rate", QUICK.learning_rate)
    tuning = "lora" if "lora" in kind else "full"
    settings = QUICK.model_copy(update={"kind": tuning, "epochs": 2, "learning_rate": rate})
    says = Saying.plan(str(place), answers=("w7", "w8"), prompt="{text} w9") if "lm" in kind else None
    rows, held_out = more.pop("rows", task(48)), task(20, seed=2)
    test = {"test": TEST.texts}
    return finetune(place, rows, held_out, test, settings=settings, objective=Objective("xent"), says=says, **more)


@pytest.mark.parametrize("kind", ["full", "lora", "lm", "lm, lora"])
def test_training_begins_at_the_weights_of_the_student_that_it_goes_on_from(
    kind: str, checkpoint: Path, tmp_path: Path
) -> None:
    first = tuned(checkpoint, kind, folder=tmp_path / "first", save=True)
    fresh = tuned(checkpoint, kind, rate=STILL)
    still = tuned(checkpoint, kind, rate=STILL, start=first.model)
    np.testing.assert_allclose(still.scores["test"], first.scores["test"], atol=1e-5)
    assert np.abs(fresh.scores["test"] - first.scores["test"]).max() > 0.05
    later = tuned(checkpoint, kind, start=first.model, rows=task(48, seed=5))
    assert np.abs(later.scores["test"] - first.scores["test"]).max() > 0.01


def test_a_start_of_other_weights_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    first = tuned(checkpoint, "lora", folder=tmp_path / "first", save=True)
    other = save_model(tmp_path / "other", tiny("LlamaForCausalLM", "LlamaConfig", **SIZE | {"hidden_size": 16}))
    with pytest.raises(InputError, match="was tuned from another model, or other weights of it"):
        tuned(other, "full", start=first.model)
