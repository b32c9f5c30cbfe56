"""A model that says labels, trained by transformers' Trainer: the loop's numbers and files, whole and sharded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from extract.asking import Saying
from tests.w2s_probes.students.test_label_speaker import FAMILIES, PROMPT
from tests.worlds.finetuning import QUICK, save_model, task, tiny
from tests.worlds.sharded import FSDP, in_two
from w2s_probes import InputError
from w2s_probes.losses import Objective
from w2s_probes.students import FineTuning
from w2s_probes.students.finetune import FineTuned, finetune

# A head that shares its weights, and one that does not; batches of 14 and 13 rows, several passes of some.
CASES: dict[str, dict[str, Any]] = {"llama": {"kind": "full"}, "gemma2": {"kind": "lora", "over": "vocabulary"}}


def settings(family: str, **more: Any) -> FineTuning:
    rates = {"learning_rate": 1e-2, "epochs": 2, "batch_size": 15, "batch_tokens": 100}
    return FineTuning(**QUICK.model_dump() | rates | CASES[family] | more)


def trained(place: Path, chosen: FineTuning, folder: Path) -> FineTuned:
    rows, held_out = task(54), task(21, seed=1)
    return finetune(
        place,
        rows,
        held_out,
        {"test": held_out.texts},
        settings=chosen,
        objective=Objective("xent"),
        says=Saying.plan(str(place), **PROMPT),
        folder=folder,
        save=True,
    )


def same(found: FineTuned, other: FineTuned, close: float) -> None:
    np.testing.assert_allclose(found.scores["test"], other.scores["test"], atol=close)
    assert found.best_step == other.best_step
    assert [e.loss for e in found.history] == pytest.approx([e.loss for e in other.history], abs=close)
    assert found.model is not None
    assert other.model is not None
    assert sorted(f.name for f in found.model.iterdir()) == sorted(f.name for f in other.model.iterdir())
    weights, others = (load_file(model / "model.safetensors") for model in (found.model, other.model))
    assert weights.keys() == others.keys()
    for name, tensor in others.items():
        torch.testing.assert_close(weights[name], tensor, atol=close, rtol=0)


def test_the_trainer_trains_a_speaker_as_the_loop_does_also_in_two_processes(tmp_path: Path) -> None:
    (tmp_path / "fsdp.yaml").write_text(FSDP)
    places = {
        family: save_model(tmp_path / family, tiny(FAMILIES[family][0], FAMILIES[family][1], **FAMILIES[family][2]))
        for family in CASES
    }
    ours = {family: trained(place, settings(family), tmp_path / f"{family}-loop") for family, place in places.items()}
    for family, place in places.items():
        assert np.ptp(ours[family].scores["test"]) > 0.1
        theirs = trained(place, settings(family, engine="trainer"), tmp_path / f"{family}-trainer")
        same(theirs, ours[family], 1e-6)

    def in_parts(rank: int) -> dict[str, FineTuned]:
        sharded = {"engine": "trainer", "accelerate": str(tmp_path / "fsdp.yaml")}
        return {
            family: trained(place, settings(family, **sharded), tmp_path / f"{family}-sharded")
            for family, place in places.items()
        }

    for found in in_two(in_parts, tmp_path / "meeting"):
        for family, result in found.items():
            same(result, ours[family], 1e-5)
    with pytest.raises(InputError, match="quantize: a model that says labels is saved whole, adapters merged"):
        trained(places["gemma2"], settings("gemma2", engine="trainer", quantize="nf4"), tmp_path / "four")
