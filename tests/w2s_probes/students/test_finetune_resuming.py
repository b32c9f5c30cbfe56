"""Killed anywhere and given again, a fine-tuning ends with the same bits; a finished one is not done again."""

import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.worlds.finetuning import QUICK, task
from tests.worlds.plugged import PLUGIN, registries_as_they_are
from w2s_probes import InputError
from w2s_probes.losses import Objective
from w2s_probes.plugins import load_plugins
from w2s_probes.students import FineTuning, Texts
from w2s_probes.students.finetune import FineTuned, finetune
from w2s_probes.students.finetuning import training_folder
from w2s_probes.students.finetuning.training_key import describe

Made = Callable[..., Path]


class Killed(Exception):
    """Not an error of training."""


class Fatal(Objective):
    """A loss that ends everything when so many updates have been made."""

    at = 0
    by_signal = False

    def advance(self) -> None:
        super().advance()
        if self.step == Fatal.at:
            if Fatal.by_signal:
                os.kill(os.getpid(), SIGKILL)
            raise Killed


@pytest.fixture(autouse=True)
def _keep_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_folder, "SECONDS", 0.0)
    monkeypatch.setattr(training_folder, "SHARE", 0.0)
    monkeypatch.setattr(Fatal, "at", 0)
    monkeypatch.setattr(Fatal, "by_signal", False)


def trained(place: Path, folder: Path | None, settings: FineTuning = QUICK, **more: Any) -> FineTuned:
    chosen: dict[str, Any] = {"objective": Fatal("logconf", warm_up=6, buffer=8), "rows": task(), "seed": 0} | more
    rows, held_out = chosen.pop("rows"), task(30, seed=1)
    return finetune(place, rows, held_out, {"test": held_out.texts}, settings=settings, folder=folder, **chosen)


def same(a: FineTuned, b: FineTuned) -> bool:
    return np.array_equal(a.scores["test"], b.scores["test"]) and (a.history, a.best_step, a.stopped) == (
        b.history,
        b.best_step,
        b.stopped,
    )


@pytest.mark.parametrize("family", ["bert", "llama"])  # with dropout, and without
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_stopped_by_an_exception_and_by_sigkill_it_ends_with_the_same_bits(
    checkpoint: Made, tmp_path: Path, kind: str, family: str
) -> None:
    settings = QUICK.model_copy(update={"kind": kind, "patience": 3, "learning_rate": 1e-2})
    undisturbed = trained(checkpoint(family), None, settings)
    assert len(undisturbed.history) >= 4
    for at, by_signal in [(3, False), (8, True), (11, False), (15, True)]:
        Fatal.at, Fatal.by_signal = at, by_signal
        if not by_signal:
            with pytest.raises(Killed):
                trained(checkpoint(family), tmp_path, settings)
        elif (child := os.fork()) == 0:
            try:
                trained(checkpoint(family), tmp_path, settings)
            finally:
                os._exit(0)
        else:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -SIGKILL
        assert {f.name for f in tmp_path.iterdir()} == {training_folder.STATE}
        with safe_open(tmp_path / training_folder.STATE, framework="pt") as file:
            assert json.loads(file.metadata()["facts"])["progress"]["step"] == at - 1
    Fatal.at = 0
    found = trained(checkpoint(family), tmp_path, settings)
    assert same(found, undisturbed)
    assert {f.name for f in tmp_path.iterdir()} == {training_folder.RESULT}  # the way there is gone


def test_only_what_is_trained_is_kept(checkpoint: Made, tmp_path: Path) -> None:
    Fatal.at = 6
    with pytest.raises(Killed):
        trained(checkpoint(), tmp_path, QUICK.model_copy(update={"kind": "lora"}))
    names = {name.partition("/")[2] for name in load_file(tmp_path / training_folder.STATE) if name.startswith("now/")}
    assert len(names) == 2 * 7 * 3 + 1
    assert all("lora_" in name or "score" in name for name in names)


def test_a_finished_training_is_not_done_again_and_any_other_begins_anew(
    checkpoint: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(checkpoint(), tmp_path)
    Fatal.at = 1
    again = trained(checkpoint(), tmp_path)
    assert same(first, again)
    assert first.seconds == again.seconds
    rows = task()
    turned = Texts(rows.texts, rows.soft * 0.9)
    others: list[dict[str, Any]] = [
        {"settings": QUICK.model_copy(update={"beta2": 0.9})},
        {"seed": 1},
        {"rows": turned},
        {"objective": Fatal("logconf", warm_up=7, buffer=8)},
        {"save": True},
        {"place": checkpoint("gpt2")},
    ]
    for other in others:
        with pytest.raises(Killed):
            trained(**{"place": checkpoint(), "folder": tmp_path, **other})
    assert same(first, trained(checkpoint(), tmp_path))  # what began anew has not replaced it


def test_an_added_loss_that_is_edited_begins_anew_and_ours_keep_their_keys(tmp_path: Path) -> None:
    """The code of an added loss is part of the key; where it is put is not."""
    with registries_as_they_are():
        keys = []
        for factor in ("1", "1", "2"):
            (tmp_path / "mine.py").write_text(PLUGIN.replace("return (rows", f"return {factor} * (rows"))
            load_plugins([tmp_path / "mine.py"])
            keys.append(describe(Objective("mine")))
            assert "code" not in describe(Objective("logconf"))
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]


