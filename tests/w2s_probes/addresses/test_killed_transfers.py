"""Killed at any of their steps and given again, a push and a pull end with the same files, bit for bit.

`W2S_KILLS=100 pytest` kills at every fifth step, the usual run at every eightieth.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytest.importorskip("fsspec")
EVERY = 5 if int(os.environ.get("W2S_KILLS", "20")) >= 100 else 80


def test_killed_at_their_steps_and_given_again_they_end_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", ROOT / "tests" / "worlds" / "dying_transfers.py", tmp_path, str(EVERY)],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["killed"] >= 10
    assert len(set(found["left"])) >= 4  # the kills came all along the way
