"""A dataset that lmprobe has pushed, in a folder here: its rows gathered from the shards of each layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, preview
from ..io.files import last_part, sha256
from ..store.activation_store import ActivationStore
from ..store.dtypes import WORDS, StoredDtype
from .by_layer import Layers
from .last_entry import LastEntry, identity_of, settled
from .lmprobe_index import ALL, INDEX, LmprobeIndex
from .safetensors_files import read_safetensors
from .saved import words
from .token_check import refuse_other_tokens
from .token_store import RowTokens, write_token_store
from .written import hash_of, write_store

SOURCE = "lmprobe 0.10.3, lmprobe/sharing.py (format 2)"


@dataclass(frozen=True)
class _Gathered:
    """One layer's vectors, in the rows' order, read from several shards as they are asked for."""

    shards: Mapping[int, NDArray[Any]]  # mapped, and not read
    places: NDArray[np.int64]  # (vectors, 2): shard and offset of each
    dtype: StoredDtype
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Vectors and width."""
        return len(self), self.width

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, chosen: slice) -> NDArray[Any]:
        """Words (vectors, width)."""
        places = self.places[chosen]
        out = np.empty((len(places), self.width), WORDS[self.dtype])
        for number in np.unique(places[:, 0]):
            mine = places[:, 0] == number
            out[mine] = self.shards[int(number)][places[mine, 1]]
        return out


def is_lmprobe_dataset(folder: Path) -> bool:
    """Whether a folder holds the index of such a dataset."""
    return (folder / INDEX).is_file()


def import_lmprobe_dataset(
    folder: Path,
    texts: Sequence[str],
    ids: Sequence[str],
    out: Path | str,
    *,
    rows: Path,
    layers: list[int] | None,
    position: str,
    depth: int | None,
    dtype: str | None,
    last_entry: LastEntry | None,
    model: str | None,
    tokens: Sequence[Any] | None,
    report: Callable[[int, int], None],
) -> ActivationStore:
    """A store of the rows' vectors; `layers` in our numbers, all unless given, `tokens` by the model's tokenizer.

    Raises InputError, with nothing written, for rows that the dataset lacks, a position that it does not hold, shards
    that are not there or not as the index says, and as `import_prompt_folder`.
    """
    index = LmprobeIndex.read(folder)
    lines = index.lines_of(texts, ids, str(rows))
    places, told, counts = index.places(lines, position), index.tokens(lines), index.counts(lines)
    for row, own in enumerate(tokens or ()):
        refuse_other_tokens(str(index.path), ids[row], own, told[row], counts[row])
    wanted = [layer + 1 for layer in index.layers] if layers is None else layers
    if absent := [layer for layer in wanted if layer - 1 not in index.layers]:
        raise InputError(
            f"{index.path}: no layer {absent[0]} (its block {absent[0] - 1}); it holds "
            f"{preview([layer + 1 for layer in index.layers], 40)}"
        )
    all_places = np.concatenate(places)
    part, files = _layers(folder, index, wanted, all_places, dtype)
    if depth is not None and wanted[-1] > depth:
        raise InputError(f"{folder}: layer {wanted[-1]} is above the model's {depth} blocks: correct --depth")
    part = settled(part, depth, last_entry, str(folder), lowest=min(part.words))
    name = model or index.model
    about: dict[str, Any] = {
        "identity": {
            "imported": hash_of([sha256(path) for path in (index.path, *files)]),
            "layout": "lmprobe",
            **identity_of(last_entry),
            "model": last_part(name),
            "layers": sorted(part.words),
            "depth": depth,
            "position": position,
            "dtype": part.dtype,
            "rows": hash_of(list(ids)),
        },
        "depth": max(wanted) if depth is None else depth,
        "report": report,
        "notes": {
            "imported_from": str(folder.resolve()),
            "layout": SOURCE,
            "rows_from": [str(rows.resolve())],
            "tokens_checked": tokens is not None,
            "model": name,
        },
    }
    if position != ALL:
        return write_store(out, [(part, folder, list(ids))], **about)
    return write_token_store(out, part, RowTokens.of(counts, told, tokens, ids, str(folder)), folder, ids, **about)


def _layers(
    folder: Path, index: LmprobeIndex, wanted: Sequence[int], places: NDArray[np.int64], dtype: str | None
) -> tuple[Layers, list[Path]]:
    """The layers, by our numbers, of the shards that are needed; InputError for one that is not as the index says."""
    columns: dict[int, Any] = {}
    formats: dict[StoredDtype, Path] = {}
    files = []
    for layer in wanted:
        shards = {}
        for shard in np.unique(places[:, 0]).tolist():
            path = folder / "tensors" / f"hidden_layer{layer - 1:03d}_shard{shard:03d}.safetensors"
            if not path.is_file():
                raise InputError(f"{path}: not there: pull it, too, or choose others by --layers (ours are its plus 1)")
            saved, key = read_safetensors(path), f"hidden.layer_{layer - 1}"
            shape = saved.arrays[key].shape if key in saved.arrays else None
            if shape != (index.shards[shard], index.width):
                raise InputError(
                    f"{path}: {key} has shape {shape}, and the index says {(index.shards[shard], index.width)}: pull "
                    "it again"
                )
            shards[shard], kind = words(saved.arrays[key], saved.dtypes[key], str(path), dtype)
            formats.setdefault(kind, path)
            files.append(path)
        columns[layer] = shards
    if len(formats) > 1:
        raise InputError(f"{folder}: shards of several number formats ({preview(sorted(formats))}): one store has one")
    kind = next(iter(formats))
    sites = {layer: f"imported hidden.layer_{layer - 1}" for layer in wanted}
    gathered = {layer: _Gathered(shards, places, kind, index.width) for layer, shards in columns.items()}
    words_of: Mapping[int, Any] = gathered
    return Layers(words_of, sites, kind), files
