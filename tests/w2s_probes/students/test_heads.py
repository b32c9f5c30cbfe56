"""Heads taught together, against a plain loop of PyTorch for each."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from tests.benchmarks.plain_head import plain_head
from tests.conftest import planted
from w2s_probes import InputError
from w2s_probes.losses import LOSS_NAMES, LOSSES, LossName, is_batched
from w2s_probes.students import HeadLesson, HeadStudent, train_heads
from w2s_probes.students.finetuning.settings import STOPS
from w2s_probes.students.head_lesson import Pupil
from w2s_probes.students.head_start import HeadStart
from w2s_probes.students.head_training import teach
from w2s_probes.students.standard_rows import StandardRows
from w2s_probes.students.stopping import Criterion

ROWS, WIDTH = 230, 6  # batches of 14, and a last one of 6
DATA, VAL = planted(n=ROWS, d=WIDTH, noise=0.25), planted(n=90, d=WIDTH, noise=0.25, seed=1)
RNG = np.random.default_rng(5)
SOFT = np.clip(0.2 + 0.6 * DATA.weak + RNG.normal(scale=0.1, size=ROWS), 0.01, 0.99)
SOFT_VAL = np.clip(0.2 + 0.6 * VAL.weak + RNG.normal(scale=0.1, size=90), 0.01, 0.99)
MASK = RNG.random(ROWS) < 0.7
WEIGHT = RNG.random(ROWS) * 3


def lesson(loss: LossName = "xent", **other: Any) -> HeadLesson:
    asked: dict[str, Any] = {"labels": SOFT, "val_labels": SOFT_VAL, "epochs": 8, "patience": 4, **other}
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
BEGUN = np.linspace(-1, 1, WIDTH)
KINDS["going on from a head"] = {"rows": MASK, "start": HeadStart(BEGUN, 0.3)}
KINDS["going on from a head of other rows"] = {"start": HeadStart(BEGUN, -0.2, ~MASK), "l2": 0.01}
ALL = [lesson(loss, **kind) for kind in KINDS.values() for loss in LOSS_NAMES]


@pytest.fixture(scope="module")
def together() -> list[HeadStudent | InputError]:
    return train_heads(DATA.X, ALL, VAL.X, seed=0)


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


@settings(max_examples=12)
@given(st.lists(st.integers(0, len(ALL) - 1), min_size=1, max_size=5, unique=True))
def test_a_head_does_not_depend_on_its_company_or_their_order(
    together: list[HeadStudent | InputError], chosen: list[int]
) -> None:
    for i, head in zip(chosen, train_heads(DATA.X, [ALL[i] for i in chosen], VAL.X, seed=0), strict=True):
        assert fitted(head).n_epochs_ == fitted(together[i]).n_epochs_
        scores = fitted(head).predict_proba(VAL.X), fitted(together[i]).predict_proba(VAL.X)
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)


@pytest.mark.parametrize("loss", LOSS_NAMES)
def test_a_single_head_student_is_the_case_of_one(loss: LossName) -> None:
    alone = HeadStudent(loss, epochs=8, l2=0.01, stop="log_loss", seed=2, prior=0.4)
    alone.fit(DATA.X, SOFT, VAL.X, SOFT_VAL, sample_weight=WEIGHT)
    asked = lesson(loss, epochs=8, patience=20, l2=0.01, stop="log_loss", seed=2, prior=0.4, weight=WEIGHT)
    (head,) = train_heads(DATA.X, [asked], VAL.X)
    head = fitted(head)
    assert head.get_params() == alone.get_params()
    assert np.array_equal(head.coef_, alone.coef_)
    assert np.array_equal(head.predict_proba(VAL.X), alone.predict_proba(VAL.X))
    assert (head.n_epochs_, head.alpha_, head.soft_) == (alone.n_epochs_, alone.alpha_, alone.soft_)


def whole_batches(X: NDArray[np.float32], asked: HeadLesson) -> NDArray[np.float64]:
    """Log-odds of the validation rows after a training in which every batch is all rows, in whatever order."""
    standard, pupil = StandardRows.of(X), Pupil.of(asked, len(X), None, 1)
    (weights,) = teach(standard, None, [pupil], batch=len(X), seed=0)
    assert not isinstance(weights, InputError)
    coef, intercept = standard.raw(weights)
    return np.asarray(VAL.X @ coef + intercept)


@pytest.mark.parametrize("loss", LOSS_NAMES)
def test_a_mask_is_the_removal_of_rows_where_every_batch_is_the_whole_set(loss: LossName) -> None:
    """32 rows, as many as logconf remembers: the order of rows in a batch then says nothing."""
    rows = np.arange(50) % 3 > 0
    rows[:] = rows & (rows.cumsum() <= 32)
    labels, X = np.where(rows, SOFT[:50], np.nan), DATA.X[:50].copy()  # nobody reads the other labels
    X[~rows] *= 50
    X[:, 2] = np.where(rows, 4, X[:, 2])  # constant where it counts
    other: dict[str, Any] = {"loss": loss, "epochs": 60, "l2": 0.01}
    masked = whole_batches(X, HeadLesson(labels, rows=rows, weight=WEIGHT[:50], **other))
    removed = whole_batches(X[rows], HeadLesson(labels[rows], weight=WEIGHT[:50][rows], **other))
    assert masked == pytest.approx(removed, abs=1e-4)
    assert masked != pytest.approx(whole_batches(X, HeadLesson(SOFT[:50], weight=WEIGHT[:50], **other)), abs=1e-2)


def test_batches_without_a_row_of_a_mask_teach_nothing_and_do_no_harm() -> None:
    """Two of 230 rows: most batches of 14 have neither."""
    rows = np.zeros(ROWS, dtype=bool)
    rows[[3, 8]] = True
    labels = np.where(np.arange(ROWS) == 3, 0.2, 0.9)
    asked = [HeadLesson(labels, rows=rows, loss=loss, epochs=6, prior="batch") for loss in LOSS_NAMES]
    for head, single in zip(train_heads(DATA.X, asked), asked, strict=True):
        assert margins(head) == pytest.approx(plain_head(DATA.X, single).margins(VAL.X), abs=1e-4)


@pytest.mark.parametrize("stop", STOPS)
def test_each_head_keeps_its_own_best_epoch(stop: Any) -> None:
    """The oracle is one training to each epoch with nothing to stop it; labels to stop by differ, and are ranked."""
    epochs = 10
    judges = [VAL.weak, VAL.truth, 1 - VAL.weak, SOFT_VAL]
    asked = [lesson("kl", val_labels=judge, stop=stop, epochs=epochs, patience=epochs) for judge in judges]
    courses = [fitted(train_heads(DATA.X, [lesson("kl", val_labels=None, epochs=n)])[0]) for n in range(1, epochs + 1)]
    found = [fitted(head).n_epochs_ for head in train_heads(DATA.X, asked, VAL.X)]
    for judge, epoch in zip(judges, found, strict=True):
        criterion = Criterion.of(stop, judge)
        assert criterion is not None
        scores = [criterion.score(margins(course)) for course in courses]
        if stop == "auroc":
            assert scores == pytest.approx([roc_auc_score(judge > 0.5, margins(course)) for course in courses])
        assert epoch == int(np.argmax(np.round(scores, 9))) + 1
    assert len(set(found)) > 1


def test_a_head_that_diverges_or_cannot_be_taught_leaves_the_others_as_they_are() -> None:
    good = [lesson("logconf"), lesson("xent", rows=MASK)]
    bad: dict[str, HeadLesson] = {
        "diverged at step 17: lower the learning rate": lesson("logconf", learning_rate=1e38),
        "diverged at step 17": lesson("xent", rows=MASK, learning_rate=1e38),
        "did you mean 'logconf'": lesson("logcon"),
        "a start of width 3 for activations of width 6": lesson(start=HeadStart(np.ones(3), 0.0)),
        "rows of a start have shape": lesson(start=HeadStart(BEGUN, 0.0, np.ones(3, dtype=bool))),
        "one class only": lesson(labels=np.full(ROWS, 0.2)),
        r"labels must be .* in \[0, 1\]": lesson(labels=2 * SOFT),
        r"labels have shape \(3,\)": lesson(labels=SOFT[:3]),
        "none of 230 rows counts": lesson(rows=np.zeros(ROWS, dtype=bool)),
        r"rows of shape \(230,\) and dtype int": lesson(rows=np.ones(ROWS, dtype=int)),
        "one finite weight >= 0 a row": lesson(weight=-WEIGHT),
        "5 validation labels but 90 rows": lesson(val_labels=SOFT_VAL[:5]),
        "the penalty must be a finite number": lesson(l2=-1.0),
        "stop='aurok'": lesson(stop="aurok"),
        "loss setting alpha=2": lesson(alpha=2.0),
    }
    heads = train_heads(DATA.X, [good[0], *bad.values(), good[1]], VAL.X)
    for head, message in zip(heads[1:-1], bad, strict=True):
        assert isinstance(head, InputError)
        with pytest.raises(InputError, match=message):
            raise head
    for head, alone in zip((heads[0], heads[-1]), train_heads(DATA.X, good, VAL.X), strict=True):
        assert margins(head) == pytest.approx(margins(alone), abs=1e-5)


def test_nothing_to_teach_and_activations_that_are_none() -> None:
    assert train_heads(DATA.X, []) == []
    with pytest.raises(InputError, match="activations of 1 rows contain NaN"):
        train_heads(np.where(np.arange(ROWS)[:, None] == 4, np.nan, DATA.X), [lesson()])
    with pytest.raises(InputError, match="validation rows are 7 wide"):
        train_heads(DATA.X, [lesson()], np.ones((90, 7)))


def mean_of_all(logits: Any, soft: Any, *, weight: Any = None) -> Any:
    """A loss that was written for one student."""
    lost = torch.nn.functional.softplus(logits[:, 1] - logits[:, 0]) - soft * (logits[:, 1] - logits[:, 0])
    return (lost if weight is None else lost * weight).mean()


def of_each(logits: Any, soft: Any, alpha: float = 0.5, *, weight: Any = None) -> Any:
    """A loss for many: cross-entropy with a part of the student's own probability, by autograd."""
    m = logits[..., 1] - logits[..., 0]
    lost = torch.nn.functional.softplus(m) - ((1 - alpha) * soft + alpha * m.sigmoid().detach()) * m
    return (lost if weight is None else lost * weight).mean(dim=-1)


