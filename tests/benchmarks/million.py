"""The commands at 10,000, 100,000 and a million rows of 256 numbers in bfloat16: time, and memory that is not a file's.

`python -m tests.benchmarks.million ROWS COMMAND...` measures some commands at one size. The files lie in W2S_BENCH,
where it is set, and are made once.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.timing import Line
from tests.conftest import ROOT
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter

SIZES = (10_000, 100_000, 1_000_000)
WIDTH, LATENT, CLUSTERS = 256, 24, 300
LIMIT = "4GB"  # --max-memory
MOST_GB, MOST_MINUTES = 6.0, 40.0  # of the filter by topo of a million rows, on two cores
COMMANDS: dict[str, list[str]] = {  # of which `export` and `report` read what the first one wrote
    "filter --by topo": ["filter", "--layer", "1", "--by", "topo", "--index", "approximate"],
    "relabel --by knn": ["relabel", "--layer", "1", "--by", "knn", "--index", "approximate"],
    "relabel --by logistic": ["relabel", "--layer", "1", "--by", "logistic"],
    "sweep": ["sweep", "--layers", "1", "--knn-k", "10,50", "--logistic-l2", "1e-3,1e-1", "--index", "approximate"],
    "student": ["student", "--layer", "1"],
    "export --format hf": ["export", "--format", "hf"],
    "report": ["report"],
    "filter --by topo, exact": ["filter", "--layer", "1", "--by", "topo"],
}
ENDINGS = {"sweep": ".csv", "student": "", "export": "", "report": ".html"}  # of what is written; else .jsonl
EXACT_UP_TO = 100_000  # rows of the last one: a million of them take a day
# Seconds by the clock and of all processors, the largest memory that is no file's, and what the command said.
MEASURE = """
import contextlib, io, json, sys, threading, time
from w2s_probes.cli import main
most, ended = [0], threading.Event()
def watch():
    while not ended.wait(0.1):
        lines = open('/proc/self/status').read().splitlines()
        most[0] = max(most[0], int(next(line for line in lines if line.startswith('RssAnon')).split()[1]))
threading.Thread(target=watch).start()
began, said = time.perf_counter(), io.StringIO()
try:
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, said.getvalue()
finally:
    ended.set()
print(json.dumps([time.perf_counter() - began, time.process_time(), most[0] / 1e6, said.getvalue()]))
"""


def cases() -> Iterator[Line]:
    """A line for each size and command."""
    with tempfile.TemporaryDirectory() as folder:
        for rows in SIZES:
            place = written(Path(os.environ.get("W2S_BENCH", folder)), rows)
            for name in COMMANDS:
                if "exact" not in name or rows <= EXACT_UP_TO:
                    yield from lines(place, rows, name)


def lines(place: Path, rows: int, name: str) -> Iterator[Line]:
    """Minutes of a command, beside those of all processors; and its memory."""
    took, processors, memory, said = measured(place, name)
    recall = "".join(f" ({line})" for line in said.splitlines() if line.startswith("approximate neighbours"))
    bars = rows == SIZES[-1]
    slow = MOST_MINUTES if bars and name == "filter --by topo" else 0.0
    minutes, busy = took / 60, processors / 60
    yield Line(f"{name}, {rows:,} rows{recall}", minutes, busy, "min", "of processors", minutes, slow, at_least=False)
    large = MOST_GB if bars else 0.0
    yield Line(
        f"its memory, {rows:,} rows", memory, MOST_GB, "GB", f"--max-memory {LIMIT}", memory, large, at_least=False
    )


def measured(place: Path, name: str) -> tuple[float, float, float, str]:
    """Seconds, seconds of processors, gigabytes, and what a command said, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        verb, *options = COMMANDS[name]
        out = Path(folder) / f"out{ENDINGS.get(verb, '.jsonl')}"
        if name == next(iter(COMMANDS)):
            out = place / "kept" / "weak.jsonl"
        read = {"export": [place / "kept" / "weak.jsonl"], "report": [place / "kept"]}
        limit = [] if verb in read else ["--max-memory", LIMIT, "--progress", "none"]
        command = [verb, *read.get(verb, [place / "acts", place / "weak.jsonl"]), *options, "--out", out, *limit]
        for graph in (place / "acts").glob("neighbors-*"):  # kept of another command
            graph.unlink()
        return measured_command(command)


def measured_command(words: Iterable[object]) -> tuple[float, float, float, str]:
    """What `measured` gives, of the words of any command; two threads unless OMP_NUM_THREADS says otherwise."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")},
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    took, processors, memory, said = json.loads(done.stdout.splitlines()[-1])
    return took, processors, memory, said


def written(folder: Path, rows: int) -> Path:
    """A store of one layer, rows of two classes in clusters on a curved surface of 24 dimensions, and their labels."""
    place = folder / f"rows-{rows}"
    writer = StoreWriter.open(
        place / "acts",
        identity={"weights": "million", "position": "last", "rows": rows},
        sites={1: "blocks.0"},
        depth=2,
        width=WIDTH,
        dtype="bfloat16",
        ids=[f"row-{i:07d}" for i in range(rows)],
        shard_rows=50_000,
    )
    truth = np.concatenate([_write(writer, part) for part in range(-(-rows // 50_000))])
    writer.finish({})
    rng = np.random.default_rng(0)
    side = truth ^ (rng.random(rows) < 0.2)  # a fifth of the labels is wrong
    labels = np.where(side, 1, -1) * rng.random(rows) / 2 + 0.5
    with (place / "weak.jsonl").open("w") as stream:
        for name, label, true in zip(writer.ids, labels, truth, strict=True):
            text = f"a sentence of no account about {name}"
            stream.write(json.dumps({"id": name, "text": text, "label": round(label, 6), "truth": int(true)}) + "\n")
    return place


def _write(writer: StoreWriter, part: int) -> NDArray[np.bool_]:
    """Write a part of the store unless it is there; the classes of its rows."""
    X, truth = _rows(len(writer.ids[writer.rows_of(part)]), part)
    if not writer.finished and part in writer.missing():
        bits = X.view(np.uint32)
        words = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
        writer.write(part, Content(writer.ids[writer.rows_of(part)], {1: words}))
    return truth


def _rows(count: int, part: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Activations (count, 256) with an outlier dimension, and classes (count,)."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng([1, part])
    ways = fixed.standard_normal((2, LATENT, WIDTH)) / np.sqrt(LATENT)
    centres = fixed.standard_normal((CLUSTERS, LATENT))
    z = centres[rng.integers(CLUSTERS, size=count)] + 0.7 * rng.standard_normal((count, LATENT))
    z /= np.sqrt(np.arange(1, LATENT + 1))
    X = np.tanh(2 * z @ ways[0]) + np.maximum(z @ ways[1], 0) + 0.1 * rng.standard_normal((count, WIDTH))
    X[:, 3] = 20 * X[:, 3] + 100
    return X.astype(np.float32), z[:, 0] + z[:, 1] * z[:, 2] / 2 > 0


def main(rows: int, names: list[str]) -> None:
    """Measure some commands at one size."""
    with tempfile.TemporaryDirectory() as folder:
        place = written(Path(os.environ.get("W2S_BENCH", folder)), rows)
        for name in names or COMMANDS:
            took, processors, memory, said = measured(place, name)
            print(
                f"{name}, {rows:,}: {took:.0f} s, {processors:.0f} s of processors, {memory:.2f} GB\n{said}", flush=True
            )


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
