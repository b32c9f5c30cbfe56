"""What a loss remembers: warm-up, recent predictions, what it takes from all labels; one threshold for all."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import GOLDEN
from w2s_probes import InputError
from w2s_probes.losses import LOSS_NAMES, LOSSES, LossName, Objective, RecentPredictions, logconf, warm_up

WITH_OWN_OPINION = {"logconf", "logconf-batch", "entropy", "entropy-detached", "adaptconf", "dispersion"}


def batch(n: int = 8, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (n, 2) that ask for a gradient, as in training, and soft labels (n,)."""
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(n, 2)), requires_grad=True), torch.tensor(rng.uniform(size=n))


@pytest.mark.parametrize("batches", json.loads((GOLDEN / "losses.json").read_text()), ids=lambda b: f"batch {b['B']}")
@pytest.mark.parametrize(
    ("column", "name"),
    [("xent", "xent"), ("kl", "kl"), ("logconf", "logconf"), ("entropy", "entropy-detached"), ("entropy", "entropy")],
)
def test_objectives_equal_the_published_code_over_a_training_run(
    batches: dict[str, Any], column: str, name: LossName
) -> None:
    objective = Objective(name, warm_up=100, buffer=32, prior="batch")
    for logits, labels, step, expected in zip(
        *(batches[key] for key in ("logits", "labels", "steps", column)), strict=True
    ):
        objective.step = int(step)
        found = objective(torch.tensor(logits, requires_grad=True), torch.tensor(labels))
        assert found.item() == pytest.approx(expected, abs=1e-5)


def test_the_published_run_is_another_with_the_median_or_without_the_buffer() -> None:
    """The golden values tell these apart: the control of the test above."""
    runs = json.loads((GOLDEN / "losses.json").read_text())
    cases: list[dict[str, Any]] = [{"prior": 0.5}, {"prior": "batch", "buffer": 8}, {"prior": "batch", "warm_up": 200}]
    for settings in cases:
        off = 0.0
        for batches in runs:
            objective = Objective("logconf", **settings)
            columns = (batches[key] for key in ("logits", "labels", "steps", "logconf"))
            for logits, labels, step, expected in zip(*columns, strict=True):
                objective.step = int(step)
                found = objective(torch.tensor(logits, requires_grad=True), torch.tensor(labels))
                off = max(off, abs(found.item() - expected))
        assert off > 1e-3, settings


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=80), st.floats(0.05, 0.95))
def test_recent_predictions_are_bounded_and_split_at_the_prior(values: list[float], prior: float) -> None:
    recent = RecentPredictions(16)
    f = torch.tensor(values).sigmoid()
    recent.add(f)
    assert recent.threshold(prior) == pytest.approx(f[-16:].quantile(1 - prior).item(), abs=1e-6)
    assert len(recent) == min(16, len(values))


def test_the_warm_up_is_a_ramp_over_updates_or_a_share_of_them() -> None:
    assert [warm_up(0.5, step) for step in (0, 50, 100, 900)] == [0, 0.25, 0.5, 0.5]
    assert warm_up(0.5, 0, 0) == 0.5
    share = Objective("entropy", warm_up=0.2)
    with pytest.raises(InputError, match="call plan"):
        share(*batch())
    logits, soft = batch()
    assert share(logits.detach(), soft).item() == LOSSES["xent"](logits, soft).item()  # evaluation before any update
    share.plan(1000)
    assert share.ramp_ == 200
    share.step = 100
    assert share(*batch()).item() == pytest.approx(LOSSES["entropy"](*batch(), alpha=0.25).item())


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_only_losses_with_an_opinion_ramp_and_only_until_an_update_with_the_final_loss(name: LossName) -> None:
    objective = Objective(name, warm_up=3)
    seen = []
    for _ in range(6):
        seen.append(objective.ramping)
        objective.advance()
    assert seen == ([True] * 4 + [False] * 2 if name in WITH_OWN_OPINION else [False] * 6)
    assert not Objective(name, warm_up=0).ramping


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_a_single_batch_after_the_warm_up_is_the_pure_function(name: LossName) -> None:
    logits, soft = batch(31)
    objective = Objective(name, warm_up=0)
    objective.fit(soft.numpy())
    settings = {"prior": float(soft.mean())} if name == "logconf-batch" else {}
    assert objective(logits, soft).item() == pytest.approx(LOSSES[name](logits, soft, **settings).item(), abs=1e-12)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_evaluation_leaves_no_trace_and_training_does(name: LossName) -> None:
    objective = Objective(name, warm_up=0)
    objective.fit(batch(50)[1].numpy())
    objective(*batch(seed=1))
    before = objective.state_dict()
    logits, soft = batch(seed=2)
    with torch.no_grad():
        objective(logits * 1, soft)
    objective(logits.detach(), soft)
    assert objective.state_dict() == before
    objective(logits, soft)
    assert (objective.state_dict() != before) == (name == "logconf")


def test_evaluation_uses_the_threshold_of_training() -> None:
    objective = Objective("logconf", warm_up=0, buffer=4)
    confident = torch.tensor([[0.0, 4.0], [0, 5], [0, 6], [0, 7]])
    soft = torch.full((4,), 0.5)
    assert objective(confident, soft).item() == pytest.approx(logconf(confident, soft).item())  # nothing seen yet
    objective(confident.clone().requires_grad_(), soft)
    t = float(torch.tensor([5.0, 6.0]).sigmoid().mean())
    unsure = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    expected = logconf(unsure, soft[:2], threshold=t)
    assert objective(unsure, soft[:2]).item() == pytest.approx(expected.item(), abs=1e-6)
    assert expected.item() != pytest.approx(logconf(unsure, soft[:2]).item(), abs=1e-2)


