"""Which look of a fine-tuning is kept: one after the loss's ramp, the best by the criterion, whatever was killed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from scipy.special import expit
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from tests.worlds.finetuning import QUICK, task
from w2s_probes import auroc
from w2s_probes.losses import Objective
from w2s_probes.students import FineTuning, Texts
from w2s_probes.students.finetune import FineTuned, finetune
from w2s_probes.students.finetuning import training_folder
from w2s_probes.students.finetuning.updates import ModelInTraining

Made = Callable[..., Path]
RAMP = 12  # so that a look falls on its end, when no update has yet had the full weight
OFTEN = QUICK.model_copy(update={"eval_every": 2})  # looks after 2, 4, ... 24 updates, which is all of them
HELD_OUT = task(40, seed=1)
TURNED = Texts(HELD_OUT.texts, 1 - HELD_OUT.soft)  # by which the look that has learned least is the best


class Killed(Exception):
    """Not an error of training."""


class Fatal(Objective):
    """A loss that ends everything when so many updates have been made."""

    at = 0

    def advance(self) -> None:
        super().advance()
        if self.step == Fatal.at:
            raise Killed


def trained(
    place: Path, val: Texts = TURNED, *, loss: Any = "logconf", settings: FineTuning = OFTEN, **more: Any
) -> FineTuned:
    chosen: dict[str, Any] = {"train": task(), "objective": Fatal(loss, warm_up=RAMP, buffer=8)} | more
    train = chosen.pop("train")
    return finetune(place, train, val, {"val": val.texts}, settings=settings, **chosen)


@pytest.fixture(scope="module")
def undisturbed(checkpoint: Made) -> Callable[..., FineTuned]:
    """The result of `trained`, made once for each of its arguments."""
    results: dict[str, FineTuned] = {}

    def result(val: Texts = TURNED, loss: str = "logconf", settings: FineTuning = OFTEN) -> FineTuned:
        key = repr((val.soft.tolist(), loss, settings))
        if key not in results:
            assert Fatal.at == 0
            results[key] = trained(checkpoint(), val, loss=loss, settings=settings)
        return results[key]

    return result


@pytest.fixture
def margins(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The student's log-odds of the validation rows at each look, and at the end those that it is scored by."""
    seen: list[Any] = []
    score = ModelInTraining.margins

    def recorded(self: ModelInTraining, tokenized: Any) -> Any:
        seen.append(score(self, tokenized))
        return seen[-1]

    monkeypatch.setattr(ModelInTraining, "margins", recorded)
    return seen


@pytest.mark.parametrize("loss", ["logconf", "logconf-batch", "entropy", "entropy-detached", "adaptconf"])
def test_the_first_look_that_can_be_chosen_is_after_the_ramp(undisturbed: Callable[..., FineTuned], loss: str) -> None:
    found = undisturbed(loss=loss)
    assert found.best_step == 14  # whose update was the first one at the full weight
    assert found.best_alpha == 0.5
    assert [look.step for look in found.history] == list(range(2, 25, 2))
    plain = undisturbed(loss="xent")
    assert plain.best_step < RAMP  # the control: the labels do prefer an early look
    assert plain.best_alpha is None


def test_patience_counts_from_the_first_look_after_the_ramp(checkpoint: Made) -> None:
    found = trained(checkpoint(), settings=OFTEN.model_copy(update={"patience": 2}))
    assert (found.best_step, found.history[-1].step, found.stopped) == (14, 18, True)


@pytest.mark.parametrize("warm_up", [23, 24, 1000])
def test_a_ramp_as_long_as_training_leaves_the_last_look(checkpoint: Made, warm_up: int) -> None:
    found = trained(checkpoint(), objective=Objective("logconf", warm_up=warm_up, buffer=8))
    assert found.best_step == 24
    assert found.best_alpha == 0.5 * 23 / warm_up


def test_without_validation_rows_the_weight_is_that_of_the_last_update(checkpoint: Made) -> None:
    for warm_up, alpha in [(RAMP, 0.5), (46, 0.25)]:
        objective = Objective("logconf", warm_up=warm_up, buffer=8)
        found = finetune(checkpoint(), task(), None, settings=OFTEN, objective=objective)
        assert (found.best_step, found.best_alpha) == (24, alpha)


