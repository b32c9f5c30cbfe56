"""Commands of an environment, each in a process that is forked from one in which the libraries are loaded already.

Of this project nothing is loaded before the fork: a command finds its own code as in a fresh process, without the
seconds that torch and its like take. The environment's Python is given this file's text: the standard library alone.
"""

import importlib
import json
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

LIBRARIES = (
    *("accelerate", "faiss", "h5py", "joblib", "nnsight", "pandas", "peft", "pyarrow", "scipy.stats", "typer"),
    *("sklearn.feature_extraction.text", "sklearn.linear_model", "transformers.models.llama.modeling_llama"),
)


class Forked:
    """The process with the libraries, as seen from the tests."""

    def __init__(self, python: Path, here: Path, environment: Mapping[str, str]) -> None:
        self._said = here.parent / f"{here.name}-said"
        self._said.mkdir()
        self._process = subprocess.Popen(
            [str(python), "-c", Path(__file__).read_text()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=here,
            env=dict(environment),
        )

    def run(self, script: Path, *words: object) -> "subprocess.CompletedProcess[str]":
        """Run a Python script with these arguments, and wait."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        out, err = self._said / "out", self._said / "err"
        command = [str(script), *map(str, words)]
        self._process.stdin.write(json.dumps({"command": command, "out": str(out), "err": str(err)}) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(command, code, out.read_text(), err.read_text())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def serve() -> None:
    """Fork for each line of the standard input; in the child, do what it asks for."""
    for library in LIBRARIES:
        importlib.import_module(library)
    for line in sys.stdin:
        assert threading.active_count() == 1  # else a lock may be held for ever in the child
        child = os.fork()
        if not child:
            become(**json.loads(line))
            break
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201


def become(command: list[str], out: str, err: str) -> None:
    """Run a script in this process as Python does that is given its path."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, place in ((1, out), (2, err)):
        os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv, sys.path[0] = command, str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    serve()
