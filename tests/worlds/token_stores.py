"""Stores of every token of many rows, written a part at a time."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_probes.rows.offsets import offsets_of
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter


def write_token_store(
    path: Path, rows: int, width: int, tokens: tuple[int, int], *, shard_rows: int = 2048
) -> NDArray[np.float64]:
    """Write a bfloat16 store of one layer, 1, of normal numbers, unless it is there; rows have tokens from..below.

    Returns the mean of each row's first column (rows,), which labels may hang on.
    """
    writer = StoreWriter.open(
        path,
        identity={"weights": "many tokens", "position": "all", "rows": rows},
        sites={1: "blocks.0"},
        depth=2,
        width=width,
        dtype="bfloat16",
        ids=[f"row-{row:06d}" for row in range(rows)],
        shard_rows=shard_rows,
        ragged=True,
    )
    means = []
    for part in range(-(-rows // shard_rows)):
        ids, rng = writer.ids[writer.rows_of(part)], np.random.default_rng([0, part])
        ends = offsets_of(rng.integers(*tokens, size=len(ids)))
        values = rng.standard_normal((int(ends[-1]), width), dtype=np.float32)
        means.append(np.add.reduceat(values[:, 0].astype(np.float64), ends[:-1]) / np.diff(ends))
        if not writer.finished and part in writer.missing():
            words = (values.view(np.uint32) >> 16).astype("<u2")
            writer.write(part, Content(ids, {1: words}, 0, ends, rng.integers(0, 999, ends[-1]).astype(np.int32)))
    writer.finish({})
    return np.concatenate(means)
