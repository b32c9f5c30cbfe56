"""Peak memory of an extraction of many rows beside one of few, each in a process of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.benchmarks.timing import Line
from tests.conftest import ROOT

FEW, MANY = 10_000, 100_000
MODEL = ROOT / "data" / "miniature" / "strong"
# The largest resident size in kilobytes, of this program alone: getrusage would count what its parent had before.
MEASURE = (
    "import sys; from w2s_probes.cli import main\n"
    "try: main(sys.argv[1:])\n"
    "except SystemExit as e: assert not e.code\n"
    "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
)


def cases() -> Iterator[Line]:
    """The one line."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = (peak(Path(folder), rows) for rows in (FEW, MANY))
    what = f"peak memory, {MANY:,} short rows"
    yield Line(what, many / 1e3, few / 1e3, "MB", f"{FEW:,} rows", many / few, 1.1, at_least=False)


def peak(folder: Path, rows: int) -> int:
    """Kilobytes at the highest point of `w2s extract` of so many rows."""
    rng = np.random.default_rng(0)
    vocabulary = [word for word in (MODEL / "tokenizer.json").read_text().split('"') if word.isalpha()][50:500]
    file, store = folder / f"{rows}.jsonl", folder / f"store-{rows}"
    with file.open("w") as stream:
        for row in range(rows):
            stream.write(f'{{"id": "r{row}", "text": "{" ".join(rng.choice(vocabulary, size=8))}"}}\n')
    command = ["extract", str(MODEL), "--rows", str(file), "--out", str(store), "--progress", "none"]
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], capture_output=True, text=True, env=environment, check=True, cwd=ROOT
    )
    return int(done.stdout.split()[-1])
