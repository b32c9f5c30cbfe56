"""Neighbours, logistic fits and heads on a device whose tensors numpy cannot read, nor the processor's stand beside."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from w2s_probes import InputError
from w2s_probes.probes import Design, DeviceDesign
from w2s_probes.students import HeadLesson, train_heads

ROOT = Path(__file__).parents[2]


def test_a_device_apart_gives_the_numbers_of_the_processor() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.worlds.on_pretend_device"],  # torch never forgets a device
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["neighbours"] == 0
    for fits in ("narrow fits", "wide fits"):  # both minima are within 1e-6 of the objective
        assert found[fits]["excess"] < 1e-6
        assert found[fits]["weights"] < 1e-3
        assert found[fits]["out_of_fold"] < 1e-4
    assert len(found["heads"]) > 15
    assert set(found["heads"].values()) == {0.0}


def test_a_device_that_is_not_there_or_too_small_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).standard_normal((1100, 920), dtype=np.float32)
    y = (X[:, 0] > 0).astype(float)
    assert type(DeviceDesign.of(X[:90, :9], "cpu")) is Design  # a small one: the processor's own
    for device in ("cuda:77", "meta", "no such device"):
        with pytest.raises(
            InputError, match=f"device='{device}': torch cannot use this device .*; use Design.of"
        ) as one:
            DeviceDesign.of(X, device)
        with pytest.raises(InputError, match=f"device='{device}': torch cannot use this device") as other:
            train_heads(X, [HeadLesson(y)], device=device)
        assert "\n" not in f"{one.value}{other.value}"

    def full(*_: Any, **options: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nGPU 0")

    monkeypatch.setattr("w2s_probes.probes.device_design._spectrum", full)
    with pytest.raises(InputError, match=r"1100 rows of 920 numbers, twice \(0.0081 GB\), do not fit into its memory"):
        DeviceDesign.of(X, "cpu")
    monkeypatch.setattr("w2s_probes.students.head_training.teach", full)
    with pytest.raises(InputError, match="1 heads on 1100 rows of 920 numbers do not fit into its memory: teach fewer"):
        train_heads(X, [HeadLesson(y)], device="cpu")
