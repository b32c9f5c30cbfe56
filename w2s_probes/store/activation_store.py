"""The activation store: a folder of HDF5 shards and a manifest. Rows keep one order; layers are read one at a time."""

import html
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, preview
from ..labels.label_set import LabelSet
from ..rows.ids import Ids
from .dtypes import WORDS
from .layers import LayerSpec, one_layer, parse_layers
from .manifest import MANIFEST, Manifest, Shard
from .parts import part_count, parts_there
from .read_again import SITE
from .row_blocks import RowBlocks
from .row_reader import RowReader
from .shards import REPAIRED
from .token_activations import StoredTokens, TokenActivations
from .verification import Verification, manifest_faults, pulled_or_repaired, shard_faults

if TYPE_CHECKING:
    from datasets import IterableDataset

    from .torch_view import StoreRows


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

    paired = False  # whether its rows are read as contrast pairs, as by `PairedStore`

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._reader = RowReader(path, manifest)

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

    @property
    def ids(self) -> NDArray[np.object_]:
        """(n,) row ids, in the order in which rows were given to the extractor."""
        return self._reader.ids

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
            **({"site": str(m.identity[SITE])} if SITE in m.identity else {}),
            "model": str(m.notes.get("model", "")),
            "texts cut": f"{sum(shard.cut for shard in m.shards_of(self.layers[0])):,}",
            "size": f"{sum(shard.bytes for shard in m.shards) / 1e6:,.1f} MB",
        }
        body = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in about.items())
        return f"<p><b>ActivationStore</b> {html.escape(str(self.path))}</p><table>{body}</table>"

    def __repr__(self) -> str:
        m = self.manifest
        what = f"{m.rows} rows, every token" if m.ragged else f"{m.rows} rows"
        what += f", {str(m.identity[SITE])[:40]}" if SITE in m.identity else ""
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
        return self._reader.words(self.resolve(layer))

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
        return self._reader.vectors(self.resolve(layer), None if ids is None else self._reader.positions(ids))

    def tokens(self, layer: LayerSpec, ids: Ids | None = None) -> TokenActivations:
        """One layer of a ragged store, all rows or those asked for; memory as many vectors as these have tokens.

        Raises InputError as `layer` does, and for a store that holds one vector a row.
        """
        index = self._token_layer(layer)
        return self._reader.tokens(index, self._reader.positions(self.ids if ids is None else ids))

    def stored_tokens(self, layer: LayerSpec, ids: Ids | None = None) -> StoredTokens:
        """One layer of a ragged store, all rows or those asked for, left on disk and read a few rows at a time."""
        self._token_layer(layer)
        names = self.ids if ids is None else np.asarray(ids, dtype=object)
        ends, token_ids = self._reader.token_ids(self._reader.positions(names))
        return StoredTokens(ends, token_ids, names, self.manifest.width, partial(self.tokens, layer))

    def torch_dataset(
        self,
        layer: LayerSpec,
        labels: LabelSet | None = None,
        *,
        ids: Ids | None = None,
        batch_size: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
    ) -> "StoreRows":
        """One layer as an `IterableDataset` of PyTorch, streamed from disk: examples `id`, `activations` and `label`.

        Rows are `ids`, else those with labels, else all; labels meet them by id. Shuffled, blocks of some megabytes
        are drawn from all over the store and their rows mixed, in another order each `set_epoch`. Workers of a
        DataLoader share the rows. With `batch_size`, whole batches are given:
        `DataLoader(dataset, batch_size=None)`. Rows of tokens are padded by `collate_fn=padded_tokens`. Raises
        InputError as `layer` does, and for ids without a label.
        """
        from .torch_view import StoreRows

        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1 or self.manifest.ragged):
            raise InputError(
                f"batch_size={batch_size}: give a whole number above 0, and of a store of every token none, but "
                "DataLoader(dataset, batch_size=..., collate_fn=padded_tokens)"
            )
        return StoreRows(self._blocks(layer, labels, ids), batch_size=batch_size, shuffle=shuffle, seed=seed)

    def hf_dataset(
        self, layer: LayerSpec, labels: LabelSet | None = None, *, ids: Ids | None = None
    ) -> "IterableDataset":
        """One layer as an `IterableDataset` of Hugging Face's `datasets`; rows and errors are those of `torch_dataset`.

        Raises InputError where that library, the extra `datasets`, is not installed.
        """
        try:
            from .datasets_view import streamed
        except ImportError as error:
            raise InputError("this needs datasets: pip install 'w2s-probes[datasets]'") from error

        return streamed(self._blocks(layer, labels, ids))

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

    def _blocks(self, layer: LayerSpec, labels: LabelSet | None, ids: Ids | None) -> RowBlocks:
        """The rows of a dataset: those asked for, else those that have labels, else all."""
        if labels is not None and not isinstance(labels, LabelSet):
            raise InputError("labels: give a LabelSet, which has ids to be joined by: LabelSet(ids, p)")
        names = np.asarray(ids if ids is not None else self.ids if labels is None else labels.ids, dtype=object)
        at, p = self._reader.positions(names), None if labels is None else labels.values(names)
        return self._reader.blocks(self.resolve(layer), at, p)


def check_listing(path: Path, manifest: Manifest) -> None:
    """InputError where the listed shards do not make up the store, or are not on disk in their recorded size."""
    if not manifest.complete:
        raise InputError(f"{path / MANIFEST}: its shards do not hold every row and layer once: edited by hand?")
    least = len(manifest.sites) * manifest.rows * manifest.width * WORDS[manifest.dtype].itemsize
    if sum(shard.bytes for shard in manifest.shards) < least:
        raise InputError(f"{path / MANIFEST}: its rows, layers and width need more bytes than its shards have")
    for shard in manifest.shards:
        if (size := size_on_disk(path, shard)) != shard.bytes:
            told = f"{path / shard.file}: {size} bytes, the manifest says {shard.bytes}: missing or truncated"
            raise InputError(pulled_or_repaired(path, shard, f"{told}; {REPAIRED}"))


def size_on_disk(path: Path, shard: Shard) -> int:
    """The bytes of a shard's file; 0 where there is none."""
    file = path / shard.file
    return file.stat().st_size if file.is_file() else 0
