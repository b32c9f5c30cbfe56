"""Several processes train the student that one would."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.worlds.finetuning import QUICK, task
from w2s_probes.losses import Objective
from w2s_probes.students.finetune import finetune

Made = Callable[..., Path]


def test_two_processes_train_the_same_student_as_one(checkpoint: Made, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, torch\n"
        "from pathlib import Path\n"
        "from tests.worlds.finetuning import QUICK, task\n"
        "from w2s_probes.losses import Objective\n"
        "from w2s_probes.students.finetune import finetune\n"
        "torch.set_num_threads(1)\n"
        "folder = Path(sys.argv[2])\n"
        "found = finetune(sys.argv[1], task(90), task(31, 1), {'test': task(31, 1).texts}, settings=QUICK,\n"
        "                 objective=Objective('logconf', warm_up=5), folder=folder, save=True)\n"
        "Path(sys.argv[3] + os.environ['RANK']).write_text(str(found.scores['test'].tolist()))\n"
        "torch.distributed.destroy_process_group()\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, str(script), str(checkpoint()), str(tmp_path / "both"), str(tmp_path / "rank")],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    more: dict[str, Any] = {"settings": QUICK, "objective": Objective("logconf", warm_up=5)}
    alone = finetune(checkpoint(), task(90), task(31, 1), {"test": task(31, 1).texts}, **more)
    for rank in "01":
        scores = json.loads((tmp_path / f"rank{rank}").read_text())
        np.testing.assert_allclose(scores, alone.scores["test"], atol=1e-5)
    assert {f.name for f in (tmp_path / "both").iterdir()} == {"result.json", "model"}
