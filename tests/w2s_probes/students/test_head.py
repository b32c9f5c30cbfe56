"""The head that is trained on weak labels."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from tests.conftest import planted
from w2s_probes import InputError, auroc
from w2s_probes.losses import LOSS_NAMES, LossName
from w2s_probes.students import HeadStudent


@pytest.mark.parametrize("loss", LOSS_NAMES)
def test_the_head_learns_through_noise_and_is_the_same_each_time(loss: LossName) -> None:
    data, val, fresh = planted(n=500, noise=0.25), planted(n=200, noise=0.25, seed=1), planted(n=400, seed=2)
    head = HeadStudent(loss, seed=3)
    first = clone(head).fit(data.X, data.weak, val.X, val.weak).predict_proba(fresh.X)
    again = clone(head).fit(data.X, data.weak, val.X, val.weak).predict_proba(fresh.X)
    assert np.array_equal(first, again)
    assert auroc(fresh.truth, first[:, 1]) > 0.97


def test_the_head_ignores_scale_and_offset_of_the_activations() -> None:
    data = planted()
    scaled = (data.X * np.float32(1000) + np.float32(7)).astype(np.float32)
    plain = HeadStudent(epochs=20).fit(data.X, data.weak).predict_proba(data.X)
    assert HeadStudent(epochs=20).fit(scaled, data.weak).predict_proba(scaled) == pytest.approx(plain, abs=1e-3)


def test_early_stopping_keeps_the_epoch_that_the_validation_labels_prefer() -> None:
    """With validation labels turned round, the best epoch is the one that has learned least."""
    data = planted(n=400, noise=0.0, d=4)
    turned = HeadStudent(patience=5).fit(data.X, data.weak, data.X, 1 - data.weak)
    straight = HeadStudent(patience=5).fit(data.X, data.weak, data.X, data.weak)
    assert turned.n_epochs_ == 1
    assert auroc(data.truth, straight.predict_proba(data.X)[:, 1]) > 0.97


def test_validation_labels_may_be_named_like_the_classes() -> None:
    data, val = planted(), planted(seed=1)
    plain = HeadStudent().fit(data.X, data.weak, val.X, val.weak)
    named = HeadStudent().fit(data.X, 1 + data.weak, val.X, 1 + val.weak)
    assert named.classes_.tolist() == [1, 2]
    assert named.n_epochs_ == plain.n_epochs_
    assert np.array_equal(named.coef_, plain.coef_)


def test_a_constant_column_and_validation_of_one_class_do_no_harm() -> None:
    data = planted()
    data.X[:, 5] = 3
    head = HeadStudent(epochs=60).fit(data.X, data.weak, data.X[:5], np.ones(5))
    assert head.n_epochs_ == 60
    assert np.isfinite(head.coef_).all()
    assert auroc(data.truth, head.predict_proba(data.X)[:, 1]) > 0.9


def test_equal_weights_change_nothing_and_unequal_ones_choose_what_is_learnt() -> None:
    """Half of the rows follow one direction and half the opposite: the weights say which."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4)).astype(np.float32)
    truth = (X[:, 0] > 0).astype(np.float64)
    right = np.arange(400) % 2 == 0
    y = np.where(right, truth, 1 - truth)
    plain = HeadStudent(epochs=20).fit(X, y)
    assert np.array_equal(HeadStudent(epochs=20).fit(X, y, sample_weight=np.full(400, 7.0)).coef_, plain.coef_)
    for weight, score in ((right * 9.0 + 1, 1.0), (10 - right * 9.0, 0.0)):
        head = HeadStudent(epochs=20).fit(X, y, sample_weight=weight)
        assert auroc(truth, head.predict_proba(X)[:, 1]) == pytest.approx(score, abs=0.05)
    for wrong in (np.ones(3), -np.ones(400), np.zeros(400), np.full(400, np.nan)):
        with pytest.raises(InputError, match="one finite weight >= 0 a row"):
            HeadStudent().fit(X, y, sample_weight=wrong)


def test_wrong_settings_are_refused() -> None:
    data = planted()
    with pytest.raises(InputError, match="did you mean 'logconf'"):
        HeadStudent("logcon").fit(data.X, data.weak)
    with pytest.raises(InputError, match="one class only"):
        HeadStudent().fit(data.X, data.weak * 0)
    with pytest.raises(InputError, match="diverged at step"):
        HeadStudent(learning_rate=1e38).fit(data.X, data.weak)


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-19, 1e-6, 1e10, 1e18, 1e19, 1e30, 1e37])
def test_the_head_learns_the_same_at_every_scale_that_float32_has(scale: float) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2 * 1.0
    X = rng.normal(size=(300, 6)) + 0.6 * (2 * y - 1)[:, None]

    def scores(unit: float) -> NDArray[np.float64]:
        rows = (X * unit).astype(np.float32)
        head = HeadStudent(epochs=10).fit(rows[:200], y[:200], rows[200:250], y[200:250])
        return head.predict_proba(rows[250:])[:, 1]

    plain = scores(1.0)
    assert auroc(y[250:], plain) > 0.9
    assert scores(scale) == pytest.approx(plain, abs=1e-3)


def test_the_head_learns_from_small_differences_beside_a_huge_offset_and_from_columns_of_all_scales() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(40_000) % 2 * 1.0
    X = np.column_stack([rng.normal(size=len(y)) + y, 3e4 + rng.normal(size=len(y)) + 2 * y, rng.normal(size=len(y))])
    plain = HeadStudent(epochs=2).fit(X - [0, 3e4, 0], y)
    moved = HeadStudent(epochs=2).fit(X * [1e30, 1, 1e-30], y)
    assert moved.coef_[0] * [1e30, 1, 1e-30] == pytest.approx(plain.coef_[0], rel=2e-2)
    assert auroc(y, moved.predict_proba(X * [1e30, 1, 1e-30])[:, 1]) > 0.9
