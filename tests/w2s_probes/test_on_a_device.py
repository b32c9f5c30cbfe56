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
from w2s_probes.devices import DeviceError
from w2s_probes.probes import AttentionProbe, Design, DeviceDesign, LogisticProbe, MLPProbe, load_probe, save_probe
from w2s_probes.store import TokenActivations
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
    for fits in (
        "narrow fits",
        "wide fits",
        "fits that meet their labels",
    ):  # both minima are within 1e-6 of the objective
        assert found[fits]["excess"] < 1e-6
        assert found[fits]["weights"] < 1e-3
        assert found[fits]["out_of_fold"] < 1e-4
    assert len(found["heads"]) > 15
    assert set(found["heads"].values()) == {0.0}
    networks = found["networks"]
    assert networks["moved by the penalty"] > 0.01  # so that what is compared is not what all begin with
    assert max(networks["out_of_fold"], networks["loss"], networks["weights"]) < 1e-5
    assert set(found["tokens"]) == {"one head", "gated heads", "max", "one head, sent"}
    assert max(found["tokens"].values()) < 1e-5
    assert set(found["by name"]) == {"LogisticProbe", "HeadStudent", "relabel", "networks"}
    assert max(found["by name"].values()) < 1e-3
    assert found["in halves"]["at once"] == 1
    assert found["in halves"]["apart"] < 1e-4


def test_a_device_that_is_not_there_or_too_small_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).standard_normal((1100, 920), dtype=np.float32)
    y = (X[:, 0] > 0).astype(float)
    assert type(DeviceDesign.of(X[:90, :9], "cpu")) is Design  # a small one: the processor's own
    for device in ("cuda:77", "meta", "no such device"):
        with pytest.raises(InputError, match=f"device='{device}': torch cannot use this device .*; use 'cpu'") as one:
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
    monkeypatch.setattr("w2s_probes.probes.mlp_on_device._slopes", full)
    monkeypatch.setattr("w2s_probes.probes.attention_training.read_there", full)
    monkeypatch.setattr("w2s_probes.probes.minimize._minimize", full)
    with pytest.raises(DeviceError, match=r"1100 rows of 920 numbers \(0.004 GB\) and networks do not fit into its"):
        MLPProbe(device="cpu:0").fit(X, y)
    read = TokenActivations(X[:40], np.arange(0, 41, 2), np.zeros(40, np.int32))
    with pytest.raises(DeviceError, match="1 attention probes of width 920 and their tokens do not fit"):
        AttentionProbe(device="cpu:0").fit(read, y[:20])
    with pytest.raises(InputError, match="1 heads on 1100 rows of 920 numbers do not fit into its memory: teach fewer"):
        train_heads(X, [HeadLesson(y)], device="cpu")


def test_a_path_for_which_the_device_has_no_room_is_refused_and_a_saved_probe_asks_for_no_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    X = np.random.default_rng(0).standard_normal((1200, 850), dtype=np.float32)
    y = (X[:, 0] > 0).astype(float)
    design = DeviceDesign.of(X, "cpu")
    with pytest.raises(InputError, match="device='cuda': a design lies on a device already"):
        LogisticProbe.path(design, y, device="cuda")
    probe = LogisticProbe(device="cpu:0").fit(X, y)
    save_probe(probe, tmp_path / "probe.safetensors")
    back = load_probe(tmp_path / "probe.safetensors")
    assert back.get_params() == LogisticProbe().get_params()
    assert (back.coef_ == probe.coef_).all()

    def full(*_: Any, **options: Any) -> Any:
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")

    monkeypatch.setattr("w2s_probes.probes.minimize._minimize", full)
    with pytest.raises(DeviceError, match=r"1200 rows of 850 numbers, twice \(0.0082 GB\), and a fit do not fit"):
        LogisticProbe.path(design, y, l2=[0.1, 1.0], cv=2)
