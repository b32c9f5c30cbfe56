"""Two processes that train one model together, forked from the test's: imports take seconds, and trainings less."""

import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import distributed

from w2s_probes.io.json_lines import read_json_lines
from w2s_probes.students import Texts

MINIATURE = Path(__file__).parent.parent.parent / "data" / "miniature"
FSDP = "distributed_type: FSDP\nnum_processes: 2\nuse_cpu: true\nfsdp_config:\n  fsdp_version: 2\n"


def in_two(work: Callable[[int], Any], folder: Path) -> list[Any]:
    """What `work` returns in each of two processes, given its rank; AssertionError with what one raised."""
    folder.mkdir()
    children = {}
    for rank in (0, 1):
        if not (pid := os.fork()):
            _end(work, rank, folder)
        children[rank] = pid
    for pid in children.values():
        os.waitpid(pid, 0)
    results = [pickle.loads((folder / f"{rank}").read_bytes()) for rank in children]
    for result in results:
        assert not isinstance(result, str), result
    return results


def _end(work: Callable[[int], Any], rank: int, folder: Path) -> NoReturn:
    """The whole life of a child."""
    try:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"}
        os.environ["ACCELERATE_USE_CPU"] = "true"
        distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
        torch.set_num_threads(1)
        result = pickle.dumps(work(rank))
    except BaseException:  # noqa: BLE001  # said in the parent
        result = pickle.dumps(traceback.format_exc())
    (folder / f"{rank}").write_bytes(result)
    os._exit(0)


def moods(rows: int, split: str, seed: int = 0) -> Texts:
    """Rows of the miniature's first task, with soft labels and weights of their losses."""
    table = read_json_lines(MINIATURE / "rows" / "miniature_mood" / f"{split}.jsonl.gz").iloc[:rows]
    draws = np.random.default_rng(seed)
    soft = np.clip(table["label"].to_numpy(float) * 0.8 + draws.normal(0.1, 0.05, rows), 0, 1)
    return Texts(table["text"].tolist(), soft, 0.5 + draws.random(rows))
