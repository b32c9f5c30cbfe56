"""Neighbours, logistic fits and heads on a device whose tensors numpy cannot read, nor the processor's stand beside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
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
