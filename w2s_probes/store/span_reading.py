"""Reading rows of tokens: the vectors of a row are one span of bytes in a shard, whatever rows stand beside it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..rows.offsets import offsets_of
from .dtypes import WORDS, StoredDtype, to_float32
from .layer_reading import PIECE, THREADS, fill, opened


@dataclass(frozen=True)
class Spans:
    """Spans of vectors in files, to be read one after another into an array."""

    files: Sequence[Path]
    file: NDArray[np.intp]  # (spans,) which of the files
    offset: NDArray[np.int64]  # (spans,) in bytes
    count: NDArray[np.int64]  # (spans,) vectors

    def read_float32(self, dtype: StoredDtype, out: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Fill `out` (vectors, width) in the order of the spans; return a mask (vectors,) of its finite vectors.

        Files are read in the order of their bytes, spans that follow one another at once, some megabytes at a time and
        several such at once; memory beside `out` does not grow with it. InputError naming a file that is too short.
        """
        finite = np.ones(len(out), dtype=bool)
        pieces = self._pieces(out.shape[1] * WORDS[dtype].itemsize)

        def read(piece: "_SpanPiece") -> None:
            piece.read(self.files, dtype, out, finite)

        if len(pieces) < 2:
            for piece in pieces:
                read(piece)
        else:
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(read, pieces))
        return finite

    def _pieces(self, row_bytes: int) -> "list[_SpanPiece]":
        """The spans in the order of their bytes, long ones cut, in pieces of some megabytes."""
        most = max(1, PIECE // row_bytes)
        cuts = -(-self.count // most)
        span = np.repeat(np.arange(len(cuts)), cuts)
        before = (np.arange(len(span)) - np.repeat(offsets_of(cuts)[:-1], cuts)) * most
        file, offset = self.file[span], self.offset[span] + before * row_bytes
        count, target = np.minimum(most, self.count[span] - before), offsets_of(self.count)[:-1][span] + before
        order = np.lexsort((offset, file))
        ends = np.cumsum(count[order])
        bounds = np.flatnonzero(np.diff((ends - count[order]) // most)) + 1
        pieces = np.split(order, bounds) if len(order) else []
        return [_SpanPiece(file[some], offset[some], count[some], target[some]) for some in pieces]


@dataclass(frozen=True)
class _SpanPiece:
    """Spans in the order of their bytes, few enough to stay in the processor's cache."""

    file: NDArray[np.intp]
    offset: NDArray[np.int64]  # in bytes
    count: NDArray[np.int64]
    target: NDArray[np.int64]  # where each begins in the result

    def read(
        self, files: Sequence[Path], dtype: StoredDtype, out: NDArray[np.float32], finite: NDArray[np.bool_]
    ) -> None:
        """Fill the places of the result, and of the mask of what is finite in it."""
        ends = offsets_of(self.count)
        together = bool((np.diff(self.target) == self.count[:-1]).all())
        there = slice(int(self.target[0]), int(self.target[0] + ends[-1]))
        if together and dtype == "float32":
            values = out[there]
            self._fill(files, values)
        else:
            words = np.empty((int(ends[-1]), out.shape[1]), WORDS[dtype])
            self._fill(files, words)
            values = to_float32(words, dtype, out[there] if together else None)
        at = there if together else np.repeat(self.target - ends[:-1], self.count) + np.arange(ends[-1])
        if not together:
            out[at] = values
        if not np.isfinite(values).all():
            finite[at] = np.isfinite(values).all(axis=1)

    def _fill(self, files: Sequence[Path], out: NDArray[Any]) -> None:
        """Read the bytes of all spans, one after another; those that follow one another in a file at once."""
        row_bytes, ends = out.shape[1] * out.itemsize, offsets_of(self.count)
        same_file = np.diff(self.file) == 0
        apart = ~same_file | (np.diff(self.offset) != self.count[:-1] * row_bytes)
        firsts = np.concatenate([[0], np.flatnonzero(apart) + 1])
        stops = np.append(firsts[1:], len(self.file))
        for number in np.unique(self.file):
            with opened(files[number]) as descriptor:
                mine = self.file[firsts] == number
                for first, stop in zip(firsts[mine].tolist(), stops[mine].tolist(), strict=True):
                    part = out[int(ends[first]) : int(ends[stop])]
                    fill(descriptor, files[number], int(self.offset[first]), part)
