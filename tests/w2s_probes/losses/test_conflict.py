"""The explicit conflict: vectors, a numerical gradient, and slopes that are those of autograd."""

import numpy as np
import pytest
import torch

from w2s_probes.losses import ExplicitConflict, explicit_conflict, xent
from w2s_probes.losses.conflict import conflict_penalty, conflict_slopes

LOGITS = torch.tensor([[0.2, -0.4], [-1.0, 0.7], [0.1, 0.3], [-0.5, 1.5]], dtype=torch.float64)
SOFT = torch.tensor([0.3, 0.9, 0.4, 0.6], dtype=torch.float64)
TRUTH = torch.tensor([1, 0, 0, 1])


@pytest.mark.parametrize(
    ("alpha", "value", "gradient"),
    [
        (0.0, 0.650085, None),
        (0.5, 0.800512, [0.057879, -0.032924, -0.018812, 0.070199]),
        (1.0, 0.950938, [0.102172, -0.052233, -0.075083, 0.070199]),
    ],
)
def test_loss_and_gradient_are_those_of_the_second_implementation(
    alpha: float, value: float, gradient: list[float] | None
) -> None:
    logits = LOGITS.clone().requires_grad_()
    loss = explicit_conflict(logits, SOFT, TRUTH, alpha)
    assert loss.item() == pytest.approx(value, abs=1e-6)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    if gradient is not None:
        assert logits.grad[:, 1].tolist() == pytest.approx(gradient, abs=1e-6)
    assert logits.grad.sum(dim=1).abs().max() < 1e-12


def test_without_weight_on_it_the_loss_is_xent() -> None:
    assert explicit_conflict(LOGITS, SOFT, TRUTH, 0.0) == xent(LOGITS, SOFT)


def test_slopes_are_the_gradient_and_rows_that_are_right_have_none() -> None:
    logits = torch.randn(3, 50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    truth = torch.arange(50) % 2
    conflict_penalty(logits, truth.expand(3, 50)).sum().backward()  # type: ignore[no-untyped-call]
    m = (logits[..., 1] - logits[..., 0]).detach()
    slopes = conflict_slopes(m, m.sigmoid(), 1 - truth.double().expand(3, 50))
    assert logits.grad is not None
    assert torch.allclose(slopes / 50, logits.grad[..., 1])
    right = (m > 0) == (truth == 1)
    assert (slopes[right] == 0).all()
    assert (slopes[~right] != 0).all()


def test_exactly_one_half_is_class_0_and_weights_count() -> None:
    level = torch.zeros(2, 2)
    assert conflict_penalty(level, torch.tensor([0, 1])).item() == pytest.approx(np.log(2) / 2)
    weighted = conflict_penalty(level, torch.tensor([0, 1]), weight=torch.tensor([5.0, 0.5]))
    assert weighted.item() == pytest.approx(np.log(2) / 4)
    assert conflict_slopes(torch.zeros(2), torch.full((2,), 0.5), torch.tensor([1.0, 0.0])).tolist() == [0.0, 0.5]


def test_the_penalty_of_some_rows_is_that_of_their_truth() -> None:
    conflict = ExplicitConflict(TRUTH.numpy() > 0, alpha=0.5)
    rows = torch.tensor([3, 1])
    assert conflict.penalty(LOGITS[rows], rows) == 0.5 * conflict_penalty(LOGITS[rows], TRUTH[rows])
