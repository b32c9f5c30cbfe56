"""transformers' Trainer as the engine: the numbers, files and resuming of our own loop, in one process and sharded."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.worlds.finetuning import QUICK, task
from tests.worlds.sharded import FSDP, MINIATURE, in_two, moods
from w2s_probes import InputError
from w2s_probes.losses import Objective
from w2s_probes.losses.names import LossName
from w2s_probes.students import FineTuning, Texts
from w2s_probes.students.finetune import FineTuned, finetune
from w2s_probes.students.finetuning import training_folder
from w2s_probes.students.finetuning.classifier import Checkpoint
from w2s_probes.students.finetuning.saved_model import SavedModel

Made = Callable[..., Path]
# Batches of 14 rows, an odd share for each of two; passes of some of them; the best point before the last.
SHARDED = FineTuning(
    kind="full", epochs=3, batch_size=15, learning_rate=1e-3, warm_up=2, eval_every=4, batch_tokens=200
)


class Stopped(Exception):
    """Not an error of training."""


class Ending(Objective):
    """A loss that ends everything when so many updates have been made."""

    at = 0

    def advance(self) -> None:
        super().advance()
        if self.step == Ending.at:
            raise Stopped


@pytest.fixture(autouse=True)
def _keep_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_folder, "SECONDS", 0.0)
    monkeypatch.setattr(training_folder, "SHARE", 0.0)
    monkeypatch.setattr(Ending, "at", 0)


def trained(place: Path, settings: FineTuning, loss: LossName = "logconf", **more: Any) -> FineTuned:
    rows, held_out = more.pop("rows", task(80)), more.pop("held_out", task(30, seed=1))
    objective, save = Ending(loss, warm_up=5, buffer=8), more.get("folder") is not None
    return finetune(
        place, rows, held_out, {"test": held_out.texts}, settings=settings, objective=objective, save=save, **more
    )


def of_trainer(settings: FineTuning, **more: Any) -> FineTuning:
    return FineTuning(**settings.model_dump() | {"engine": "trainer"} | more)


def weights(tuned: FineTuned) -> dict[str, torch.Tensor]:
    assert tuned.model is not None
    (file,) = tuned.model.glob("*.safetensors")
    return load_file(file)


def same(found: FineTuned, alone: FineTuned) -> None:
    np.testing.assert_allclose(found.scores["test"], alone.scores["test"], atol=1e-5)
    assert (found.best_step, found.stopped) == (alone.best_step, alone.stopped)
    for mine, yours in zip(alone.history, found.history, strict=True):
        assert yours.loss == pytest.approx(mine.loss, abs=1e-5)
        assert yours.auroc == pytest.approx(mine.auroc, abs=1e-5)
    assert weights(found).keys() == weights(alone).keys()
    for name, tensor in weights(alone).items():
        torch.testing.assert_close(weights(found)[name], tensor, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("family", "kind", "loss", "weighted"),
    [("bert", "full", "logconf-batch", True), ("llama", "lora", "window", False)],
)
def test_the_trainer_gives_what_our_own_loop_gives(
    checkpoint: Made, tmp_path: Path, family: str, kind: str, loss: LossName, weighted: bool
) -> None:
    """With and without dropout, of several passes a batch; stopped early, at another point than the last."""
    rows = task(80)
    if weighted:
        rows = Texts(rows.texts, np.clip(rows.soft, 0.1, 0.8), 0.5 + np.random.default_rng(0).random(80))
    settings = FineTuning(**QUICK.model_dump() | {"kind": kind, "patience": 2, "batch_tokens": 120, "eval_every": 3})
    place = checkpoint(family)  # made first, which draws
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # type: ignore[index]  # noqa: NPY002
    ours = trained(place, settings, loss, rows=rows, folder=tmp_path / "loop")
    theirs = trained(place, of_trainer(settings), loss, rows=rows, folder=tmp_path / "trainer")
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])  # type: ignore[index]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[2])
    np.testing.assert_allclose(theirs.scores["test"], ours.scores["test"], atol=1e-6)
    assert [e.step for e in theirs.history] == [e.step for e in ours.history]
    for mine, yours in zip(ours.history, theirs.history, strict=True):
        assert yours.loss == pytest.approx(mine.loss, abs=1e-6)
        assert yours.rate == mine.rate
        assert yours.auroc == pytest.approx(mine.auroc)
    assert (theirs.best_step, theirs.stopped, theirs.cut) == (ours.best_step, ours.stopped, ours.cut)
    assert ours.best_step < ours.history[-1].step
    for name, tensor in weights(ours).items():
        torch.testing.assert_close(weights(theirs)[name], tensor, atol=1e-6, rtol=0)
    files = [sorted(f.name for f in (tmp_path / engine).rglob("*")) for engine in ("loop", "trainer")]
    assert files[0] == files[1]


def test_a_trainer_that_was_stopped_goes_on_to_the_same_bits(checkpoint: Made, tmp_path: Path) -> None:
    settings = of_trainer(QUICK, patience=3)
    undisturbed = trained(checkpoint("bert"), settings)
    Ending.at = 8
    with pytest.raises(Stopped):
        trained(checkpoint("bert"), settings, folder=tmp_path)
    Ending.at = 0
    found = trained(checkpoint("bert"), settings, folder=tmp_path)
    assert np.array_equal(found.scores["test"], undisturbed.scores["test"])
    assert found.history == undisturbed.history


def test_divergence_in_the_trainer_stops_with_the_step(checkpoint: Made, tmp_path: Path) -> None:
    class Broken(Objective):
        def __call__(self, *arguments: Any, **named: Any) -> Any:
            return super().__call__(*arguments, **named) * (float("inf") if self.step == 4 else 1)

    with pytest.raises(InputError, match=r"diverged at step 4: .*lower the learning rate"):
        finetune(
            checkpoint(), task(), settings=of_trainer(QUICK), objective=Broken("xent"), folder=tmp_path / "diverged"
        )
    assert all(torch.isfinite(t).all() for t in load_file(tmp_path / "diverged" / training_folder.LAST_GOOD).values())


def test_two_sharded_processes_give_what_one_gives(tmp_path: Path) -> None:
    """FSDP on the miniature's model, whose head is tied; and gone on with after a stop, by both."""
    (tmp_path / "fsdp.yaml").write_text(FSDP)
    rows: dict[str, Any] = {"rows": moods(70, "train"), "held_out": moods(31, "test", seed=1)}
    alone = trained(MINIATURE / "weak", SHARDED, folder=tmp_path / "1", **rows)
    assert len(alone.history) == 4
    sharded = of_trainer(SHARDED, accelerate=str(tmp_path / "fsdp.yaml"))
    place = tmp_path / "2"

    def in_parts(rank: int) -> FineTuned:
        Ending.at = 10
        with pytest.raises(Stopped):
            trained(MINIATURE / "weak", sharded, folder=place, **rows)
        torch.distributed.barrier()
        assert {file.name for file in place.iterdir()} == {training_folder.STATE}
        Ending.at = 0
        return trained(MINIATURE / "weak", sharded, folder=place, **rows)

    for found in in_two(in_parts, tmp_path / "meeting"):
        same(found, alone)
    assert not np.allclose(alone.scores["test"], alone.scores["test"].mean(), atol=1e-3)
    files = [sorted(f.name for f in (tmp_path / n).rglob("*")) for n in ("1", "2")]
    assert files[0] == files[1]


