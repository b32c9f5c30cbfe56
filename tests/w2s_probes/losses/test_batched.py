"""Losses of many students at once beside the objective of each."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from w2s_probes import InputError
from w2s_probes.losses import LOSS_NAMES, LOSSES, LossName, Objective, RecentPredictions, is_batched
from w2s_probes.losses.batched import ObjectiveGroup, refuse_unbatched
from w2s_probes.losses.functions import batch_threshold
from w2s_probes.losses.thresholds import RecentThresholds, Thresholds

STUDENTS, ROWS = 3, 50
PRIORS: list[Any] = [0.5, 0.2, "batch"]


def drawn(seed: int, share: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Predictions, labels and masks (students, n) of one epoch."""
    rng = np.random.default_rng(seed)
    f, y = (torch.tensor(rng.random((STUDENTS, ROWS)), dtype=torch.float32) for _ in range(2))
    return f, y, torch.tensor(rng.random((STUDENTS, ROWS)) < share)


def prior_of(student: int, y: torch.Tensor) -> float:
    prior = PRIORS[student]
    return float(prior) if prior != "batch" else float(y.mean()) if len(y) > 1 else 0.5


@given(st.integers(0, 99), st.integers(1, ROWS), st.sampled_from([0.05, 0.5, 0.9, 1.0]))
def test_thresholds_of_batches_are_quantiles_of_the_rows_that_each_student_is_taught(
    seed: int, batch: int, share: float
) -> None:
    thresholds = Thresholds(PRIORS)
    for epoch in range(2):
        f, y, taught = drawn(seed + 100 * epoch, share)
        thresholds.begin(y, None if share == 1 else taught, batch)
        for start in range(0, ROWS, batch):
            here = slice(start, start + batch)
            t = thresholds.next(f[:, here])
            for student in range(STUDENTS):
                mask = taught[student, here]
                if mask.any():
                    own, labels = f[student, here][mask], y[student, here][mask]
                    expected = batch_threshold(own, prior_of(student, labels))[0]
                    assert float(t[student]) == pytest.approx(float(expected), abs=1e-6)


@given(st.integers(0, 99), st.integers(1, ROWS), st.sampled_from([0.05, 0.5, 0.9, 1.0]), st.integers(1, 40))
def test_recent_thresholds_remember_what_one_students_memory_does(
    seed: int, batch: int, share: float, size: int
) -> None:
    """Over three epochs, after the second of which a student leaves."""
    thresholds, memories = RecentThresholds(PRIORS, size), [RecentPredictions(size) for _ in PRIORS]
    left = list(range(STUDENTS))
    for epoch in range(3):
        if epoch == 2:
            left = [0, 2]
            thresholds.keep(torch.tensor(left))
        f, y, taught = drawn(seed + 100 * epoch, share)
        thresholds.begin(y[left], None if share == 1 else taught[left], batch)
        for start in range(0, ROWS, batch):
            here = slice(start, start + batch)
            t = thresholds.next(f[left, here])
            for place, student in enumerate(left):
                mask = taught[student, here]
                memories[student].add(f[student, here][mask])
                if mask.any():
                    expected = memories[student].threshold(prior_of(student, y[student, here][mask]))
                    assert float(t[place]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_the_slopes_of_a_group_are_the_gradients_of_each_students_objective(name: LossName) -> None:
    """Masks, weights, ramps, radii and priors of their own; batches of 20, 20 and 10."""
    rng = np.random.default_rng(1)
    _, y, taught = drawn(3, 0.7)
    weight = torch.tensor(rng.random((STUDENTS, ROWS)), dtype=torch.float32) + 0.5

    def objectives() -> list[Objective]:
        made = [Objective(name, warm_up=4, alpha=0.7, prior=prior) for prior in (None, 0.3, "batch")]
        for student, objective in enumerate(made):
            objective.fit(y[student][taught[student]])
        return made

    group, alone = ObjectiveGroup(objectives()), objectives()
    for _ in range(2):
        group.begin(y, taught, 20)
        for start in range(0, ROWS, 20):
            here = slice(start, start + 20)
            m = torch.tensor(2 * rng.normal(size=y[:, here].shape), dtype=torch.float32)
            shares = taught[:, here] * weight[:, here] / taught[:, here].sum(dim=1, keepdim=True)
            slopes = torch.empty_like(m)
            group.slopes(m, m.sigmoid(), y[:, here], shares, slopes)
            for student, objective in enumerate(alone):
                mask = taught[student, here]
                logits = torch.stack([torch.zeros_like(m[student]), m[student]], dim=1)[mask].requires_grad_()
                objective(logits, y[student, here][mask], weight=weight[student, here][mask]).backward()  # type: ignore[no-untyped-call]
                objective.advance()
                assert logits.grad is not None
                assert slopes[student][mask].tolist() == pytest.approx(logits.grad[:, 1].tolist(), abs=1e-6)
                assert not slopes[student][~mask].any()
    assert group.lead.step == alone[0].step == 6


def test_losses_are_known_to_have_a_leading_axis_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_axis(logits: Any, soft: Any, *, weight: Any = None) -> Any:
        return (logits[:, 1] * soft).mean()

    def sums_all(logits: Any, soft: Any, radius: float = 0.1, *, weight: Any = None) -> Any:
        return (radius * logits[..., 1] * soft).mean()

    def each(logits: Any, soft: Any, threshold: float, alpha: float = 0.5, *, weight: Any = None) -> Any:
        return (alpha * (logits[..., 1] - threshold) * soft).mean(dim=-1)

    assert [is_batched(loss) for loss in (first_axis, sums_all, each)] == [False, False, True]
    assert all(map(is_batched, LOSSES.values()))
    monkeypatch.setitem(LOSSES, "sums-all", sums_all)
    name: Any = "sums-all"
    with pytest.raises(InputError, match=r"'sums-all' has no leading axis"):
        refuse_unbatched(Objective(name))
    refuse_unbatched(Objective("logconf"))
