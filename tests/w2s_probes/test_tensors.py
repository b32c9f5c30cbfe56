"""Torch tensors in the place of arrays: the same numbers, whatever their format, device and gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from w2s_probes import (
    KNNProbe,
    LabelSet,
    LogisticProbe,
    auroc,
    performance_gap_recovered,
    relabel,
    topo_filter,
)
from w2s_probes.foretelling import mahalanobis_cosine
from w2s_probes.fusion import fuse_static
from w2s_probes.gating import Gate, GatedExperts, LinearHead, mixed
from w2s_probes.neighbors import nearest
from w2s_probes.probes import paired_sides, shuffled_sides, swapped_sides
from w2s_probes.raters import Combiner, dawid_skene, disagreement
from w2s_probes.rows.groups import group_ids
from w2s_probes.selection import undominated
from w2s_probes.stats import paired_tests, pooled, saturated, sign_flip, wilcoxon
from w2s_probes.students import HeadLesson, HeadStudent, train_heads
from w2s_probes.tensors import as_numpy


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_probes_filters_and_metrics_read_tensors(dtype: torch.dtype) -> None:
    draws = torch.randn(80, 5, generator=torch.Generator().manual_seed(0))
    given: Any = draws.to(dtype, copy=True).requires_grad_()
    X = draws.to(dtype).double().numpy()
    soft = torch.sigmoid(given[:, 0])
    y = soft.detach().double().numpy()
    for probe in (KNNProbe(k=3), LogisticProbe(l2=0.1)):
        assert np.array_equal(probe.fit(given, soft).predict_proba(given), probe.fit(X, y).predict_proba(X))
        assert probe.score(given, soft) == probe.score(X, y)
    assert np.array_equal(relabel(KNNProbe(k=3), given, soft), relabel(KNNProbe(k=3), X, y))
    assert np.array_equal(topo_filter(given, soft, 9, 5).mask, topo_filter(X, y, 9, 5).mask)
    assert np.array_equal(nearest(given, 3).indices, nearest(X.astype(np.float32), 3).indices)
    truth = (soft > 0.4).int()
    assert auroc(truth, given[:, 0]) == auroc(truth.numpy(), X[:, 0])


def test_what_is_no_tensor_stays_what_it_is() -> None:
    for given in ([1, 2], np.arange(3), None, "text"):
        assert as_numpy(given) is given
    small = torch.tensor([0.5, -2.0], dtype=torch.float8_e4m3fn)
    assert as_numpy(small).tolist() == [0.5, -2.0]
    assert as_numpy(torch.tensor([True, False])).tolist() == [True, False]
    assert as_numpy(torch.tensor([1 + 2j]).conj()).tolist() == [1 - 2j]


def test_paths_label_sets_and_lessons_read_tensors() -> None:
    draws = torch.randn(60, 4, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16).requires_grad_()
    given: Any = draws
    soft: Any = torch.sigmoid(draws[:, 0])
    X, y = as_numpy(given), as_numpy(soft)
    penalties: Any = torch.tensor([0.125, 1.0])
    found = LogisticProbe.path(given, soft, l2=penalties, cv=3)
    assert np.array_equal(found.out_of_fold, LogisticProbe.path(X, y, l2=[0.125, 1.0], cv=3).out_of_fold)
    groups: Any = torch.arange(60) // 2
    assert np.array_equal(group_ids(X, groups), group_ids(X, np.arange(60) // 2))
    ids: Any = [f"row-{row}" for row in range(60)]
    assert np.array_equal(LabelSet(ids, soft).p, LabelSet(ids, y).p)
    (student,) = train_heads(given, [HeadLesson(soft, epochs=2)])
    (same,) = train_heads(X, [HeadLesson(y, epochs=2)])
    assert isinstance(student, HeadStudent)
    assert isinstance(same, HeadStudent)
    assert np.array_equal(student.coef_, same.coef_)
    truth: Any = (soft > 0.5).int()
    recovered = performance_gap_recovered(truth, weak=1 - soft, student=soft, ceiling=soft)
    assert recovered.value == performance_gap_recovered(as_numpy(truth), weak=1 - y, student=y, ceiling=y).value


RNG = np.random.default_rng(0)
SIDES, VOTES = RNG.normal(size=(60, 4)), (RNG.random((60, 3)) < 0.7).astype(float)
KNOWN = np.where(np.arange(60) < 9, VOTES[:, 0], np.nan)
TASKS = np.sort(RNG.random((3, 9)), axis=0)
HALF = np.arange(120) % 3 == 0
PREDICTED = np.clip(np.arange(120) % 2 + RNG.normal(size=120) / 2, 0, 1)
WIDE = RNG.normal(size=(120, 4)) + np.arange(120)[:, None] % 2
# Public functions that take numbers and not labels: a call of arrays, as `np.asarray` compares.
OTHERS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "paired_sides": (paired_sides, (SIDES, -SIDES)),
    "swapped_sides": (swapped_sides, (SIDES,)),
    "shuffled_sides": (shuffled_sides, (SIDES,)),
    "dawid_skene": (lambda p, known: dawid_skene(p, known).sensitivity, (VOTES, KNOWN)),
    "disagreement": (disagreement, (VOTES,)),
    "Combiner": (lambda p: Combiner("mean", np.full(3, 1 / 3)).combine(p), (VOTES,)),
    "paired_tests": (lambda a, b: paired_tests(a, b).difference, (TASKS[1], TASKS[0])),
    "pooled": (lambda *three: pooled(*three, saturation=None).pooled.value, tuple(TASKS)),
    "saturated": (lambda *three: saturated(*three), tuple(TASKS)),
    "sign_flip": (lambda d: sign_flip(d).better, (TASKS[1] - TASKS[0],)),
    "wilcoxon": (wilcoxon, (TASKS[1] - TASKS[0],)),
    "mahalanobis_cosine": (lambda a, b, X: mahalanobis_cosine(a, b, X).estimate.value, (SIDES[0], SIDES[1], SIDES)),
    "fuse_static": (fuse_static, (SIDES, SIDES + 1, -SIDES, TASKS[0, 0])),
    "undominated": (lambda J: undominated(J, 0).margins, (TASKS,)),
    "Gate": (lambda w, s, t: Gate("learned").fit(w, s, t).mix(w, s).p, (PREDICTED, 1 - PREDICTED, np.arange(120) % 2)),
    "mixed": (lambda w, s, c: mixed(w, s, c).p, (PREDICTED, 1 - PREDICTED, PREDICTED)),
    "Gated.accuracy": (lambda t: mixed(PREDICTED, PREDICTED, 0.5).accuracy(t), (np.arange(120) % 2,)),
    "LinearHead": (lambda coef, X: LinearHead(coef, 0.5).logits(X), (np.ones(4), WIDE)),
    "GatedExperts": (
        lambda weak, strong, truth: _experts(weak, strong, truth, HALF).mix(weak, strong).p,
        (WIDE, -WIDE, np.arange(120) % 2),
    ),
}


def _experts(weak: Any, strong: Any, truth: Any, held_out: Any) -> GatedExperts:
    head = LinearHead(np.full(4, 0.1))
    return GatedExperts().fit(weak, strong, truth, held_out, weak=head, strong=head)


@pytest.mark.parametrize("name", OTHERS)
def test_other_functions_read_tensors_with_gradients(name: str) -> None:
    call, arrays = OTHERS[name]
    given = [torch.tensor(array, dtype=torch.float64).to(torch.bfloat16).requires_grad_() for array in arrays]
    plain = [as_numpy(one).astype(np.float64) for one in given]
    assert np.array_equal(np.asarray(call(*given)), np.asarray(call(*plain)), equal_nan=True)


def test_several_label_sets_may_be_tensors_of_rows_or_one() -> None:
    labels = torch.sigmoid(torch.randn(2, 60, generator=torch.Generator().manual_seed(0))).requires_grad_()
    found = LogisticProbe.paths(SIDES, as_numpy(labels), l2=[0.1])
    given: Any
    for given in (labels, list(labels)):
        for one, other in zip(LogisticProbe.paths(SIDES, given, l2=[0.1]), found, strict=True):
            assert np.array_equal(one.coef_, other.coef_)
