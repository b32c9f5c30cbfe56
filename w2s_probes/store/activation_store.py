"""The activation store: a folder of HDF5 shards and a manifest. Rows keep one order; layers are read one at a time."""

import html
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, preview
from ..rows.ids import Ids, positions, refuse_doubled
from .dtypes import WORDS
from .layer_reading import Piece, WantedVectors, pieces, read_float32, read_words
from .layers import LayerSpec, one_layer, parse_layers
from .manifest import MANIFEST, Manifest, Shard
from .parts import part_count, parts_there
from .shards import locate_layers, read_header, read_offsets
from .token_activations import StoredTokens, TokenActivations
from .verification import Verification, manifest_faults, shard_faults


class ActivationStore:
    """Activations of n rows at several layers: `store.layer(16)` is float32 (n, width) in `store.ids` order.

    A store made with position `all` is ragged, one vector a token: `store.tokens(16)`.

    >>> import tempfile
    >>> import numpy as np, pandas as pd
    >>> from w2s_probes.importing import import_activations
    >>> from w2s_probes.io.tables import write_table
    >>> folder = tempfile.mkdtemp()
    >>> np.save(f"{folder}/X.npy", np.ones((2, 3), dtype=np.float32))
    >>> write_table(pd.DataFrame({"id": ["a", "b"]}), f"{folder}/rows.jsonl")
    >>> _ = import_activations(f"{folder}/X.npy", f"{folder}/rows.jsonl", f"{folder}/acts", layers=16)
    >>> store = ActivationStore.open(f"{folder}/acts")
    >>> store.layers, store.layer(16, ids=["b"]).shape
    ([16], (1, 3))
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._located: dict[str, dict[int, int]] = {}

    @classmethod
    def open(cls, path: Path | str) -> "ActivationStore":
        """Open a finished store for reading.

        Raises InputError if the folder is no store, is of another schema version, is not finished, or has a
        shard that is missing or not of its recorded size. Contents are checked by `verify`.
        """
        path = Path(path)
        manifest = Manifest.read(path)
        if not manifest.shards and manifest.rows:
            found = parts_there(path, manifest)
            if len(found) < part_count(manifest):
                done = sum(shard.rows for shard in found.values())
                raise InputError(
                    f"{path}: not finished ({done} of {manifest.rows} rows): give the same `w2s extract` again"
                )
            manifest = manifest.model_copy(update={"shards": list(found.values())})
        check_listing(path, manifest)
        return cls(path, manifest)

    @property
    def layers(self) -> list[int]:
        """The stored layers, ascending; 0 is the embedding output."""
        return sorted(self.manifest.sites)

    @property
    def key(self) -> str:
        """The key of the numbers: a hash of all that determines them."""
        return self.manifest.key

    @cached_property
    def ids(self) -> NDArray[np.object_]:
        """(n,) row ids, in the order in which rows were given to the extractor."""
        names: list[str] = []
        for shard in self.manifest.shards_of(self.layers[0]):
            names += read_header(self.path / shard.file).ids
            if len(names) != shard.stop:
                raise InputError(f"{self.path / shard.file}: holds other rows than the manifest says: `w2s repair`")
        refuse_doubled(names, str(self.path))
        return np.array(names, dtype=object)

    def __len__(self) -> int:
        return self.manifest.rows

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, stored layers, width: `store.layer(i)` is (shape[0], shape[2]), and there are shape[1] such layers.

        A ragged store has as many rows, but more vectors than rows: one a token.
        """
        return self.manifest.rows, len(self.layers), self.manifest.width

    def _repr_html_(self) -> str:
        """A table for notebooks: rows, layers, width, dtype, model."""
        m = self.manifest
        about = {
            "rows": f"{m.rows:,}",
            "layers": ", ".join(map(str, self.layers)) + self._mark,
            "width": f"{m.width:,}",
            "dtype": m.dtype,
            "position": "every token" if m.ragged else str(m.identity.get("position", "")),
            "model": str(m.notes.get("model", "")),
            "texts cut": f"{sum(shard.cut for shard in m.shards_of(self.layers[0])):,}",
            "size": f"{sum(shard.bytes for shard in m.shards) / 1e6:,.1f} MB",
        }
        body = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in about.items())
        return f"<p><b>ActivationStore</b> {html.escape(str(self.path))}</p><table>{body}</table>"

    def __repr__(self) -> str:
        m = self.manifest
        what = f"{m.rows} rows, every token" if m.ragged else f"{m.rows} rows"
        layers = f"layers {self.layers}{self._mark}"
        return f"ActivationStore({str(self.path)!r}: {what}, {layers}, width {m.width}, {m.dtype})"

    @property
    def _mark(self) -> str:
        layer = self.manifest.after_norm
        return "" if layer is None else f" ({layer} after the final norm)"

    def resolve(self, layer: LayerSpec) -> int:
        """The stored layer that a specification names (see `layers.parse_layers`); InputError if not stored."""
        index = one_layer(layer, self.manifest.depth)
        if index not in self.manifest.sites:
            raise InputError(f"layer {index} is not in {self.path}; it holds {preview(self.layers, 40)}")
        return index

    def select(self, layers: LayerSpec) -> list[int]:
        """The stored layers that a specification names, ascending; `all` are those stored. InputError if not stored."""
        if layers == "all":
            return self.layers
        return [self.resolve(layer) for layer in parse_layers(layers, self.manifest.depth)]

    def words(self, layer: LayerSpec) -> NDArray[Any]:
        """The layer as stored, bit for bit: (n, width) words of `manifest.dtype` (bfloat16 as uint16).

        Of a ragged store (tokens, width): the rows' tokens one after another.
        """
        index, m = self.resolve(layer), self.manifest
        out = np.empty((sum(self._counts(index)), m.width), dtype=WORDS[m.dtype])
        read_words(list(self._pieces(index, None)), out)
        return out

    def layer(self, layer: LayerSpec, ids: Ids | None = None) -> NDArray[np.float32]:
        """One layer as float32 (n, width): all rows in `ids` order, or the rows asked for in the order asked.

        Its bytes are read once, whatever the order. Raises InputError for a layer or id that is not stored, for
        values that are not finite, and for a ragged store.
        """
        if self.manifest.ragged:
            raise InputError(
                f"{self.path} holds every token of its rows: extract with --position last, first or mean for one "
                f"vector a row, or read it with .tokens({layer!r})"
            )
        wanted = None if ids is None else WantedVectors(positions(self.ids, ids, str(self.path)))
        X, finite = self._vectors(self.resolve(layer), self.manifest.rows, wanted)
        if not finite.all():
            names = self.ids if ids is None else np.asarray(ids, dtype=object)
            self._refuse_non_finite(layer, int((~finite).sum()), names[int(finite.argmin())])
        return X

    def tokens(self, layer: LayerSpec, ids: Ids | None = None) -> TokenActivations:
        """One layer of a ragged store, all rows or those asked for; memory as many vectors as these have tokens.

        Raises InputError as `layer` does, and for a store that holds one vector a row.
        """
        index = self._token_layer(layer)
        token_ids = self._ragged[1]
        names = self.ids if ids is None else np.asarray(ids, dtype=object)
        at, ends = self._token_places(names)
        values, finite = self._vectors(index, len(token_ids), WantedVectors(at))
        if not finite.all():
            row = int(np.searchsorted(ends, int(finite.argmin()), side="right")) - 1
            self._refuse_non_finite(layer, int((~finite).sum()), names[row])
        return TokenActivations(values, ends, token_ids[at], names)

    def stored_tokens(self, layer: LayerSpec, ids: Ids | None = None) -> StoredTokens:
        """One layer of a ragged store, all rows or those asked for, left on disk and read a few rows at a time."""
        self._token_layer(layer)
        names = self.ids if ids is None else np.asarray(ids, dtype=object)
        at, ends = self._token_places(names)
        return StoredTokens(ends, self._ragged[1][at], names, self.manifest.width, partial(self.tokens, layer))

    def verify(self) -> Verification:
        """Read everything again: checksums, ids, shapes, and that every number is finite."""
        m = self.manifest
        problems = [fault for shard in m.shards for fault in shard_faults(self.path, m, shard)]
        if not problems:  # HDF5 is not to be trusted with damaged files: it may crash, or never come back
            try:
                _ = self.ids
            except InputError as error:
                problems.append(str(error))
        problems = manifest_faults(self.path, m) + problems
        return Verification(m.rows, len(m.sites), sum(shard.bytes for shard in m.shards), tuple(problems))

    def _token_layer(self, layer: LayerSpec) -> int:
        """The layer's number; InputError for a store of one vector a row."""
        if not self.manifest.ragged:
            raise InputError(f"{self.path} holds one vector a row: extract with --position all for its tokens")
        return self.resolve(layer)

    def _token_places(self, names: NDArray[np.object_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The places of some rows' tokens in a layer, one row after another, and where each row begins and ends."""
        offsets = self._ragged[0]
        rows = positions(self.ids, names, str(self.path))
        lengths = np.diff(offsets)[rows]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        return np.repeat(offsets[rows] - ends[:-1], lengths) + np.arange(ends[-1]), ends

    @cached_property
    def _ragged(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Offsets (n + 1,) and token ids (tokens,) of all rows."""
        parts = [read_offsets(self.path / s.file, s.rows) for s in self.manifest.shards_of(self.layers[0])]
        lengths = np.concatenate([np.diff(offsets) for offsets, _ in parts])
        return np.concatenate([[0], np.cumsum(lengths)]), np.concatenate([tokens for _, tokens in parts])

    def _counts(self, layer: int) -> list[int]:
        """The number of vectors in each shard of a layer."""
        shards = self.manifest.shards_of(layer)
        if not self.manifest.ragged:
            return [shard.rows for shard in shards]
        offsets, _ = self._ragged
        return [int(offsets[shard.stop] - offsets[shard.start]) for shard in shards]

    def _vectors(
        self, layer: int, count: int, wanted: WantedVectors | None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        m = self.manifest
        out = np.empty((count if wanted is None else len(wanted.positions), m.width), dtype=np.float32)
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

    def _refuse_non_finite(self, layer: LayerSpec, count: int, first: str) -> None:
        what = "tokens, first in row" if self.manifest.ragged else "rows, first"
        raise InputError(
            f"{self.path}: layer {self.resolve(layer)} is not finite for {count} {what} {first!r}: extract with "
            "another --dtype"
        )


def check_listing(path: Path, manifest: Manifest) -> None:
    """InputError where the listed shards do not make up the store, or are not on disk in their recorded size."""
    if not manifest.complete:
        raise InputError(f"{path / MANIFEST}: its shards do not hold every row and layer once: edited by hand?")
    least = len(manifest.sites) * manifest.rows * manifest.width * WORDS[manifest.dtype].itemsize
    if sum(shard.bytes for shard in manifest.shards) < least:
        raise InputError(f"{path / MANIFEST}: its rows, layers and width need more bytes than its shards have")
    for shard in manifest.shards:
        if (size := size_on_disk(path, shard)) != shard.bytes:
            raise InputError(
                f"{path / shard.file}: {size} bytes, the manifest says {shard.bytes}: missing or truncated; "
                "`w2s repair` makes it anew"
            )


def size_on_disk(path: Path, shard: Shard) -> int:
    """The bytes of a shard's file; 0 where there is none."""
    file = path / shard.file
    return file.stat().st_size if file.is_file() else 0