def test_what_depends_on_all_labels_is_fitted_and_what_was_given_is_kept() -> None:
    soft = np.array([0.1, 0.3, 0.45, 0.9, 0.5])
    window = Objective("window")
    with pytest.raises(InputError, match="call fit"):
        window(*batch())
    window.fit(soft)
    assert window.radius_ == pytest.approx(0.2)  # of .4 .2 .05 .4 0
    given_radius = Objective("window", radius=0.1)
    given_radius.fit(soft)
    assert given_radius.radius_ == 0.1
    prior = Objective("logconf-batch", warm_up=0)
    assert prior(*batch(30)).item() == pytest.approx(LOSSES["logconf-batch"](*batch(30)).item())
    prior.fit(soft)
    assert prior.prior_ == pytest.approx(0.45)
    with pytest.raises(InputError, match="no row would count"):
        Objective("window").fit([0.5, 0.5, 0.9])
    with pytest.raises(InputError, match="probabilities"):
        Objective("xent").fit([0.5, 2])


def test_a_batch_of_one_row_is_split_at_one_half() -> None:
    for margin, label in ((1.0, 1.0), (-1.0, 0.0)):
        z = torch.tensor([[0.0, margin]], requires_grad=True)
        found = Objective("logconf-batch", warm_up=0, alpha=1.0)(z, torch.tensor([0.5]))
        assert found.item() == pytest.approx(LOSSES["xent"](z, torch.tensor([label])).item())


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_training_goes_on_from_a_saved_state_as_if_never_interrupted(name: LossName) -> None:
    labels = batch(40, seed=9)[1].numpy()

    def losses(objective: Objective, first: int, last: int) -> list[float]:
        found = []
        for step in range(first, last):
            found.append(objective(*batch(5, seed=step)).item())
            objective.advance()
        return found

    whole = Objective(name, warm_up=0.5)
    whole.fit(labels)
    whole.plan(20)
    expected = losses(whole, 0, 14)
    first = Objective(name, warm_up=0.5)
    first.fit(labels)
    first.plan(20)
    begun = losses(first, 0, 7)
    second = Objective(name, warm_up=0.5)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert begun + losses(second, 7, 14) == expected
    if name == "logconf":
        fresh = Objective(name, warm_up=10)
        fresh.step = 7
        assert losses(fresh, 7, 14) != expected[7:]  # the buffer matters


def test_wrong_settings_are_refused_with_the_remedy() -> None:
    with pytest.raises(InputError, match="did you mean 'reverse_kl'"):
        Objective("reverse-kl")
    wrong: list[tuple[str, Any]] = [
        ("alpha", 1.5),
        ("alpha", float("nan")),
        ("warm_up", 2.5),
        ("warm_up", -1),
        ("warm_up", float("inf")),
        ("radius", 0.7),
        ("prior", 1.0),
        ("prior", "train"),
        ("buffer", 0),
        ("temperature", 0.0),
    ]
    for setting, value in wrong:
        with pytest.raises(InputError, match=f"{setting}="):
            Objective("logconf", **{setting: value})
    with pytest.raises(InputError, match="not of 'xent'"):
        Objective("xent").load_state_dict(Objective("kl").state_dict())


PROCESS = """
import json, sys, torch
from torch import distributed
from w2s_probes.losses import Objective
rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
result = {}
for name in ("logconf", "logconf-batch", "xent"):
    for gather in (True, False):
        objective = Objective(name, alpha=1.0, warm_up=0, buffer=8, prior="batch", gather=gather)
        z = torch.tensor([[0.0, m] for m in ((-3.0, -2.0, -1.0), (1.0, 2.0, 3.0, 4.0, 5.0))[rank]], requires_grad=True)
        y = torch.full((len(z),), (0.2, 0.6)[rank])
        loss = objective(z, y)
        if rank == 0:
            with torch.no_grad():
                objective(z * 1, y)  # evaluation in one process alone must not wait for the other
        result[f"{name} {gather}"] = [loss.item(), objective.state_dict()["recent"]]
open(out, "w").write(json.dumps(result))
distributed.destroy_process_group()
"""


def test_all_processes_use_one_threshold(tmp_path: Path) -> None:
    """Rank 0 holds the low predictions and rank 1 the high ones: apart, each would halve its own."""
    arguments = [[str(rank), str(tmp_path / "store"), str(tmp_path / f"{rank}.json")] for rank in (0, 1)]
    running = [subprocess.Popen([sys.executable, "-c", PROCESS, *a], stderr=subprocess.PIPE) for a in arguments]
    for process in running:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr.decode()
    low, high = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    order = torch.tensor([-3.0, 1, -2, 2, -1, 3, 4, 5]).sigmoid().tolist()  # in turns
    assert low["logconf True"][1] == pytest.approx(order) == high["logconf True"][1]
    everyone = torch.tensor(order)
    t = float(everyone.quantile(1 - (3 * 0.2 + 5 * 0.6) / 8))  # the mean weak label of all eight rows
    assert 0.5 < t < 0.99
    for side, margins in ((low, [-3.0, -2, -1]), (high, [1.0, 2, 3, 4, 5])):
        z = torch.tensor([[0.0, m] for m in margins])
        own = torch.tensor(margins).sigmoid()
        together = logconf(z, torch.zeros(len(z)), alpha=1.0, threshold=t).item()
        apart = logconf(z, torch.zeros(len(z)), 1.0, own.quantile(0.8 if side is low else 0.4)).item()
        assert together != pytest.approx(apart, abs=1e-3)
        for name in ("logconf", "logconf-batch"):
            assert side[f"{name} True"][0] == pytest.approx(together, abs=1e-5)
            assert side[f"{name} False"][0] == pytest.approx(apart, abs=1e-5)
        assert side["xent True"][0] == side["xent False"][0]
