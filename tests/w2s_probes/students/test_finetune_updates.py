"""Micro-batches and padding change nothing: gradients against one pass over the whole batch, row by row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.worlds.finetuning import QUICK, task
from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.losses import LOSSES, Objective
from w2s_probes.losses.names import LossName
from w2s_probes.students import FineTuning
from w2s_probes.students.finetuning.classifier import Checkpoint
from w2s_probes.students.finetuning.process_group import ProcessGroup
from w2s_probes.students.finetuning.updates import ModelInTraining
from w2s_probes.students.texts import OVERHEAD, Tokenized, micro_batches, tokenize

ALONE = ProcessGroup(0, 1, torch.device("cpu"))


def student(folder: Path, **settings: Any) -> tuple[ModelInTraining, Tokenized]:
    checkpoint = Checkpoint.open(folder)
    chosen = FineTuning(**{"kind": "full", "head_scale": 50, **settings})  # logits that differ between rows
    model = checkpoint.classifier(chosen, seed=0, dtype=torch.float32)
    model.config.pad_token_id = 0
    rows = tokenize(checkpoint.tokenizer, task(24).texts, 64, "train")
    return ModelInTraining(model, chosen, pad=0, dtype=torch.float32, processes=ALONE, seed=0), rows


def gradients(found: ModelInTraining) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in found.named.items() if p.grad is not None}


@pytest.mark.parametrize("loss", ["xent", "logconf", "logconf-batch", "window"])
@pytest.mark.parametrize("budget", [10_000, 300, 60, 1])
def test_accumulated_gradients_are_those_of_one_pass_over_the_batch(
    checkpoint: Callable[..., Path], loss: LossName, budget: int
) -> None:
    found, rows = student(checkpoint("llama"), batch_tokens=budget)
    assert len(micro_batches(rows.lengths, budget)) > (budget < 10_000)
    soft = torch.from_numpy(np.random.default_rng(0).random(24)).float()
    order = np.random.default_rng(1).permutation(24)
    ours, theirs = (Objective(loss, warm_up=0) for _ in range(2))
    for objective in (ours, theirs):
        objective.fit(soft.numpy())
    value = found.gradients(rows, soft, order, ours, step=0)
    mine = gradients(found)
    found.optimizer.zero_grad()
    ids, mask = padded([rows.rows[row] for row in order], 0)
    expected = theirs(found.model(input_ids=ids, attention_mask=mask).logits, soft[order])
    expected.backward()  # type: ignore[no-untyped-call]
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    whole = gradients(found)
    assert mine.keys() == whole.keys()
    assert max(g.abs().max().item() for g in whole.values()) > 1e-3
    for name, gradient in whole.items():
        torch.testing.assert_close(mine[name], gradient, atol=2e-6, rtol=1e-4)
    assert ours.state_dict()["recent"] == pytest.approx(theirs.state_dict()["recent"], abs=1e-6)


def test_a_loss_called_for_each_micro_batch_would_give_other_gradients(checkpoint: Callable[..., Path]) -> None:
    found, rows = student(checkpoint("llama"), batch_tokens=60)
    soft = torch.from_numpy(np.random.default_rng(0).random(24)).float()
    found.model.requires_grad_(False)
    whole = LOSSES["logconf-batch"](found._logits(rows, range(24), None), soft)
    parts = micro_batches(rows.lengths, 60)
    apart = [LOSSES["logconf-batch"](found._logits(rows, p, None), soft[p]) * len(p) / 24 for p in parts]
    assert abs(float(sum(apart)) - whole.item()) > 1e-3


def test_dropout_is_drawn_alike_in_both_passes_over_a_batch_beyond_the_budget(checkpoint: Callable[..., Path]) -> None:
    found, rows = student(checkpoint("bert"), batch_tokens=60)
    soft = torch.linspace(0, 1, 24)
    order = np.arange(24)
    value = found.gradients(rows, soft, order, Objective("xent"), step=3)
    mine = gradients(found)
    found.optimizer.zero_grad()
    parts = micro_batches(rows.lengths, 60)
    logits = [found._logits(rows, part, found._draws(3, i)) for i, part in enumerate(parts)]
    expected = LOSSES["xent"](torch.cat(logits), soft[np.concatenate(parts)])
    expected.backward()  # type: ignore[no-untyped-call]
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    for name, gradient in gradients(found).items():
        torch.testing.assert_close(mine[name], gradient, atol=2e-6, rtol=1e-4)


def test_gradient_checkpointing_changes_no_gradient(checkpoint: Callable[..., Path]) -> None:
    soft, order = torch.linspace(0, 1, 24), np.arange(24)
    both = []
    for kind in ("lora", "full"):
        for saving in (False, True):
            found, rows = student(checkpoint("llama"), kind=kind, gradient_checkpointing=saving)
            found.gradients(rows, soft, order, Objective("xent"), step=0)
            both.append(gradients(found))
        for name, gradient in both[-2].items():
            torch.testing.assert_close(both[-1][name], gradient, atol=1e-7, rtol=1e-5)


def test_biases_and_norms_are_not_decayed(checkpoint: Callable[..., Path]) -> None:
    found, rows = student(checkpoint("bert"), learning_rate=1.0, weight_decay=0.5, clip=1e-30)
    before = found.copied()
    found.update(rows, torch.full((24,), 0.5), np.arange(24), Objective("xent"), step=0, rate=1e-1)
    moved = {name: (found.named[name].detach() / before[name] - 1).nanmean().item() for name in before}
    decayed = {name for name, share in moved.items() if abs(share + 0.05) < 1e-2}
    assert decayed == {name for name, p in found.named.items() if p.dim() >= 2}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 500))
def test_micro_batches_are_a_partition_within_the_budget_and_cost_least(lengths: list[int], budget: int) -> None:
    own = np.array(lengths)
    parts = micro_batches(own, budget)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(lengths)))
    for part in parts:
        assert len(part) * own[part].max() <= budget or len(part) == 1
    cost = sum(len(p) * own[p].max() + OVERHEAD for p in parts)
    greedy = sum(len(p) * own[p].max() + OVERHEAD for p in batches(lengths, budget))
    assert cost <= greedy
    longest = [own[p].max() for p in parts]
    assert longest == sorted(longest, reverse=True)


def test_few_rows_are_parted_as_trying_every_way_parts_them() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        own = rng.integers(1, 300, size=8)
        ordered = np.sort(own)[::-1]
        best = min(
            sum(len(g) * int(g[0]) + OVERHEAD for g in np.split(ordered, [i + 1 for i in range(7) if cuts >> i & 1]))
            for cuts in range(128)
        )
        assert sum(len(p) * own[p].max() + OVERHEAD for p in micro_batches(own, 10**6)) == best


def test_the_rate_rises_and_falls_as_told() -> None:
    settings = FineTuning(learning_rate=1.0, warm_up=40)
    rates = [settings.rate_at(step, 1000) for step in range(1000)]
    assert np.argmax(rates) == 40
    assert rates[40] == 1
    assert rates[520] == pytest.approx(0.5)
    assert np.allclose(np.diff(rates[:40], n=2), 0)
    assert 0 < rates[-1] < 1e-4
    assert [QUICK.rate_at(s, 10) / QUICK.rate for s in range(2)] == [0.5, 1.0]  # a tenth of ten updates is one
