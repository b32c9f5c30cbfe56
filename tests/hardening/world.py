"""A small world in a temporary folder, with all that commands read and write, and a way to put it back as it was."""

import atexit
import json
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from signal import SIGKILL
from typing import Any

import numpy as np
import pandas as pd

from analyses.recipe.read import RECIPES
from tests.conftest import model_of, planted
from tests.worlds.finetuning import save_model
from tests.worlds.processes import Warm
from w2s_probes import LogisticProbe, save_probe
from w2s_probes.io.tables import write_table

SMALL = ["seeds=[0]", "data.n_train=80", "data.n_val=40", "data.n_test=80", "weak.n_truth=60", "n_boot=20"]
SMALL += ["student.epochs=5", "probes.knn_k=5", "probes.topo_k=5", 'data.tasks=["miniature_price"]']
SMALL += ['methods=["student-xent","filter-knn"]']  # no spaces: they part words
PATIENCE = 120.0  # seconds for a command that takes a few
# Of run.json: what tells of one process alone (its time, and the stores that it had to read), and the checksum of all.
CLOCK = ("seconds", "taken", "activations", "checksum")
MODULES = (
    "analyses.protocol",
    "analyses.report",
    "w2s_probes.sweep",
    "w2s_probes.places.local",
    "w2s_probes.export",
)
Files = dict[str, bytes]


# Each finds what it needs when those before it are done. A word that begins with @ is a file of the world.
COMMANDS: dict[str, str] = {
    "extract": "extract @model --rows @rows.jsonl --position mean --out @acts",
    "add": "extract @model --rows @more.jsonl --position mean --out @acts --add",
    "repair": "repair @broken",
    "verify": "verify @acts",
    "import": "import @saved.npy --rows @rows.jsonl --layers 3 --out @imported",
    "filter": "filter @acts @weak.jsonl --layer 1 --by knn --k 5 --out @kept/kept.jsonl",
    "relabel": "relabel @acts @weak.jsonl --layer 2 --by logistic --out @relabelled.csv.gz",
    "student": "student @acts @kept/kept.jsonl --layer 1 --epochs 5 --test @test.jsonl --out @student",
    "sweep": "sweep @acts @weak.jsonl --knn-k 3,5 --logistic-l2 0.01 --out @swept/sweep.csv",
    "export": "export @kept/kept.jsonl --format trl --out @exported",
    "export one": "export @kept/kept.jsonl --format parquet --out @exported.parquet",
    "run": f"run {RECIPES / 'demo.toml'} --out @ran {' '.join(f'--set {one}' for one in SMALL)}",
    "report": "report @ran",
}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    said: str


class World:
    """The folder `place`, and `finished` beside it, where all commands are done."""

    def __init__(self, root: Path) -> None:
        self.place, self.finished = root / "place", root / "finished"
        self.log = root / "log"
        self.warm = Warm(self.log, *MODULES)
        self.place.mkdir()
        _fill(self.place)
        self.commands = {
            name: [f"{self.place}/{word[1:]}" if word.startswith("@") else word for word in words.split()]
            for name, words in COMMANDS.items()
        }
        self.seconds: dict[str, float] = {}  # that each command takes
        self.before: dict[str, Path] = {}  # a copy of the folder as each command finds it
        self.after: dict[str, Files] = {}  # what it leaves, undisturbed
        for name in self.commands:
            if name == "repair":
                shutil.copytree(self.place / "acts", self.place / "broken")
                next((self.place / "broken").glob("shard-00001-*.h5")).unlink()
            self.before[name] = Path(shutil.copytree(self.place, root / f"before {name}"))
            began = time.monotonic()
            done = self.run(name)
            assert done.code == 0, (name, done.said)
            self.seconds[name] = time.monotonic() - began
            self.after[name] = files_of(self.place)
        shutil.copytree(self.place, self.finished)

    def reset(self, source: Path) -> None:
        """Put the folder back as it was."""
        shutil.rmtree(self.place)
        shutil.copytree(source, self.place)

    def start(self, name: str) -> int:
        """Begin a command; its process id."""
        self.log.write_text("")
        return self.warm.start(*self.commands[name], part_rows=30)

    def end(self, pid: int) -> Done:
        """Wait for it; one that never ends is killed."""
        timer = threading.Timer(PATIENCE, os.kill, (pid, SIGKILL))
        timer.start()
        code = self.warm.wait(pid)
        timer.cancel()
        return Done(code, self.log.read_text(errors="replace"))

    def run(self, name: str) -> Done:
        """A command from beginning to end."""
        return self.end(self.start(name))

    def close(self) -> None:
        """End the parent of all processes, and delete everything."""
        self.warm.close()
        shutil.rmtree(self.place.parent)


@cache
def world() -> World:
    """The one of this process."""
    made = World(Path(tempfile.mkdtemp(prefix="w2s-hardening-")))
    atexit.register(made.close)
    return made


def files_of(folder: Path) -> Files:
    """Every file, hidden ones too, but for what the clock decides."""
    found = {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
    return {name: _without_clock(content) if name.endswith("run.json") else content for name, content in found.items()}


def _without_clock(content: bytes) -> bytes:
    try:
        record = json.loads(content)
    except ValueError:
        return content

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items() if key not in CLOCK}
        return value

    return json.dumps(plain(record), sort_keys=True).encode()


def _fill(folder: Path) -> None:
    """A model, 90 rows and 30 more, weak labels, test rows, saved activations, and a saved probe."""
    rng = np.random.default_rng(0)
    truth = np.arange(120) % 2
    texts = [
        " ".join(f"w{15 * t + j}" for j in rng.integers(0, 15, size=6)) + f" w{i % 40}" for i, t in enumerate(truth)
    ]
    table = pd.DataFrame({"id": [f"r{i}" for i in range(120)], "text": texts, "truth": truth})
    table["label"] = np.where(rng.random(120) < 0.2, 1 - truth, truth).astype(float)
    table["split"] = ["train"] * 50 + ["val"] * 20 + ["test"] * 50
    save_model(folder / "model", model_of("llama"))
    write_table(table[:90][["id", "text"]], folder / "rows.jsonl")
    write_table(table[["id", "text"]], folder / "more.jsonl")
    write_table(table[:70], folder / "weak.jsonl")
    write_table(table[70:90], folder / "test.jsonl")
    np.save(folder / "saved.npy", rng.normal(size=(90, 8)).astype(np.float32))
    data = planted(n=60)
    save_probe(LogisticProbe(0.1).fit(data.X, data.weak), folder / "probe.safetensors")