def test_a_configuration_starts_its_processes_itself(tmp_path: Path) -> None:
    """From a lone process, here of adapters, with reports and answer of the first; done, it is not done again."""
    (tmp_path / "fsdp.yaml").write_text(FSDP)
    rows, held_out = moods(70, "train"), moods(31, "test", seed=1)
    told: list[int] = []
    more: dict[str, Any] = {"objective": Objective("xent"), "report": lambda evaluation: told.append(evaluation.step)}
    adapters = FineTuning(**SHARDED.model_dump() | {"kind": "lora"})
    sharded = of_trainer(adapters, accelerate=str(tmp_path / "fsdp.yaml"))
    data = (MINIATURE / "weak", rows, held_out, {"test": held_out.texts})
    found = finetune(*data, settings=sharded, folder=tmp_path / "out", save=True, **more)
    assert told == [4, 8, 12, 15]
    alone = finetune(*data, settings=adapters, folder=tmp_path / "alone", save=True, **more)
    np.testing.assert_allclose(found.scores["test"], alone.scores["test"], atol=1e-5)
    for name, tensor in weights(alone).items():
        torch.testing.assert_close(weights(found)[name], tensor, atol=1e-5, rtol=0)
    assert found.model == tmp_path / "out" / "model"
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"result.json", "model"}
    again = finetune(*data, settings=sharded, folder=tmp_path / "out", save=True, **more)
    assert (again.seconds, again.history) == (found.seconds, found.history)
    assert "FSDP_VERSION" not in os.environ


def test_adapters_beside_four_bits_learn_as_beside_the_same_values(checkpoint: Made, tmp_path: Path) -> None:
    """QLoRA on a processor, against whole weights that are what the four bits stand for."""
    functional = pytest.importorskip("bitsandbytes").functional
    place = checkpoint()
    settings = FineTuning(**QUICK.model_dump() | {"kind": "lora", "engine": "trainer", "learning_rate": 1e-2})
    four_bits = of_trainer(settings, quantize="nf4")
    shutil.copytree(place, tmp_path / "whole")
    values = load_file(place / "model.safetensors")
    opened = Checkpoint.open(place).classifier(four_bits, seed=0, dtype=torch.float32)
    count = 0
    for name, module in opened.named_modules():
        if name.endswith(".base_layer"):
            plain = name.removeprefix("base_model.model.").removesuffix(".base_layer") + ".weight"
            stands_for = functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
            assert 0.01 < (stands_for - values[plain]).abs().max() < 0.5  # it has been rounded
            values[plain], count = stands_for.contiguous(), count + 1
    assert count == 21
    save_file(values, tmp_path / "whole" / "model.safetensors", metadata={"format": "pt"})
    whole = trained(tmp_path / "whole", settings, "xent")
    found = trained(place, four_bits, "xent", folder=tmp_path / "four")
    assert np.ptp(found.scores["test"]) > 0.1
    np.testing.assert_allclose(found.scores["test"], whole.scores["test"], atol=1e-4)
    assert found.model is not None
    again = SavedModel.open(found.model)
    np.testing.assert_allclose(again.predict(task(30, seed=1).texts), found.scores["test"], atol=1e-5)
    assert "Linear4bit" in {type(module).__name__ for module in again.model.modules()}