def test_losses_that_are_added_learn_together_if_they_have_a_leading_axis_and_else_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, function in (("mean-of-all", mean_of_all), ("of-each", of_each)):
        monkeypatch.setitem(LOSSES, name, function)
    assert is_batched(of_each)
    assert not is_batched(mean_of_all)
    single: Any = "mean-of-all"
    many: Any = "of-each"
    asked = [lesson(many, rows=MASK), lesson("entropy-detached"), lesson(many), lesson(single), lesson("xent")]
    heads = train_heads(DATA.X, asked, VAL.X)
    assert margins(heads[2]) == pytest.approx(margins(heads[1]), abs=1e-4)  # the same loss, written otherwise
    assert margins(heads[0]) == pytest.approx(plain_head(DATA.X, asked[0], VAL.X).margins(VAL.X), abs=1e-4)
    with pytest.raises(InputError, match=r"'mean-of-all' has no leading axis: .* write `logits\[\.\.\., 1\]`"):
        raise heads[3]
    alone = HeadStudent(single, epochs=8, patience=4).fit(DATA.X, SOFT, VAL.X, SOFT_VAL)
    assert margins(alone) == pytest.approx(margins(heads[4]), abs=1e-4)
    assert margins(train_heads(DATA.X, [lesson(single, rows=MASK)], VAL.X)[0]) == pytest.approx(
        margins(train_heads(DATA.X, [lesson("xent", rows=MASK)], VAL.X)[0]), abs=1e-4
    )


