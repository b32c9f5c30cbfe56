"""Torch tensors in the place of arrays: the same numbers, whatever their format, device and gradient."""

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
from w2s_probes.neighbors import nearest
from w2s_probes.rows.groups import group_ids
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
