"""The store of imported layers: refused where a number is not finite, then written part by part, or gone on with."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..io.files import refuse_no_place
from ..io.tables import read_table
from ..places.sole_writer import sole_writer
from ..rows.ids import with_ids
from ..store.activation_store import ActivationStore
from ..store.dtypes import WORDS, to_float32
from ..store.shards import Content
from ..store.writer import StoreWriter
from .by_layer import Layers

SHARD_BYTES = 256 << 20  # of activations: bounds memory and the work lost to a kill
SHARD_ROWS = 2048
Report = Callable[[int, int], None]  # parts done, parts to do


def write_store(
    out: Path | str,
    parts: Sequence[tuple[Layers, Path, list[str]]],
    *,
    identity: dict[str, Any],
    depth: int,
    notes: dict[str, Any],
    report: Report,
) -> ActivationStore:
    """The store at `out` of some files' layers, each with its path and the ids of its rows, one after another.

    Rows are read a part of the store at a time: once to see that all is finite, before anything is written, and once
    to copy them. InputError naming a row that is not finite.
    """
    first = parts[0][0]
    all_ids = [name for _, _, ids in parts for name in ids]
    row_bytes = first.width * WORDS[first.dtype].itemsize * len(first.words)
    refuse_no_place(Path(out))
    with sole_writer(Path(out), Path(out)):
        writer = StoreWriter.open(
            out,
            identity=identity,
            sites={layer: first.sites[layer] for layer in sorted(first.words)},
            depth=depth,
            width=first.width,
            dtype=first.dtype,
            ids=all_ids,
            shard_rows=max(1, min(SHARD_ROWS, SHARD_BYTES // row_bytes)),
        )
        if missing := writer.missing():
            for part, path, ids in parts:
                refuse_non_finite(part, path, ids, writer.manifest.shard_rows)
            report(0, len(missing))
            for done, number in enumerate(missing, start=1):
                chosen = writer.rows_of(number)
                writer.write(number, Content(all_ids[chosen], rows_of_all([part for part, _, _ in parts], chosen)))
                report(done, len(missing))
        store = writer.finish(notes)
        assert store is not None  # every part has just been written
        return store


def row_ids(path: Path) -> list[str]:
    """The ids of a row file, in order."""
    table = with_ids(read_table(path), str(path))
    if "id" not in table:
        raise InputError(f"{path}: has neither `id` nor `text`, so its rows have no names")
    return list(table["id"])


def hash_of(ids: list[str]) -> str:
    """The number of ids and a hash of them, in order."""
    digest = hashlib.sha256()
    for name in ids:
        digest.update(f"{len(name)} {name}".encode())
    return f"{len(ids)} rows, {digest.hexdigest()[:32]}"


def refuse_non_finite(part: Layers, path: Path, ids: list[str], step: int) -> None:
    """InputError for the first layer of the first row that holds a number that is not finite."""
    for start in range(0, len(ids), step):  # all layers of some rows before the next: these lie together
        for layer, words in part.words.items():
            values = to_float32(as_stored(words[start : start + step], part), part.dtype)
            finite = np.asarray(np.isfinite(values).all(axis=1))
            if not finite.all():
                raise refused_row(path, layer, ids[start + int(finite.argmin())])


def refused_row(path: Path, layer: int, name: str) -> InputError:
    """The error of a row that is not finite."""
    return InputError(
        f"{path}: layer {layer} of row {name!r} is not finite: leave such rows out of both files, or save them in "
        "another number format"
    )


def rows_of_all(parts: Sequence[Layers], chosen: slice) -> dict[int, NDArray[Any]]:
    """Rows of all files together, layer by layer."""
    pieces: dict[int, list[NDArray[Any]]] = {layer: [] for layer in parts[0].words}
    begin = 0
    for part in parts:
        count = len(next(iter(part.words.values())))
        low, high = max(chosen.start - begin, 0), min(chosen.stop - begin, count)
        for layer, words in part.words.items():
            if low < high:
                pieces[layer].append(as_stored(words[low:high], part))
        begin += count
    return {layer: np.concatenate(own) if len(own) > 1 else own[0] for layer, own in pieces.items()}


def as_stored(words: NDArray[Any], part: Layers) -> NDArray[Any]:
    """A few rows as the store keeps them; a float64 beyond float32 becomes infinite, which is refused."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(words, dtype=WORDS[part.dtype])
