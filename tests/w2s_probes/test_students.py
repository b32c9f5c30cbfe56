"""Losses against the published code's values, and the head that is trained with them."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from tests.conftest import GOLDEN, planted
from w2s_probes import InputError, auroc
from w2s_probes.losses import LOSSES, RecentPredictions, logconf, warm_up, xent
from w2s_probes.students import HeadStudent

LOGITS = [[0.2, -0.4], [-1, 0.7], [0.1, 0.3], [-0.5, 1.5]]
SOFT = [0.3, 0.9, 0.4, 0.6]


@pytest.mark.parametrize(
    ("name", "settings", "value", "gradient"),
    [
        ("xent", {}, 0.650085, [0.013586, -0.013616, 0.037459, 0.070199]),
        ("logconf", {"alpha": 0.25}, 0.583210, [0.032336, -0.019866, 0.062459, 0.045199]),
        ("logconf", {"alpha": 0.5}, 0.516335, [0.051086, -0.026116, 0.087459, 0.020199]),
    ],
)
def test_values_and_gradients(name: str, settings: dict[str, float], value: float, gradient: list[float]) -> None:
    logits = torch.tensor(LOGITS, requires_grad=True)
    loss = LOSSES[name](logits, torch.tensor(SOFT), **settings)
    (found,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(value, abs=1e-5)
    assert found[:, 1].tolist() == pytest.approx(gradient, abs=1e-5)
    assert found.sum(dim=1).tolist() == pytest.approx([0] * 4, abs=1e-6)


@pytest.mark.parametrize("batches", json.loads((GOLDEN / "losses.json").read_text()), ids=lambda b: f"batch {b['B']}")
def test_losses_equal_the_published_code_over_a_training_run(batches: dict[str, list[list[float]]]) -> None:
    recent = RecentPredictions(32)
    fields = (batches[name] for name in ("logits", "labels", "steps", "xent", "logconf"))
    for logits, labels, step, expected_xent, expected_logconf in zip(*fields, strict=True):
        z, y = torch.tensor(logits), torch.tensor(labels)
        assert xent(z, y).item() == pytest.approx(expected_xent, abs=1e-5)
        threshold = recent.threshold(z, prior=float(y.mean()))
        found = logconf(z, y, warm_up(0.5, int(step)), threshold)
        assert found.item() == pytest.approx(expected_logconf, abs=1e-5)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=80), st.floats(0.05, 0.95))
def test_recent_predictions_are_bounded_and_split_at_the_prior(logits: list[float], prior: float) -> None:
    recent = RecentPredictions(16)
    z = torch.tensor([[0.0, value] for value in logits])
    t = recent.threshold(z, prior)
    last = z.softmax(dim=1)[-16:, 1]
    assert t == pytest.approx(last.quantile(1 - prior).item(), abs=1e-6)
    assert len(recent._recent) <= 16


def test_the_warm_up_is_a_ramp() -> None:
    assert [warm_up(0.5, step) for step in (0, 50, 100, 900)] == [0, 0.25, 0.5, 0.5]


@pytest.mark.parametrize("loss", ["xent", "logconf"])
def test_the_head_learns_through_noise_and_is_the_same_each_time(loss: str) -> None:
    data, val, fresh = planted(n=500, noise=0.25), planted(n=200, noise=0.25, seed=1), planted(n=400, seed=2)
    head = HeadStudent(loss, seed=3)  # type: ignore[arg-type]
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


def test_wrong_settings_are_refused() -> None:
    data = planted()
    with pytest.raises(InputError, match="did you mean 'logconf'"):
        HeadStudent("logcon").fit(data.X, data.weak)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one class only"):
        HeadStudent().fit(data.X, data.weak * 0)
    with pytest.raises(InputError, match="diverged at step"):
        HeadStudent(learning_rate=float("inf")).fit(data.X, data.weak)
