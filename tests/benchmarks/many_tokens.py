"""`w2s tokens` of 10,000 and 100,000 rows of some 30 tokens of 256 numbers: time, and memory that is not a file's.

`python -m tests.benchmarks.many_tokens ROWS` measures one size. The files lie in W2S_BENCH, where it is set, and are
made once.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.benchmarks.million import measured_command
from tests.benchmarks.timing import Line
from tests.worlds.token_stores import write_token_store
from w2s_probes.store.activation_store import ActivationStore

SIZES = (10_000, 100_000)
WIDTH, TOKENS = 256, (20, 41)  # tokens of a row, from and below
EPOCHS, LIMIT = 4, "300MB"  # of 40; --max-memory
MOST_SHARE = 0.1  # of the activations that 90,000 rows add, as float32, what memory may grow by


def cases() -> Iterator[Line]:
    """Minutes and memory, with and without a limit, at each size; and how memory grows."""
    with tempfile.TemporaryDirectory() as folder:
        places = {rows: written(Path(os.environ.get("W2S_BENCH", folder)), rows) for rows in SIZES}
        size = {rows: as_float32(place) for rows, place in places.items()}
        for limit in (None, LIMIT):
            said = f", --max-memory {limit}" if limit else ""
            memory = {}
            for rows, place in places.items():
                took, processors, memory[rows] = measured(place, limit)
                what = f"w2s tokens, {rows:,} rows, {EPOCHS} epochs{said}"
                yield Line(what, took / 60, processors / 60, "min", "of processors", took / processors, 0.0)
            more = memory[SIZES[1]] - memory[SIZES[0]]
            grown = (size[SIZES[1]] - size[SIZES[0]]) / 1e9
            what = f"its memory, {memory[SIZES[1]]:.2f} GB: what 90,000 rows add{said}"
            bar = MOST_SHARE if limit else 0.0
            yield Line(what, more, grown, "GB", "their activations", more / grown, bar, at_least=False)


def measured(place: Path, limit: str | None) -> tuple[float, float, float]:
    """Seconds, seconds of processors, and gigabytes of the command, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["tokens", place / "acts", place / "weak.jsonl", "--layer", 1, "--epochs", EPOCHS]
        command += ["--out", Path(folder) / "tokens.jsonl", "--progress", "none"]
        command += ["--max-memory", limit] if limit else []
        return measured_command(command)[:3]


def as_float32(place: Path) -> int:
    """The bytes of the activations, of which nothing may be held whole."""
    return int(ActivationStore.open(place / "acts").stored_tokens(1).offsets[-1]) * WIDTH * 4


def written(folder: Path, rows: int) -> Path:
    """A store of every token of some rows, and labels that hang on one direction of their sums."""
    place = folder / f"tokens-{rows}"
    means = write_token_store(place / "acts", rows, WIDTH, TOKENS)
    labels = 1 / (1 + np.exp(-10 * means))
    with (place / "weak.jsonl").open("w") as stream:
        for row, label in enumerate(labels.tolist()):
            line = {"id": f"row-{row:06d}", "label": round(label, 6), "split": "test" if row % 10 == 0 else "train"}
            stream.write(json.dumps(line) + "\n")
    return place


def main(rows: int) -> None:
    """Measure one size, with and without a limit."""
    with tempfile.TemporaryDirectory() as folder:
        place = written(Path(os.environ.get("W2S_BENCH", folder)), rows)
        for limit in (LIMIT, None):
            took, processors, memory = measured(place, limit)
            size = as_float32(place) / 1e9
            print(
                f"{rows:,} rows ({size:.2f} GB), limit {limit}: {took:.0f} s, {processors:.0f} s of processors, "
                f"{memory:.2f} GB",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]))