def test_a_state_of_other_settings_or_a_damaged_file_is_not_gone_on_from(checkpoint: Made, tmp_path: Path) -> None:
    Fatal.at = 9
    with pytest.raises(Killed):
        trained(checkpoint(), tmp_path)
    Fatal.at = 0
    other = QUICK.model_copy(update={"learning_rate": 1e-3})
    assert same(trained(checkpoint(), tmp_path, other), trained(checkpoint(), None, other))
    (tmp_path / training_folder.RESULT).write_text("{")
    (tmp_path / training_folder.STATE).write_bytes(b"\0" * 100)
    with pytest.warns(UserWarning, match="damaged, so it is not used: this training begins anew") as told:
        assert same(trained(checkpoint(), tmp_path, other), trained(checkpoint(), None, other))
    assert sorted(str(one.message).partition(": ")[0] for one in told) == [
        str(tmp_path / training_folder.RESULT),
        str(tmp_path / training_folder.STATE),
    ]


def bits_of(content: bytes, count: int) -> Iterator[bytes]:
    """Copies with one bit changed: of every region, the header's two hundred bytes and the ends included."""
    rng = np.random.default_rng(0)
    places = {*range(0, min(400, len(content)), 7), len(content) - 1, *rng.integers(len(content), size=count).tolist()}
    for place in sorted(places):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        yield bytes(changed)


def test_no_changed_bit_of_a_state_or_a_result_is_taken(tmp_path: Path) -> None:
    """Each is found and said, or changes nothing that is read."""
    tensors = {
        "now": {"a": torch.arange(30.0).reshape(5, 6), "b": torch.ones(3, dtype=torch.bfloat16)},
        "best": {"scalar": torch.tensor(2.5), "none": torch.empty(0, 4), "whole": torch.arange(4)},
    }
    folder = training_folder.TrainingFolder(tmp_path, "the key")
    folder.keep(lambda: training_folder.SavedState({"progress": {"step": 7, "losses": [0.5, 0.25]}}, tensors))
    there = folder.state()
    assert there is not None
    assert all(torch.equal(there.tensors[kind][name], t) for kind, own in tensors.items() for name, t in own.items())
    said = tried = 0
    for file in (training_folder.STATE, training_folder.RESULT):
        if file == training_folder.RESULT:
            folder.finish({"scores": {"test": [0.25, 0.5]}, "best_step": 3})
        content = (tmp_path / file).read_bytes()
        for changed in bits_of(content, 300):
            (tmp_path / file).write_bytes(changed)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                found = folder.state() if file == training_folder.STATE else folder.result()
            assert bool(told) == (found is None), changed
            said, tried = said + (found is None), tried + 1
            if isinstance(found, training_folder.SavedState):
                assert found.facts == there.facts
                assert all(
                    torch.equal(t, there.tensors[k][n]) for k, own in found.tensors.items() for n, t in own.items()
                )
            elif found is not None:
                assert found == {"scores": {"test": [0.25, 0.5]}, "best_step": 3}
        (tmp_path / file).write_bytes(content)
    assert tried > 300
    assert said > 0.9 * tried  # the others are spaces
    assert (
        training_folder.TrainingFolder(tmp_path, "another key").result() is None
    )  # and says nothing: it is not damaged


def test_divergence_stops_with_the_step_and_leaves_the_best_weights(checkpoint: Made, tmp_path: Path) -> None:
    class Broken(Objective):
        def __call__(self, logits: torch.Tensor, soft: torch.Tensor, *, weight: torch.Tensor | None = None) -> Any:
            return super().__call__(logits, soft, weight=weight) * (float("nan") if self.step == 12 else 1)

    with pytest.raises(InputError, match=r"diverged at step 12: .*nan.*lower the learning rate") as raised:
        trained(checkpoint(), tmp_path, objective=Broken("xent"))
    file = tmp_path / training_folder.LAST_GOOD
    assert str(file) in str(raised.value)
    weights = load_file(file)
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    assert "score.weight" in weights
    with pytest.raises(InputError, match="nothing is kept"):
        trained(checkpoint(), None, objective=Broken("xent"))