@pytest.mark.parametrize("at", [5, 13, 14, 15, 16, 20])
@pytest.mark.parametrize("val", [TURNED, Texts(HELD_OUT.texts, 0.4 * HELD_OUT.soft)], ids=["turned", "one-sided"])
def test_killed_in_the_ramp_or_after_it_the_same_look_is_kept(
    checkpoint: Made,
    undisturbed: Callable[..., FineTuned],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    val: Texts,
    at: int,
) -> None:
    monkeypatch.setattr(training_folder, "SECONDS", 0.0)
    monkeypatch.setattr(training_folder, "SHARE", 0.0)
    settings = OFTEN.model_copy(update={"stop": "log_loss"})  # which also judges labels on one side of ½
    expected = undisturbed(val, settings=settings)
    monkeypatch.setattr(Fatal, "at", at)
    with pytest.raises(Killed):
        trained(checkpoint(), val, settings=settings, folder=tmp_path)
    with safe_open(tmp_path / training_folder.STATE, framework="pt") as file:
        progress = json.loads(file.metadata()["facts"])["progress"]
    assert progress["step"] == at - 1
    assert (progress["best_score"] is None) == (at - 1 < 14)
    monkeypatch.setattr(Fatal, "at", 0)
    found = trained(checkpoint(), val, settings=settings, folder=tmp_path)
    np.testing.assert_array_equal(found.scores["val"], expected.scores["val"])
    for name in ("best_step", "best_auroc", "best_alpha", "history", "stopped"):
        assert getattr(found, name) == getattr(expected, name)
    again = trained(checkpoint(), val, settings=settings, folder=tmp_path)
    assert (again.best_step, again.best_alpha) == (found.best_step, 0.5)


def noisy(rows: Texts, share: float = 0.3) -> Texts:
    """Soft labels, some of them on the wrong side."""
    rng = np.random.default_rng(0)
    wrong = rng.random(len(rows)) < share
    return Texts(rows.texts, np.abs(rows.soft - wrong) * rng.uniform(0.2, 0.9, len(rows)) + 0.05)


BY_HAND: dict[str, Callable[[Any, Any], float]] = {
    "auroc": lambda soft, scores: float(roc_auc_score(soft > 0.5, scores)),
    "log_loss": lambda soft, scores: (
        -log_loss(  # of each row twice, as either class, weighted by its label
            np.repeat([1, 0], len(soft)), np.tile(expit(scores), 2), sample_weight=np.concatenate([soft, 1 - soft])
        )
    ),
    "agreement": lambda soft, scores: float(accuracy_score(soft > 0.5, scores > 0)),
}


def test_the_look_kept_is_the_first_of_the_best_by_its_criterion(checkpoint: Made, margins: list[Any]) -> None:
    val, chosen = noisy(HELD_OUT), set()
    for stop, by_hand in BY_HAND.items():
        margins.clear()
        settings = OFTEN.model_copy(update={"stop": stop, "learning_rate": 1e-2})
        found = trained(checkpoint(), val, loss="xent", settings=settings)
        *looks, last = margins
        scores = [by_hand(val.soft, look) for look in looks]
        best = int(np.argmax(np.round(scores, 9)))
        assert found.best_step == found.history[best].step, stop
        np.testing.assert_array_equal(last, looks[best])
        assert found.best_auroc == pytest.approx(BY_HAND["auroc"](val.soft, last))
        chosen.add(found.best_step)
    assert len(chosen) > 1  # the control: where all criteria agree, one that was not heeded would pass, too


def test_training_labels_on_one_side_teach_and_all_but_auroc_judge_by_such(
    checkpoint: Made, margins: list[Any]
) -> None:
    rows, val = task(160), Texts(HELD_OUT.texts, 0.1 + 0.3 * HELD_OUT.soft)
    settings = OFTEN.model_copy(update={"epochs": 6, "learning_rate": 5e-3})
    low = Texts(rows.texts, 0.1 + 0.3 * rows.soft)
    for stop in ("auroc", "log_loss", "agreement"):
        margins.clear()
        found = trained(checkpoint(), val, loss="xent", settings=settings.model_copy(update={"stop": stop}), train=low)
        assert found.best_auroc is None
        assert auroc(HELD_OUT.soft, found.scores["val"]) > 0.85 or stop == "agreement"  # satisfied by saying 0
        looks = margins[:-1]
        scores = [BY_HAND[stop](val.soft, look) for look in looks] if stop != "auroc" else []
        best = int(np.argmax(np.round(scores, 9))) if scores else len(found.history) - 1
        assert found.best_step == found.history[best].step


def test_a_training_by_another_criterion_begins_anew(
    checkpoint: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(checkpoint(), folder=tmp_path)
    monkeypatch.setattr(Fatal, "at", 1)
    trained(checkpoint(), folder=tmp_path)
    for stop in ("log_loss", "agreement"):
        with pytest.raises(Killed):
            trained(checkpoint(), settings=OFTEN.model_copy(update={"stop": stop}), folder=tmp_path)
