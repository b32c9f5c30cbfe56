"""What the machine refuses is one line and exit code 2: memory, open files, the size of files, room on a disk."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.sweeping import planted_store
from w2s_probes.cli.limits import GPU_MEMORY, MEMORY, REMEDIES, refused
from w2s_probes.io.tables import write_table
from w2s_probes.places.local import cores

W2S = [sys.executable, "-c", "from w2s_probes.cli import main; main()"]


def led_to(error: Exception, cause: BaseException) -> Exception:
    try:
        raise error from cause
    except type(error) as raised:
        return raised


CASES: list[tuple[Exception, str]] = [
    (MemoryError(), MEMORY),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), MEMORY),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"), MEMORY),
    (ImportError("libtorch.so: failed to map segment from shared object"), MEMORY),
    (led_to(RuntimeError("a worker died"), MemoryError("std::bad_alloc")), MEMORY),
    (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 4 GiB"), GPU_MEMORY),
    (led_to(RuntimeError("a unit failed"), RuntimeError("CUDA error: out of memory\nCUDA kernel errors")), GPU_MEMORY),
    (OSError(errno.EMFILE, "Too many open files", "a.csv"), "a.csv: too many open files: raise the limit (ulimit -n)"),
    (
        ImportError("/lib/x.so: cannot open shared object file: Too many open files"),
        "this command: too many open files",
    ),
    (OSError(errno.EFBIG, "File too large"), "the output: larger than files may be here: raise the limit (ulimit -f)"),
    (OSError(errno.EDQUOT, "Disk quota exceeded", "b"), "b: the disk quota is used up"),
    (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), "temporary files: "),
    (RuntimeError("can't start new thread"), "this command: no more processes or threads may be started"),
    (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "this command: no more processes"),
    (PermissionError(errno.EACCES, "Permission denied", "c"), "c: Permission denied"),
    (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), "x" * 80 + ": File name too long"),
]


@pytest.mark.parametrize(("error", "line"), CASES, ids=[f"{type(e).__name__} {e}"[:60] for e, _ in CASES])
def test_what_was_refused_is_said_with_the_remedy(
    error: Exception, line: str, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = refused(error)
    assert found is not None
    assert found.startswith(line)

    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr("w2s_probes.store.manifest.Manifest.read", fail)
    assert fails("verify", "x") == f"w2s: {found}\n"


@pytest.mark.parametrize("number", REMEDIES)
def test_every_error_of_a_limit_is_known(number: int) -> None:
    assert refused(OSError(number, os.strerror(number), "x")) is not None


@pytest.mark.parametrize("error", [OSError("h5py"), RuntimeError("a bug"), ImportError("x"), PermissionError(1, "?")])
def test_an_error_of_our_own_is_no_refusal(error: Exception) -> None:
    assert refused(error) is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and a label file."""
    made = tmp_path_factory.mktemp("limits")
    write_table(planted_store(made / "acts").table, made / "weak.jsonl")
    return made


FILTER = ["filter", "acts", "weak.jsonl", "--layer", "1", "--by", "knn", "--k", "5", "--out", "kept.jsonl"]
RELABEL = ["relabel", "acts", "weak.jsonl", "--layer", "1", "--by", "knn", "--k", "5", "--out", "kept.csv"]
SWEEP = ["sweep", "acts", "weak.jsonl", "--knn-k", "3", "--out", "sweep.csv"]
LIMITS: list[tuple[list[str], int, int]] = [
    (FILTER, resource.RLIMIT_FSIZE, 0),
    (SWEEP, resource.RLIMIT_FSIZE, 100),
    (RELABEL, resource.RLIMIT_AS, 300_000_000),
    ([*SWEEP, "--jobs", "2"], resource.RLIMIT_NOFILE, 9),
]


@pytest.mark.parametrize(("command", "limit", "value"), LIMITS, ids=[f"{c[0]} {limit}" for c, limit, _ in LIMITS])
def test_a_small_limit_is_one_line_and_leaves_nothing_behind(
    command: list[str], limit: int, value: int, folder: Path
) -> None:
    if "--jobs" in command and cores() < 2:
        pytest.skip("with one core there is one process, which needs few files")

    def limited() -> None:
        resource.setrlimit(limit, (value, value))

    before = sorted(folder.rglob("*"))
    environment: dict[str, Any] = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [*W2S, *command], cwd=folder, env=environment, capture_output=True, text=True, preexec_fn=limited
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("w2s: ")
    assert done.stderr.count("\n") == 1
    said = ["File too large", "memory ran out", "too many open files"]
    if limit == resource.RLIMIT_AS:  # whichever comes first: an array, or the stack of a thread
        said.append("no more processes or threads may be started: raise the limit (ulimit -u, or -v where memory")
    assert any(words in done.stderr for words in said), done.stderr
    assert sorted(folder.rglob("*")) == before
