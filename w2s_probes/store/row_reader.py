"""The rows of a store by their positions in it: one vector a row, or one a token, of one layer at a time."""

from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..memory_limit import empty_rows
from ..rows.ids import Ids, places_of, positions, refuse_doubled
from ..rows.offsets import offsets_of
from .dtypes import WORDS
from .layer_reading import Piece, WantedVectors, pieces, read_float32, read_words
from .manifest import Manifest, Shard
from .row_blocks import RowBlocks
from .shards import locate_layers, read_header, read_offsets
from .span_reading import Spans
from .token_activations import TokenActivations


class RowReader:
    """Rows of a finished store by position; its headers and offsets are read once, its layers each time."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest
        self._located: dict[str, dict[int, int]] = {}

    @cached_property
    def ids(self) -> NDArray[np.object_]:
        """(n,) row ids, in the order of the store."""
        names: list[str] = []
        for shard in self._any_layer:
            names += read_header(self.path / shard.file).ids
            if len(names) != shard.stop:
                raise InputError(f"{self.path / shard.file}: holds other rows than the manifest says: `w2s repair`")
        refuse_doubled(names, str(self.path))
        return np.array(names, dtype=object)

    @cached_property
    def ragged(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Offsets (n + 1,) and token ids (tokens,) of all rows of a ragged store."""
        parts = [read_offsets(self.path / s.file, s.rows) for s in self._any_layer]
        lengths = np.concatenate([np.diff(offsets) for offsets, _ in parts])
        return offsets_of(lengths), np.concatenate([tokens for _, tokens in parts])

    def positions(self, ids: Ids) -> NDArray[np.intp]:
        """The position (n,) of each id; InputError for ids that are not stored or asked twice."""
        return positions(self.ids, ids, str(self.path), self._places)

    def words(self, layer: int) -> NDArray[Any]:
        """A layer as stored: (n, width) words, of a ragged store (tokens, width)."""
        m = self.manifest
        out = np.empty((sum(self._counts(layer)), m.width), dtype=WORDS[m.dtype])
        read_words(list(self._pieces(layer, None)), out)
        return out

    def vectors(self, layer: int, rows: NDArray[np.intp] | None) -> NDArray[np.float32]:
        """The rows (n, width) at some positions, or all; InputError where they are not finite."""
        X, finite = self._read(layer, self.manifest.rows, None if rows is None else WantedVectors(rows))
        if not finite.all():
            first = int(finite.argmin())
            self._refuse_non_finite(layer, int((~finite).sum()), first if rows is None else int(rows[first]))
        return X

    def tokens(self, layer: int, rows: NDArray[np.intp]) -> TokenActivations:
        """The rows at some positions of a ragged store; InputError where they are not finite."""
        ends, token_ids = self.token_ids(rows)
        values = empty_rows((int(ends[-1]), self.manifest.width), np.float32)
        finite = self._spans(layer, rows).read_float32(self.manifest.dtype, values)
        if not finite.all():
            row = int(np.searchsorted(ends, int(finite.argmin()), side="right")) - 1
            self._refuse_non_finite(layer, int((~finite).sum()), int(rows[row]))
        return TokenActivations(values, ends, token_ids, self.ids[rows])

    def token_ids(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Where each of some rows begins and ends, one after another, and their tokens; not copied where these are."""
        offsets, token_ids = self.ragged
        starts, ends = offsets[rows], offsets_of(offsets[rows + 1] - offsets[rows])
        if (np.diff(rows) == 1).all():
            first = int(starts[0]) if len(rows) else 0
            return ends, token_ids[first : first + int(ends[-1])]
        return ends, token_ids[np.repeat(starts - ends[:-1], np.diff(ends)) + np.arange(ends[-1])]

    def blocks(self, layer: int, rows: NDArray[np.intp], labels: NDArray[np.float64] | None) -> RowBlocks:
        """The rows at some positions, with P(label = 1) where it is given, left on disk in blocks."""
        m = self.manifest
        vectors = np.diff(self.ragged[0])[rows] if m.ragged else np.ones(len(rows), np.int64)
        read = partial(self.tokens if m.ragged else self.vectors, layer)
        return RowBlocks(self.ids[rows], labels, rows, vectors * m.width * 4, m.width, m.ragged, read)

    @property
    def _any_layer(self) -> list[Shard]:
        """The shards of one layer, which hold each row once."""
        return self.manifest.shards_of(min(self.manifest.sites))

    @cached_property
    def _places(self) -> dict[str, int]:
        return places_of(self.ids)

    def _counts(self, layer: int) -> list[int]:
        """The number of vectors in each shard of a layer."""
        shards = self.manifest.shards_of(layer)
        if not self.manifest.ragged:
            return [shard.rows for shard in shards]
        offsets, _ = self.ragged
        return [int(offsets[shard.stop] - offsets[shard.start]) for shard in shards]

    def _spans(self, layer: int, rows: NDArray[np.intp]) -> Spans:
        """The bytes of some rows' tokens."""
        m, offsets = self.manifest, self.ragged[0]
        shards = m.shards_of(layer)
        starts = np.array([shard.start for shard in shards])
        number = np.searchsorted(starts, rows, side="right") - 1
        begins = np.zeros(len(shards), dtype=np.int64)
        for one in np.unique(number):
            count = int(offsets[shards[one].stop] - offsets[shards[one].start])
            begins[one] = self._begin(shards[one], layer, count)
        before = offsets[rows] - offsets[starts[number]]
        at = begins[number] + before * (m.width * WORDS[m.dtype].itemsize)
        return Spans([self.path / shard.file for shard in shards], number, at, offsets[rows + 1] - offsets[rows])

    def _read(
        self, layer: int, count: int, wanted: WantedVectors | None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        m = self.manifest
        out = empty_rows((count if wanted is None else len(wanted.positions), m.width), np.float32)
        return out, read_float32(list(self._pieces(layer, wanted)), m.dtype, out)

    def _pieces(self, layer: int, wanted: WantedVectors | None) -> Iterator[Piece]:
        m, start = self.manifest, 0
        row_bytes = m.width * WORDS[m.dtype].itemsize
        for shard, count in zip(m.shards_of(layer), self._counts(layer), strict=True):
            yield from pieces(self.path / shard.file, self._begin(shard, layer, count), count, row_bytes, start, wanted)
            start += count

    def _begin(self, shard: Shard, layer: int, count: int) -> int:
        """The byte at which a layer begins in its file; found for all layers at once, since opening HDF5 is slow."""
        if shard.file not in self._located:
            m = self.manifest
            self._located[shard.file] = locate_layers(self.path / shard.file, shard.layers, m.dtype, count, m.width)
        return self._located[shard.file][layer]

    def _refuse_non_finite(self, layer: int, count: int, first: int) -> None:
        what = "tokens, first in row" if self.manifest.ragged else "rows, first"
        raise InputError(
            f"{self.path}: layer {layer} is not finite for {count} {what} {self.ids[first]!r}: extract with "
            "another --dtype"
        )
