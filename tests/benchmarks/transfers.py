"""Pushing a store to a folder and pulling it back, beside copying its files."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.benchmarks.timing import Line, in_turns
from w2s_probes.addresses import pull, push
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter

LAYERS, ROWS, WIDTH, SHARD = 8, 6144, 2048, 2048


def cases() -> Iterator[Line]:
    """The lines of the table."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        size = written(place / "acts")
        push(place / "acts", f"file://{place}/there")

        def anew(bring: Callable[[Path], object]) -> Callable[[], None]:
            def run() -> None:
                bring(place / "brought")
                shutil.rmtree(place / "brought")

            return run

        ways: dict[str, Callable[[Path], object]] = {
            "push": lambda to: push(place / "acts", f"file://{to}"),
            "pull, all layers": lambda to: pull(f"file://{place}/there", to),
            "pull, one layer of eight": lambda to: pull(f"file://{place}/there", to, layers=3),
        }
        copy = anew(lambda to: shutil.copytree(place / "acts", to))
        for what, bring in ways.items():
            ours, theirs, ratio = in_turns(anew(bring), copy, 5)
            name = f"{what}: {LAYERS} layers, {ROWS} x {WIDTH} bfloat16, a folder on the same disk"
            yield Line(name, size / ours, size / theirs, "GB/s of the store", "shutil.copytree", ratio, 0.0)


def written(path: Path) -> float:
    """A store of random words; its gigabytes."""
    rng = np.random.default_rng(0)
    ids = [f"row-{i}" for i in range(ROWS)]
    writer = StoreWriter.open(
        path,
        identity={},
        sites=dict.fromkeys(range(LAYERS), ""),
        depth=LAYERS,
        width=WIDTH,
        dtype="bfloat16",
        ids=ids,
        shard_rows=SHARD,
    )
    for part in writer.missing():
        names = ids[writer.rows_of(part)]
        words = {layer: rng.integers(0, 16000, (len(names), WIDTH), dtype=np.uint16) for layer in range(LAYERS)}
        writer.write(part, Content(names, words))
    store = writer.finish({})
    assert store is not None
    return sum(shard.bytes for shard in store.manifest.shards) / 1e9
