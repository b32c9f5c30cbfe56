"""Reading one layer out of many shards: in pieces that stay in the processor's cache, several at once."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .dtypes import WORDS, StoredDtype, to_float32

PIECE = 4 << 20  # bytes: few enough to be turned to float32 and checked while the cache still holds them
GAP = 128 << 10  # bytes that take about as long to read as another read takes to begin
THREADS = min(4, os.cpu_count() or 1)  # reading, converting and checking all leave Python's lock


@dataclass(frozen=True)
class Piece:
    """Consecutive vectors of one layer in one file, and their places in the result."""

    file: Path
    offset: int  # in bytes
    count: int
    source: NDArray[np.intp] | slice  # which of them are wanted ...
    target: NDArray[np.intp] | slice  # ... and their places in the result


@dataclass(frozen=True)
class WantedVectors:
    """The vectors to read: their positions (n,) in the store, in the order asked."""

    positions: NDArray[np.intp]

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """The indices (n,) that sort the positions."""
        return np.argsort(self.positions, kind="stable")

    def between(self, start: int, stop: int) -> NDArray[np.intp]:
        """The indices of the positions in start..stop - 1."""
        low, high = np.searchsorted(self.positions, [start, stop], sorter=self.order)
        return self.order[low:high]


def pieces(
    file: Path, offset: int, count: int, row_bytes: int, start: int, wanted: WantedVectors | None = None
) -> Iterator[Piece]:
    """The pieces of a file's `count` vectors, the store's from `start` on, whose bytes begin at `offset`.

    All of them go to the same places of the result; or of `wanted` each goes to its place there, and what lies
    between them is not read where it is long.
    """
    step = max(1, PIECE // row_bytes)
    for first in range(0, count, step):
        here = min(step, count - first)
        begin = start + first
        if wanted is None:
            yield Piece(file, offset + first * row_bytes, here, slice(0, here), slice(begin, begin + here))
            continue
        target = wanted.between(begin, begin + here)
        places = wanted.positions[target] - begin
        for run in np.split(np.arange(len(target)), np.flatnonzero(np.diff(places) * row_bytes > GAP) + 1):
            if len(run):
                low, high = int(places[run[0]]), int(places[run[-1]])
                at = offset + (first + low) * row_bytes
                yield Piece(file, at, high - low + 1, places[run] - low, target[run])


def read_words(chosen: Sequence[Piece], out: NDArray[Any]) -> None:
    """Fill `out` (vectors, width), words as stored, from pieces that are wanted whole."""

    def read(piece: Piece) -> None:
        _fill(piece, out[piece.target])

    _in_threads(read, chosen)


def read_float32(chosen: Sequence[Piece], dtype: StoredDtype, out: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Fill `out` (rows, width) from pieces; return a mask (rows,) of its finite rows."""
    finite = np.ones(len(out), dtype=bool)

    def read(piece: Piece) -> None:
        target = piece.target
        vectors = out[target] if isinstance(target, slice) else np.empty((len(target), out.shape[1]), np.float32)
        if isinstance(target, slice) and dtype == "float32":
            _fill(piece, vectors)
        else:
            words = np.empty((piece.count, out.shape[1]), WORDS[dtype])
            _fill(piece, words)
            to_float32(words[piece.source], dtype, vectors)
        if not isinstance(target, slice):
            out[target] = vectors
        if not np.isfinite(vectors).all():
            finite[target] = np.isfinite(vectors).all(axis=1)

    _in_threads(read, chosen)
    return finite


def _in_threads(read: Callable[[Piece], None], chosen: Sequence[Piece]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(read, chosen))


def _fill(piece: Piece, out: NDArray[Any]) -> None:
    """Fill an array with the piece's bytes; InputError if there are not enough."""
    with opened(piece.file) as descriptor:
        fill(descriptor, piece.file, piece.offset, out)


@contextmanager
def opened(file: Path) -> Iterator[int]:
    """The descriptor of a file, in a block in which it being missing or unreadable is InputError.

    Opened for each read, which takes microseconds: a process may have fewer files open than stores have shards.
    """
    try:
        with file.open("rb", buffering=0) as stream:
            yield stream.fileno()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); `w2s repair` makes it anew") from error


def fill(descriptor: int, file: Path, offset: int, out: NDArray[Any]) -> None:
    """Fill contiguous rows with the bytes of an open file from `offset` on; InputError if there are not enough."""
    view = out.reshape(-1).view(np.uint8).data  # of contiguous rows, so no copy
    while len(view):
        got = os.preadv(descriptor, [view], offset)
        if not got:
            raise InputError(f"{file}: ends too early: truncated; `w2s repair` makes it anew")
        view, offset = view[got:], offset + got