def test_heads_of_several_seeds_learn_together_each_in_the_order_of_its_own() -> None:
    kinds: list[dict[str, Any]] = [{}, {"rows": MASK}, {"loss": "logconf", "rows": ~MASK}, {"loss": "logconf"}]
    asked = [lesson(**{"loss": "xent", **kind}, seed=seed) for kind in kinds for seed in (3, 0, 1)]
    heads = train_heads(DATA.X, asked, VAL.X)
    for head, alone in zip(heads, asked, strict=True):
        plain = plain_head(DATA.X, alone, VAL.X, seed=alone.seed)
        assert margins(head) == pytest.approx(plain.margins(VAL.X), abs=1e-4)
    assert margins(heads[0]) != pytest.approx(margins(heads[1]), abs=1e-3)
    one_order = train_heads(DATA.X, asked[:3], VAL.X, seed=0)
    alone_of_0 = train_heads(DATA.X, asked[1:2], VAL.X)[0]
    assert margins(one_order[1]) == pytest.approx(margins(alone_of_0), abs=1e-5)
    assert margins(one_order[0]) != pytest.approx(margins(heads[0]), abs=1e-4)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"epochs": 0}, "epochs=0: at least 1"),
        ({"patience": 0}, "patience=0: at least 1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: it must be a finite number > 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan: it must be a finite number > 0"),
    ],
)
def test_settings_that_teach_nothing_are_refused_in_place_of_their_head(setting: dict[str, Any], said: str) -> None:
    wrong, right = train_heads(DATA.X, [lesson(**setting), lesson()], VAL.X)
    assert isinstance(right, HeadStudent)
    assert isinstance(wrong, InputError)
    assert said in str(wrong)


def test_validation_rows_and_labels_come_together_and_are_as_wide_as_the_training_rows() -> None:
    (alone,) = train_heads(DATA.X, [lesson()])
    assert "validation labels without validation rows" in str(alone)
    for X_val, y_val in ((VAL.X, None), (None, SOFT_VAL)):
        with pytest.raises(InputError, match="X_val and y_val belong together"):
            HeadStudent(epochs=2).fit(DATA.X, SOFT, X_val, y_val)
    with pytest.raises(InputError, match="validation rows are 2 wide, but training rows 6"):
        HeadStudent(epochs=2).fit(DATA.X, SOFT, VAL.X[:, :2], SOFT_VAL)
    with pytest.raises(InputError, match="batch_size=0"):
        train_heads(DATA.X, [lesson()], VAL.X, batch_size=0)
