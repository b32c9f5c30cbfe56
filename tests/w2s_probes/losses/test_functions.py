"""Loss functions against published values, the definitions written out in NumPy, and numerical gradients."""

import json
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import gradcheck

from tests.conftest import GOLDEN
from w2s_probes.gating import dispersion
from w2s_probes.losses import LOSS_NAMES, LOSSES, LossName, is_batched
from w2s_probes.losses.functions import TERMS

LOGITS = [[0.2, -0.4], [-1, 0.7], [0.1, 0.3], [-0.5, 1.5]]
SOFT = [0.3, 0.9, 0.4, 0.6]
XENT = [0.013586, -0.013616, 0.037459, 0.070199]
DETACHED: tuple[LossName, ...] = (
    "entropy-detached",
    "product",
    "adaptconf",
)  # hold f still in the target or its weight


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, logits)
    return found


@pytest.mark.parametrize(
    ("name", "settings", "value", "expected"),
    [
        ("xent", {}, 0.650085, XENT),
        ("kl", {}, 0.079593, XENT),
        ("logconf", {"alpha": 0.25}, 0.583210, [0.032336, -0.019866, 0.062459, 0.045199]),
        ("logconf", {"alpha": 0.5}, 0.516335, [0.051086, -0.026116, 0.087459, 0.020199]),
        ("logconf-batch", {"alpha": 0.5}, 0.516335, [0.051086, -0.026116, 0.087459, 0.020199]),
        ("entropy-detached", {}, 0.591790, [g / 2 for g in XENT]),
        ("entropy", {}, 0.591790, [0.023952, -0.034562, 0.012541, 0.008851]),
        ("window", {"radius": 0.15}, 0.333907, [0.013586, 0, 0.037459, 0]),
        ("window", {"radius": 0.3}, 0.333907, [0.013586, 0, 0.037459, 0]),
        ("product", {}, 0.438541, [0.040981, -0.033643, 0.025255, -0.009112]),
        ("reverse_kl", {}, 0.065153, [0.014144, -0.016235, 0.037466, 0.041854]),
    ],
)
def test_values_and_gradients(name: str, settings: dict[str, float], value: float, expected: list[float]) -> None:
    logits = torch.tensor(LOGITS, requires_grad=True)
    loss = LOSSES[name](logits, torch.tensor(SOFT), **settings)
    found = gradient(loss, logits)
    assert loss.item() == pytest.approx(value, abs=1e-5)
    assert found[:, 1].tolist() == pytest.approx(expected, abs=1e-5)
    assert found.sum(dim=1).tolist() == pytest.approx([0] * 4, abs=1e-6)


@pytest.mark.parametrize("batches", json.loads((GOLDEN / "losses.json").read_text()), ids=lambda b: f"batch {b['B']}")
@pytest.mark.parametrize(
    ("column", "name", "settings"),
    [
        ("xent", "xent", {}),
        ("kl", "kl", {}),
        ("window_0.15", "window", {"radius": 0.15}),
        ("window_0.4", "window", {"radius": 0.4}),
    ],
)
def test_losses_without_a_memory_equal_the_published_code(
    batches: dict[str, Any], column: str, name: str, settings: dict[str, float]
) -> None:
    for logits, labels, expected in zip(batches["logits"], batches["labels"], batches[column], strict=True):
        found = LOSSES[name](torch.tensor(logits), torch.tensor(labels), **settings)
        assert found.item() == pytest.approx(expected, abs=1e-5)


