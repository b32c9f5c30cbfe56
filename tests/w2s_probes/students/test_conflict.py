"""Students that are taught an explicit conflict: nothing of it changes others, and its weight of 0 changes nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import planted
from w2s_probes import InputError
from w2s_probes.losses import ExplicitConflict, Objective
from w2s_probes.students import FineTuning, Texts
from w2s_probes.students.finetune import finetune
from w2s_probes.students.head import HeadStudent
from w2s_probes.students.head_lesson import HeadLesson
from w2s_probes.students.heads import train_heads

DATA = planted(n=300, noise=0.3)


def lesson(alpha: float | None = None, **more: object) -> HeadLesson:
    conflict = None if alpha is None else ExplicitConflict(DATA.truth > 0.5, alpha)
    return replace(HeadLesson(DATA.weak, epochs=15, conflict=conflict), **more)  # type: ignore[arg-type]


def weights(head: HeadStudent | InputError) -> NDArray[np.float64]:
    assert isinstance(head, HeadStudent)
    return np.concatenate([head.coef_[0], head.intercept_])


def test_a_weight_of_zero_and_the_company_of_others_change_nothing() -> None:
    plain, zero, taught, again = train_heads(DATA.X, [lesson(), lesson(0.0), lesson(0.5), lesson(0.5, loss="logconf")])
    assert weights(zero) == pytest.approx(weights(plain), rel=1e-5, abs=1e-6)  # matrix products round by place
    (alone,), (alone_zero,) = (train_heads(DATA.X, [one]) for one in (lesson(), lesson(0.0)))
    assert weights(alone) == pytest.approx(weights(plain), rel=1e-5, abs=1e-6)
    assert np.array_equal(weights(alone_zero), weights(alone))
    assert not np.allclose(weights(plain), weights(taught))
    assert not np.allclose(weights(again), weights(taught))
    (conflicted,) = train_heads(DATA.X, [lesson(0.5)])
    assert weights(conflicted) == pytest.approx(weights(taught), rel=1e-3, abs=1e-5)


def test_rows_that_are_wrong_grow_surer_of_it_and_others_stay_near() -> None:
    plain, taught, more = train_heads(DATA.X, [lesson(), lesson(0.5), lesson(1.0)])
    scores = [head.predict_proba(DATA.X)[:, 1] for head in (plain, taught, more) if isinstance(head, HeadStudent)]
    odds, truth = [np.log(p / (1 - p)) for p in scores], DATA.truth > 0.5
    wrong = (odds[0] > 0) != truth
    assert wrong.sum() > 5
    away = [np.where(truth, -one, one)[wrong].mean() for one in odds]  # log-odds of the wrong class
    assert away[0] < away[1] < away[2]
    turned = train_heads(DATA.X, [replace(lesson(), conflict=ExplicitConflict(~truth, 0.5))])
    assert not np.allclose(weights(turned[0]), weights(taught), atol=1e-3)  # which truth it is matters


def test_rows_that_are_not_taught_have_no_conflict_either() -> None:
    rows = np.arange(300) < 200
    turned = np.where(rows, DATA.truth > 0.5, DATA.truth <= 0.5)
    first, second = train_heads(
        DATA.X, [lesson(0.5, rows=rows), replace(lesson(rows=rows), conflict=ExplicitConflict(turned, 0.5))]
    )
    assert weights(first) == pytest.approx(weights(second), rel=1e-4, abs=1e-6)


def test_a_truth_of_other_rows_is_refused() -> None:
    (refused,) = train_heads(DATA.X, [replace(lesson(), conflict=ExplicitConflict(np.ones(3, dtype=bool)))])
    assert isinstance(refused, InputError)
    assert "a conflict has shape (3,), but there are 300 rows" in str(refused)
    with pytest.raises(InputError, match="1 texts, but a conflict's truth has shape"):
        Texts(["w1"], [0.5], conflict=ExplicitConflict(np.ones(3, dtype=bool)))


def test_a_fine_tuned_model_is_taught_it_too(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(48) % 2
    texts = [" ".join(f"w{15 * t + j}" for j in rng.integers(0, 15, size=5)) for t in truth]
    soft = np.where(rng.random(48) < 0.3, 1 - truth, truth).astype(float)
    settings = FineTuning(kind="full", epochs=1, batch_size=16, batch_tokens=64)

    def scores(alpha: float | None, folder: Path | None = None) -> NDArray[np.float64]:
        conflict = None if alpha is None else ExplicitConflict(truth > 0, alpha)
        taught = Texts(texts, soft, conflict=conflict)
        objective = Objective("xent")
        done = finetune(
            checkpoint(), taught, None, {"test": texts}, settings=settings, objective=objective, folder=folder
        )
        return done.scores["test"]

    plain = scores(None)
    assert np.array_equal(scores(0.0), plain)
    assert not np.allclose(scores(1.0), plain, atol=1e-6)
    first = scores(0.5, tmp_path / "kept")
    assert not np.allclose(scores(1.0, tmp_path / "kept"), first, atol=1e-7)  # another α is another training
