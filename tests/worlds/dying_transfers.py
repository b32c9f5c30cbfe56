"""Pushes and pulls that are killed at each of their steps and given again. A script of its own, with one thread.

A step is a call that is made or received where files are put in their places.
"""

import itertools
import json
import os
import sys
from pathlib import Path
from signal import SIGKILL
from types import FrameType
from typing import Any

ROOT = Path(__file__).parent.parent.parent
FILES = {
    *(str(path) for path in (ROOT / "w2s_probes" / "addresses").glob("*.py")),
    *(str(ROOT / "w2s_probes" / f"{name}.py") for name in ("io/files", "store/shards", "store/manifest")),
}


def files_of(folder: Path) -> dict[str, bytes]:
    """The files in a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.is_dir() else {}


def named(folder: Path) -> dict[str, bytes]:
    """The files in a folder, with its own name, which its card says, left out of them."""
    return {name: content.replace(str(folder).encode(), b"HERE") for name, content in files_of(folder).items()}


def child(source: str, target: str, dies_at: int) -> int:
    """A process that pushes, or pulls, and kills itself at a step; its exit code, or minus the signal."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    from w2s_probes.addresses import pull, push

    steps = itertools.count(1)

    def step(frame: FrameType, event: str, _: Any) -> None:
        if event in ("call", "c_call") and frame.f_code.co_filename in FILES and next(steps) == dies_at:
            os.kill(os.getpid(), SIGKILL)

    sys.setprofile(step)
    try:
        (pull if "://" in source else push)(source, target)
    finally:
        sys.setprofile(None)
        os._exit(0)


def main(place: Path, kills: int) -> None:
    """Print what was found as JSON: the kills, the files left by them, and whatever was not as it should be."""
    from tests.worlds.pushed import small_store
    from w2s_probes import ActivationStore, InputError
    from w2s_probes.addresses import pull, push

    acts = small_store(place / "acts", (0, 8), rows=30).path
    whole_there, whole_here = place / "there", place / "here"
    push(acts, f"file://{whole_there}")
    pull(f"file://{whole_there}", whole_here)
    found: dict[str, Any] = {"faults": [], "killed": 0, "left": []}
    for verb, whole in (("push", named(whole_there)), ("pull", named(whole_here))):
        step = 1
        for attempt in itertools.count():
            out = place / f"{verb}-{attempt}"
            ends = (str(acts), f"file://{out}") if verb == "push" else (f"file://{whole_there}", str(out))
            if child(*ends, dies_at=step) != -SIGKILL:
                break
            found["killed"] += 1
            left = {name: content for name, content in named(out).items() if ".partial." not in name}
            found["left"].append(len(left))
            if any(whole.get(name) != content for name, content in left.items()):
                found["faults"].append(f"{verb}, step {step}: a file is not as it should be")
            try:
                ActivationStore.open(out)
                complete = True
            except InputError:
                complete = False
            if complete and any(name not in left for name in whole if name.endswith(".h5")):
                found["faults"].append(f"{verb}, step {step}: half a store was opened")
            child(*ends, dies_at=0)
            if named(out) != whole:
                found["faults"].append(f"{verb}, step {step}: given again it ended otherwise")
            step += kills
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
