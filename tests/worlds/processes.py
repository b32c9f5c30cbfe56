"""Processes to kill: each a `w2s` of its own, forked from one that has torch loaded, which takes seconds.

The parent runs as a script of its own, so that it has one thread and nothing of pytest in it.
"""

import importlib
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL
from types import FrameType
from typing import Any

import numpy as np

from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter

ROOT = Path(__file__).parent.parent.parent
# What puts a store on disk. A `step` is a call that one of these makes or receives: HDF5's writes are among them.
STORE_FILES = {
    str(ROOT / "w2s_probes" / f"{name}.py")
    for name in ("io/files", "store/shards", "store/parts", "store/manifest", "store/writer")
}
MODULES = "W2S_WARM_MODULES"  # that the parent loads beside the usual ones
SMALL_IDS = [f"row-{i}" for i in range(5)]


class Warm:
    """The parent, as seen from the tests."""

    def __init__(self, log: Path, *modules: str) -> None:
        self.log = log
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), MODULES: " ".join(modules)}
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__],  # -P: else a module beside this one stands for a package of its name
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=log.parent,
        )

    def start(self, *arguments: object, part_rows: int = 4, dies_at: int = 0, steps_to: Path | None = None) -> int:
        """Begin `w2s` with these arguments and so many rows a shard; its process id.

        It kills itself at the step `dies_at`, if it comes so far; how many there were is written to `steps_to`.
        """
        request = {"arguments": [str(a) for a in arguments], "part_rows": part_rows, "dies_at": dies_at}
        return self._ask(request | {"steps_to": steps_to and str(steps_to), "log": str(self.log)})

    def wait(self, pid: int) -> int:
        """The exit code of a process that was started, or minus the signal that killed it."""
        return self._ask({"wait": pid})

    def run(self, *arguments: object, **options: Any) -> int:
        """Start and wait."""
        return self.wait(self.start(*arguments, **options))

    def close(self) -> None:
        """End the parent."""
        self._process.communicate()

    def _ask(self, request: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def write_small_store(path: Path) -> None:
    """A store of two parts and two layers, without a model: a few milliseconds."""
    words = np.arange(10, dtype=np.float32).reshape(5, 2)
    writer = StoreWriter.open(
        path, identity={}, sites={0: "a", 1: "b"}, depth=1, width=2, dtype="float32", ids=SMALL_IDS, shard_rows=3
    )
    for part in writer.missing():
        rows = writer.rows_of(part)
        writer.write(part, Content(SMALL_IDS[rows], {0: words[rows], 1: -words[rows]}))
    writer.finish({"by": "nobody"})


def _serve() -> None:
    import torch

    torch.set_num_threads(1)
    _load_everything()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        else:
            assert threading.active_count() == 1  # else a lock may be held for ever in the child
            answer = os.fork()
            if not answer:
                _be_a_child(request)
        print(answer, flush=True)  # noqa: T201


def _load_everything() -> None:
    usual = ("accelerate", "nnsight", "transformers.models.llama.modeling_llama")
    asked = os.environ.get(MODULES, "").split()
    for module in (*usual, "extract.adding", "extract.repair", "w2s_probes.cli.app", *asked):
        importlib.import_module(module)


def _be_a_child(request: dict[str, Any]) -> None:
    from extract import extractor
    from w2s_probes.cli import main

    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    extractor.SHARD_ROWS = request["part_rows"]
    steps = itertools.count(1)
    dies_at, code = request["dies_at"], 1

    def step(frame: FrameType, event: str, _: Any) -> None:
        if event in ("call", "c_call") and frame.f_code.co_filename in STORE_FILES and next(steps) == dies_at:
            os.kill(os.getpid(), SIGKILL)

    if dies_at or request["steps_to"]:
        threading.setprofile(step)
        sys.setprofile(step)
    try:
        arguments: Sequence[str] = request["arguments"]
        if arguments[0] == "small":
            write_small_store(Path(arguments[1]))
            code = 0
        else:
            main(arguments)
    except SystemExit as done:
        code = int(done.code or 0)
    finally:
        sys.setprofile(None)
        if request["steps_to"]:
            Path(request["steps_to"]).write_text(str(next(steps) - 1))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # nothing of the parent's is to be cleaned up by a child


if __name__ == "__main__":
    _serve()
