"""Processes that train one model together, started here, each with the same call; the first one's answer comes back."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals
from tempfile import gettempdir
from typing import Any

from ...devices import DeviceError
from ...errors import InputError
from ...io.files import partial, remove_abandoned
from ...places.local import cores, end_without, threads
from ...plugins import load_same, loaded_plugins

CALL, ANSWER, NEWS, MEETING = "call.pickle", "answer-{}.pickle", "news.jsonl", "meeting"  # files of a call
REFUSED = 3  # the exit status of a worker whose answer is an InputError
LOOK = 0.1  # seconds between looks at the workers
PATIENCE = 5.0  # seconds in which the others end of themselves once one has ended
TAIL = 2000  # characters of a worker's last words that are shown

Report = Callable[[dict[str, Any]], None]


class WorkerDiedError(DeviceError):
    """A process of a training was killed: the machine's lack, too, of which nothing is concluded."""


@dataclass(frozen=True)
class WorkerProcesses:
    """Processes on this machine: how many, on what, and the variables that they are given."""

    size: int
    on_processor: bool
    environment: Mapping[str, str]

    def refuse_too_many(self, where: str) -> None:
        """InputError where there are more processes than cores, or GPUs."""
        if self.on_processor:
            if self.size > cores():
                raise InputError(
                    f"{where}: num_processes: {self.size}, but this process may use {cores()} cores: lower it"
                )
            return
        import torch

        gpus = torch.cuda.device_count()
        if self.size > gpus:
            remedy = "lower it" if gpus else "write use_cpu: true, or train where there are GPUs"
            raise InputError(f"{where}: num_processes: {self.size}, but here are {gpus} GPUs: {remedy}")

    def call(self, function: Callable[[Report], Any], report: Report | None = None) -> Any:
        """What `function` returns in the first process; all are called, with a function that they may report by.

        `function` and what it returns are pickled. Reports, fit for JSON, of the first process reach `report`. Its
        InputError is raised here; WorkerDiedError, of one line, where a process was killed, and RuntimeError, with its
        last words, where its own code has failed. When this process ends, however it does, so do they.
        """
        with _folder() as folder:
            call = {"path": sys.path, "plugins": loaded_plugins(), "call": pickle.dumps(function)}
            (folder / CALL).write_bytes(pickle.dumps(call))
            logs = [(folder / f"log-{rank}").open("w+b") for rank in range(self.size)]
            workers = [self._start(folder, rank, log) for rank, log in enumerate(logs)]
            try:
                heard = 0
                while all(worker.poll() is None for worker in workers):
                    time.sleep(LOOK)
                    heard = _forward(folder, heard, report)
                _wait(workers, PATIENCE)
                _forward(folder, heard, report)
                codes = [worker.poll() for worker in workers]
            finally:
                for worker in workers:
                    worker.kill()
                    worker.wait()
                words = [_last_words(log) for log in logs]
            for file in (folder / ANSWER.format(rank) for rank in range(self.size)):
                if file.exists():
                    result = pickle.loads(file.read_bytes())
                    if isinstance(result, InputError):
                        raise result
                    return result
            raise self._ended(codes, words)

    def _ended(self, codes: "list[int | None]", words: list[str]) -> Exception:
        """What to raise: of those that ended, a process that was killed is the cause, and the others' words are not."""
        died = next((rank for rank, code in enumerate(codes) if code is not None and code < 0), None)
        if died is not None:
            signal = -int(codes[died] or 0)
            name = Signals(signal).name if signal in set(Signals) else f"signal {signal}"
            want = " (perhaps for want of memory)" if signal == SIGKILL else ""
            return WorkerDiedError(
                f"process {died} of {self.size} of a training was ended by {name}{want}: give the same command again, "
                "which goes on from the last state that was written"
            )
        failed = next((rank for rank, code in enumerate(codes) if code), 0)
        said = f": {words[failed]}" if words[failed] else ""
        return RuntimeError(
            f"process {failed} of {self.size} ended before its work did, with status {codes[failed]}{said}"
        )

    def _start(self, folder: Path, rank: int, log: Any) -> "subprocess.Popen[bytes]":
        share = str(threads(self.size, "OMP_NUM_THREADS"))
        environment = os.environ | {"OMP_NUM_THREADS": share, **self.environment}
        environment |= {"RANK": str(rank), "WORLD_SIZE": str(self.size), "LOCAL_RANK": str(rank)}
        environment |= {"LOCAL_WORLD_SIZE": str(self.size), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", __name__, str(folder), str(os.getpid())]
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for a call, which this user alone may read; those of processes that were killed are deleted."""
    folder = partial(Path(gettempdir()) / "w2s-processes")
    remove_abandoned(folder.parent)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _forward(folder: Path, heard: int, report: Report | None) -> int:
    """Pass on the reports that are new; how many there are now."""
    if report is None or not (folder / NEWS).exists():
        return heard
    lines = (folder / NEWS).read_text(encoding="utf-8").split("\n")[:-1]
    for line in lines[heard:]:
        report(json.loads(line))
    return len(lines)


def _wait(workers: "list[subprocess.Popen[bytes]]", seconds: float) -> None:
    """Until all have ended, but not for long once one has failed: the others would wait for it."""
    ends = time.monotonic() + seconds
    while any(worker.poll() is None for worker in workers):
        if any(worker.poll() for worker in workers) and time.monotonic() > ends:
            return
        time.sleep(LOOK)


def _last_words(log: Any) -> str:
    with log:
        log.seek(0)
        return str(log.read().decode(errors="replace"))[-TAIL:].strip()


def _work(folder: Path, parent: int) -> None:
    """One worker: meet the others, make the call, and leave the answer if it is the first."""
    end_without(parent)
    call = pickle.loads((folder / CALL).read_bytes())
    sys.path[:] = call["path"]
    load_same(call["plugins"])
    import torch
    from torch import distributed

    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    on_processor = os.environ.get("ACCELERATE_USE_CPU") == "true"
    if on_processor:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    else:
        torch.cuda.set_device(rank)
    backend = "gloo" if on_processor else "cuda:nccl,cpu:gloo"
    distributed.init_process_group(backend, init_method=f"file://{folder / MEETING}", rank=rank, world_size=size)

    def report(facts: dict[str, Any]) -> None:
        if rank == 0:
            with (folder / NEWS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(facts) + "\n")

    result: Any
    try:
        result = pickle.loads(call["call"])(report)
    except InputError as error:
        result = InputError(str(error))
    refused = isinstance(result, InputError)
    if rank == 0 or refused:
        file = folder / ANSWER.format(rank)
        file.with_suffix(".part").write_bytes(pickle.dumps(result))
        file.with_suffix(".part").rename(file)
    if refused:
        os._exit(REFUSED)  # the others may wait for it
    distributed.barrier()  # none takes the others' connections with it
    distributed.destroy_process_group()


if __name__ == "__main__":
    _work(Path(sys.argv[1]), int(sys.argv[2]))
