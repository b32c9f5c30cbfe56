"""A model read block by block beside the same model loaded whole, where there is memory for it: speed and memory."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from extract.extractor import Extraction
from extract.models.loading import Placement
from extract.offload.offloading import Offload
from tests.benchmarks.data import short_texts
from tests.benchmarks.extraction import ENCODER, random_decoder, table
from tests.benchmarks.memory import MEASURE
from tests.benchmarks.timing import Line, in_turns
from tests.conftest import ROOT
from w2s_probes.io.tables import write_table

ROWS = 400


def cases() -> Iterator[Line]:
    """The two lines."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        decoder, rows = random_decoder(place / "decoder", ENCODER), table(short_texts(ROWS))
        plan = Extraction.plan(str(decoder), rows, dtype="float32")
        tokens = sum(len(ids) for ids in plan.source.tokenizer(rows["text"].tolist())["input_ids"])

        def extracted(placement: Placement) -> None:
            with tempfile.TemporaryDirectory() as store:
                plan.run(Path(store) / "acts", placement=placement)

        offloaded = Placement("cpu", offload=Offload())
        ours, whole, ratio = in_turns(lambda: extracted(offloaded), lambda: extracted(Placement("cpu")), 3)
        what = f"random Qwen2 (8 x 1024): --offload, {ROWS} short rows"
        yield Line(what, tokens / ours, tokens / whole, "tokens/s", "loaded whole, loading included", ratio, 0.7)
        write_table(rows, place / "rows.jsonl")
        ours, whole = (peak(place, *options) for options in (("--offload",), ()))
        what = "random Qwen2 (8 x 1024): memory of --offload"
        yield Line(what, ours / 1e3, whole / 1e3, "MB", "loaded whole", ours / whole, 0.8, at_least=False)


def peak(place: Path, *options: str) -> int:
    """Kilobytes of the process at its highest, libraries included."""
    command = ["extract", str(place / "decoder"), "--rows", str(place / "rows.jsonl"), "--device-map", "cpu", *options]
    command += ["--dtype", "float32", "--out", str(place / f"store{len(options)}"), "--progress", "none"]
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], capture_output=True, text=True, env=environment, check=True, cwd=ROOT
    )
    return int(done.stdout.split()[-1])
