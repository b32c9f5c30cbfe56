"""Reading a layer of a 33-layer store beside reading the same bytes, and what other layouts would cost."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.timing import Line, in_turns
from w2s_probes import ActivationStore
from w2s_probes.store.dtypes import WORDS, StoredDtype
from w2s_probes.store.shards import Content, layer_name
from w2s_probes.store.writer import StoreWriter

LAYERS, ROWS, WIDTH, SHARD = 33, 7936, 4096, 992  # of an 8B model, in shards as the extractor cuts them


def cases() -> Iterator[Line]:
    """The lines of the table."""
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("float32", "bfloat16"):
            yield from reading(Path(folder) / dtype, dtype)
        yield from layouts(Path(folder))


def reading(path: Path, dtype: Any) -> Iterator[Line]:
    """A layer as stored, as float32, and a random half of its rows."""
    store = written(path, dtype)
    plain = path.with_suffix(".bin")
    store.words(16).tofile(plain)
    rng = np.random.default_rng(0)
    half = store.ids[rng.permutation(ROWS)[: ROWS // 2]]

    def fromfile() -> NDArray[Any]:
        return np.fromfile(plain, WORDS[store.manifest.dtype])

    name = f"one of {LAYERS} layers, {ROWS} x {WIDTH} {dtype}"
    size = plain.stat().st_size / 1e9
    for what, read, bar in (
        (f"{name}, as stored", lambda: store.words(16), 0.8),
        (f"{name}, as float32 and checked", lambda: store.layer(16), 0.8 if dtype == "float32" else 0.0),
        (f"{name}, a random half of its rows", lambda: store.layer(16, ids=half), 0.0),
    ):
        ours, theirs, ratio = in_turns(read, fromfile, 15)
        yield Line(what, size / ours, size / theirs, "GB/s", "numpy.fromfile of the layer", ratio, bar)


def written(path: Path, dtype: StoredDtype) -> ActivationStore:
    """A store of numbers as activations have them."""
    rng = np.random.default_rng(0)
    names = [f"row-{i}" for i in range(ROWS)]
    writer = StoreWriter.open(
        path,
        identity={},
        sites=dict.fromkeys(range(LAYERS), ""),
        depth=LAYERS - 1,
        width=WIDTH,
        dtype=dtype,
        ids=names,
        shard_rows=SHARD,
    )
    X = rng.normal(size=(SHARD, WIDTH)).astype(np.float32)
    words = X if dtype == "float32" else (X.view(np.uint32) >> 16).astype(np.uint16)
    for part in writer.missing():
        writer.write(part, Content(names[writer.rows_of(part)], dict.fromkeys(range(LAYERS), words)))
    store = writer.finish({})
    assert store is not None
    return store


def layouts(folder: Path) -> Iterator[Line]:
    """Why datasets are contiguous and uncompressed: the same layer in other layouts, read through HDF5."""
    words = ActivationStore.open(folder / "bfloat16").words(16)
    kinds: dict[str, dict[str, Any]] = {
        "contiguous": {},
        "chunks of 256 rows": {"chunks": (256, WIDTH)},
        "chunks, lzf": {"chunks": (256, WIDTH), "compression": "lzf", "shuffle": True},
        "chunks, gzip 1": {"chunks": (256, WIDTH), "compression": "gzip", "compression_opts": 1, "shuffle": True},
    }
    files = {}
    for kind, options in kinds.items():
        files[kind] = folder / f"{kind}.h5"
        with h5py.File(files[kind], "w") as file:
            file.create_dataset(layer_name(16), data=words, **options)
    for kind, path in files.items():
        if kind == "contiguous":
            continue
        ours, theirs, ratio = in_turns(lambda path=path: _read(path), lambda: _read(files["contiguous"]), 7)  # type: ignore[misc]
        share = path.stat().st_size / files["contiguous"].stat().st_size
        what = f"bfloat16 layer in {kind}: {share:.2f} of the bytes"
        size = words.nbytes / 1e9
        yield Line(what, size / ours, size / theirs, "GB/s", "contiguous, through HDF5", ratio, 0.0)


def _read(path: Path) -> Any:
    with h5py.File(path) as file:
        return file[layer_name(16)][:]
