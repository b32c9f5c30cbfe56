"""The whole demo in a fresh process, beside one that only imports the libraries that a run needs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.timing import Line, in_turns

IMPORTS = "import torch, transformers, sklearn.linear_model, nnsight"
PAIRS = 3


def cases() -> Iterator[Line]:
    """The lines of the table."""

    def demo() -> None:
        with TemporaryDirectory() as folder:
            command = ["-m", "w2s_probes", "--quiet", "demo", "--out", str(Path(folder) / "demo")]
            subprocess.run([sys.executable, *command], check=True, capture_output=True)

    def imports() -> None:
        subprocess.run([sys.executable, "-c", IMPORTS], check=True)

    ours, reference, ratio = in_turns(demo, imports, PAIRS)
    yield Line("w2s demo: 4 tasks, 3 seeds, 156 heads", ours, reference, "s", IMPORTS, 1 / ratio, 2.5, at_least=False)