def by_definition(name: str, z: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The formulas with the default settings (α = ½), row by row, from f itself instead of its logarithm."""
    f = 1 / (1 + np.exp(z[:, 0] - z[:, 1]))
    t = np.median(f) if len(f) > 1 else 0.5

    def ce(target: Any) -> Any:
        return -target * np.log(f) - (1 - target) * np.log(1 - f)

    def by_generator(phi: Callable[[Any], Any]) -> Any:
        """D(f ‖ y) = E_y φ(f / y), the student's answer first."""
        return y * phi(f / y) + (1 - y) * phi((1 - f) / (1 - y))

    own, weak = (f > 0.5) * 1.0, (y > 0.5) * 1.0
    left, right = np.exp(2 * ce(own)), np.exp(2 * ce(weak))
    beta = left / (left + right)
    rows = {
        "xent": ce(y),
        "logconf": ce((y + (f > t)) / 2),
        "logconf-batch": ce((y + (f > t)) / 2),
        "entropy": ce((y + f) / 2),
        "entropy-detached": ce((y + f) / 2),
        "window": ce(y) * (np.maximum(f, 1 - f) < 0.5 + np.median(np.abs(y - 0.5))),
        "kl": y * np.log(y / f) + (1 - y) * np.log((1 - y) / (1 - f)),
        "reverse_kl": f * np.log(f / y) + (1 - f) * np.log((1 - f) / (1 - y)),
        "product": ce(f * y / (f * y + (1 - f) * (1 - y))),
        "adaptconf": (1 - beta) * ce(y) + beta * ce(own),
        "confidence": np.abs(2 * y - 1) * ce(y),
        "dispersion": ce((2 * y - 1) ** 2 * y + (1 - (2 * y - 1) ** 2) * own),
        "jensen_shannon": by_generator(lambda t: (t * np.log(2 * t / (1 + t)) + np.log(2 / (1 + t))) / 2),
        "hellinger": by_generator(lambda t: (np.sqrt(t) - 1) ** 2),
        "chi_squared": by_generator(lambda t: (t - 1) ** 2),
        "total_variation": by_generator(lambda t: np.abs(t - 1) / 2),
    }
    return float(rows[name].sum() / len(y))


batch_of = st.lists(
    st.tuples(st.floats(-8, 8), st.floats(-8, 8), st.floats(0.01, 0.99)), min_size=1, max_size=40, unique_by=lambda r: r
).map(lambda rows: (np.array(rows)[:, :2], np.array(rows)[:, 2]))


@pytest.mark.parametrize("name", LOSS_NAMES)
@given(batch=batch_of)
def test_each_loss_is_its_definition(name: str, batch: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    z, y = batch
    margin = np.sort(z[:, 1] - z[:, 0])
    edge = np.abs(margin).min(initial=1, where=True) < 1e-6 or (np.diff(margin) < 1e-6).any()
    if edge or np.abs(np.abs(1 / (1 + np.exp(-margin)) - 0.5) - np.median(np.abs(y - 0.5))).min() < 1e-9:
        return  # on an edge of a mask or a threshold rounding decides
    found = LOSSES[name](torch.tensor(z), torch.tensor(y))
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(by_definition(name, z, y), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_gradients_are_those_of_the_formula_but_where_a_target_is_detached(name: LossName) -> None:
    """The detached ones must differ from the numerical derivative: else the exception is not one."""
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    soft = torch.tensor(SOFT, dtype=torch.float64)
    right = gradcheck(lambda z: LOSSES[name](z, soft), logits, raise_exception=name not in DETACHED)
    assert right == (name not in DETACHED)


@pytest.mark.parametrize("name", DETACHED)
def test_detached_gradients_are_those_with_the_student_held_still(name: LossName) -> None:
    """Every one of these losses is a cross-entropy with a constant target t: its gradient by logit 1 is (f - t)/n."""
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    y = torch.tensor(SOFT, dtype=torch.float64)
    f = logits.detach().softmax(dim=1)[:, 1]
    own, weak = (f > 0.5).double(), (y > 0.5).double()
    to_own, to_weak = (torch.exp(-2 * (t * f + (1 - t) * (1 - f)).log()) for t in (own, weak))
    beta = to_own / (to_own + to_weak)
    targets = {
        "entropy-detached": (y + f) / 2,
        "product": f * y / (f * y + (1 - f) * (1 - y)),
        "adaptconf": (1 - beta) * y + beta * own,
    }
    found = gradient(LOSSES[name](logits, y), logits)
    assert found[:, 1].tolist() == pytest.approx(((f - targets[name]) / 4).tolist(), abs=1e-12)


@pytest.mark.parametrize("name", LOSS_NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_losses_and_gradients_are_finite_at_every_extreme(name: str, dtype: torch.dtype) -> None:
    sizes = [-1e4, -30.0, 0.0, 30.0, 1e4]
    rows = [(a, b, y) for a in sizes for b in sizes for y in (0.0, 0.5, 1.0)]
    logits = torch.tensor([r[:2] for r in rows], dtype=dtype, requires_grad=True)
    loss = LOSSES[name](logits, torch.tensor([r[2] for r in rows]))
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.isfinite(loss)
    assert loss >= 0
    assert torch.isfinite(gradient(loss, logits)).all()


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_half_precision_logits_give_the_loss_of_the_same_numbers_in_single(name: str) -> None:
    rng = np.random.default_rng(0)
    logits = torch.tensor(rng.normal(size=(256, 2)) * 3).bfloat16()
    soft = torch.tensor(rng.uniform(size=256))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = LOSSES[name](logits, soft)
    assert found.item() == LOSSES[name](logits.float(), soft).item()


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_weights_multiply_rows_and_one_is_the_loss_itself(name: str) -> None:
    rng = np.random.default_rng(1)
    logits, soft = torch.tensor(rng.normal(size=(8, 2))), torch.tensor(rng.uniform(size=8))
    held = {"threshold": 0.5} if name == "logconf" else {"radius": 0.3} if name == "window" else {}
    function = LOSSES[name]
    assert function(logits, soft, weight=torch.ones(8)).item() == pytest.approx(function(logits, soft).item())
    if name == "logconf-batch":
        return  # its threshold is another one for a part of the batch
    picked = function(logits, soft, weight=torch.tensor([4.0, 4, 0, 0, 0, 0, 0, 0]), **held)
    assert picked.item() == pytest.approx(function(logits[:2], soft[:2], **held).item())


@pytest.mark.parametrize("name", ["logconf", "logconf-batch", "entropy", "entropy-detached", "adaptconf", "dispersion"])
def test_without_its_own_opinion_a_student_is_trained_by_plain_cross_entropy(name: str) -> None:
    logits, soft = torch.tensor(LOGITS, requires_grad=True), torch.tensor(SOFT)
    loss, plain = LOSSES[name](logits, soft, alpha=0.0), LOSSES["xent"](logits, soft)
    assert loss.item() == pytest.approx(plain.item(), abs=1e-6)
    assert gradient(loss, logits).tolist() == gradient(plain, logits).tolist()


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=60, unique=True), st.floats(0.01, 0.99))
def test_the_share_above_the_batch_threshold_is_the_prior_to_within_a_row(margins: list[float], prior: float) -> None:
    """With α = 1 the loss is CE(f, ĥ): its gradient's sign says which rows were called class 1."""
    logits = torch.tensor([[0.0, m] for m in margins], dtype=torch.float64, requires_grad=True)
    loss = LOSSES["logconf-batch"](logits, torch.full((len(margins),), 0.5), alpha=1.0, prior=prior)
    called = int((gradient(loss, logits)[:, 1] < 0).sum())
    distinct = len(set((1 / (1 + np.exp(-np.array(margins)))).tolist())) == len(margins)
    assert not distinct or abs(called - prior * len(margins)) <= 1 + 1e-6


def test_adaptive_confidence_trusts_the_label_where_the_student_disagrees_with_assurance() -> None:
    """The target of a row is (1 - β) y + β ĥ; it is read off the gradient, (f - target)/n."""
    logits = torch.tensor([[0.0, 6.0], [0.0, 6.0], [0.0, 0.1]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0.8, 0.2, 0.2], dtype=torch.float64)
    found = gradient(LOSSES["adaptconf"](logits, y), logits)[:, 1] * 3
    beta = (logits.detach().softmax(dim=1)[:, 1] - found - y) / (1 - y)  # ĥ = 1 in all three
    assert beta[0] == pytest.approx(0.5)
    assert beta[1] < 1e-4
    assert 0.4 < beta[2] < 0.5


def test_by_dispersion_a_student_decides_the_rows_of_which_the_supervisor_is_unsure() -> None:
    """The target is read off the gradient, (f - target)/n: c y + (1 - c) ĥ with the dispersion of the weak label."""
    y = torch.tensor([0.5, 0.5, 0.9, 0.1, 1.0], dtype=torch.float64)
    logits = torch.tensor([[0.0, m] for m in (2, -2, -2, 2, -2)], dtype=torch.float64, requires_grad=True)
    f = logits.detach().softmax(dim=1)[:, 1]
    for alpha, share in ((0.5, 1), (0.25, 0.5), (1.0, 2)):  # beyond ½ no row can count for more than the whole
        target = f - gradient(LOSSES["dispersion"](logits, y, alpha=alpha), logits)[:, 1] * 5
        own = np.clip(share * (1 - dispersion(y.numpy())), 0, 1)
        expected = (1 - own) * y.numpy() + own * np.array([1.0, 0, 0, 1, 0])
        assert target.tolist() == pytest.approx(expected.tolist(), abs=1e-12)


def test_the_names_are_those_of_the_functions_and_come_without_torch() -> None:
    assert tuple(LOSSES) == LOSS_NAMES
    code = "import sys; from w2s_probes.losses import LossName; print({'torch', 'transformers'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    import w2s_probes.losses as package

    assert set(package.__all__) <= set(dir(package))
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'xentropy'"):
        package.xentropy  # noqa: B018


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_leading_axes_are_students_of_whom_each_has_the_loss_and_gradient_that_it_has_alone(name: LossName) -> None:
    rng = np.random.default_rng(2)
    logits = torch.tensor(3 * rng.normal(size=(2, 3, 9, 2)), requires_grad=True)
    soft, weight = torch.tensor(rng.uniform(size=(2, 3, 9))), torch.tensor(rng.uniform(size=(2, 3, 9)))
    together = LOSSES[name](logits, soft, weight=weight)
    assert together.shape == (2, 3)
    alone = torch.stack(
        [LOSSES[name](logits[i, j], soft[i, j], weight=weight[i, j]) for i in range(2) for j in range(3)]
    ).view(2, 3)
    assert together.tolist() == pytest.approx(np.array(alone.tolist()))
    found, expected = gradient(together.sum(), logits), gradient(alone.sum(), logits)
    assert torch.allclose(found, expected, atol=1e-12)
    assert is_batched(LOSSES[name])


@pytest.mark.parametrize("function", TERMS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("scale", [0.5, 5.0, 1e4])
def test_the_slope_of_each_formula_is_what_autograd_finds(function: Any, scale: float) -> None:
    """Also where a student is so sure that nothing is left to learn, and at labels of 0 and 1."""
    rng = np.random.default_rng(3)
    m = torch.tensor(scale * rng.normal(size=(3, 40)), requires_grad=True)
    y = torch.tensor(np.where(rng.random((3, 40)) < 0.3, rng.integers(0, 2, (3, 40)), rng.random((3, 40))))
    takes = {"alpha": 0.3, "temperature": 0.5}
    each = {"threshold": torch.tensor([[0.2], [0.5], [0.7]]), "radius": torch.tensor([[0.1], [0.3], [0.4]])}
    settings: dict[str, Any] = {k: v for k, v in (takes | each).items() if k in signature(function).parameters}
    loss = function(torch.stack([torch.zeros_like(m), m], dim=-1), y, **settings)
    odds, f = m.detach(), m.detach().sigmoid()
    slopes = TERMS[function](odds, f, y, **settings).slopes(odds, f)
    assert torch.isfinite(slopes).all()
    assert torch.allclose(slopes / 40, gradient(loss.sum(), m), atol=1e-9)
