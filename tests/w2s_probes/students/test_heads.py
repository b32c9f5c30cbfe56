"""Heads taught together, against a plain loop of PyTorch for each."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.benchmarks.plain_head import plain_head
from tests.conftest import planted
from w2s_probes import InputError
from w2s_probes.losses import LOSS_NAMES, LossName
from w2s_probes.students import HeadLesson, HeadStudent, train_heads

ROWS, WIDTH = 230, 6  # batches of 14, and a last one of 6
DATA, VAL = planted(n=ROWS, d=WIDTH, noise=0.25), planted(n=90, d=WIDTH, noise=0.25, seed=1)
RNG = np.random.default_rng(5)
SOFT = np.clip(0.2 + 0.6 * DATA.weak + RNG.normal(scale=0.1, size=ROWS), 0.01, 0.99)
SOFT_VAL = np.clip(0.2 + 0.6 * VAL.weak + RNG.normal(scale=0.1, size=90), 0.01, 0.99)
MASK = RNG.random(ROWS) < 0.7
WEIGHT = RNG.random(ROWS) * 3


def lesson(loss: LossName = "xent", **other: Any) -> HeadLesson:
    asked: dict[str, Any] = {"labels": SOFT, "val_labels": SOFT_VAL, "epochs": 12, "patience": 5, **other}
    return HeadLesson(loss=loss, **asked)


def fitted(head: HeadStudent | InputError) -> HeadStudent:
    assert isinstance(head, HeadStudent), head
    return head


def margins(head: HeadStudent | InputError) -> NDArray[np.float64]:
    head = fitted(head)
    return np.asarray(VAL.X @ head.coef_[0] + head.intercept_[0])


KINDS: dict[str, dict[str, Any]] = {
    "all rows": {},
    "a mask": {"rows": MASK},
    "weights": {"weight": WEIGHT},
    "a mask, weights and a penalty": {"rows": MASK, "weight": WEIGHT, "l2": 0.02},
    "another start": {"seed": 3, "prior": 0.3, "alpha": 0.8, "warm_up": 40, "learning_rate": 3e-3},
    "the batch's own prior": {"rows": MASK, "prior": "batch", "stop": "log_loss"},
}
ALL = [lesson(loss, **kind) for kind in KINDS.values() for loss in LOSS_NAMES]


@pytest.fixture(scope="module")
def together() -> list[HeadStudent | InputError]:
    return train_heads(DATA.X, ALL, VAL.X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSS_NAMES)
def test_a_head_among_all_others_is_that_of_a_plain_loop(
    together: list[HeadStudent | InputError], loss: LossName, kind: str
) -> None:
    ours = fitted(together[list(KINDS).index(kind) * len(LOSS_NAMES) + LOSS_NAMES.index(loss)])
    theirs = plain_head(DATA.X, lesson(loss, **KINDS[kind]), VAL.X)
    assert ours.n_epochs_ == theirs.n_epochs
    assert ours.alpha_ == theirs.alpha
    assert margins(ours) == pytest.approx(theirs.margins(VAL.X), abs=1e-4)
