"""`import_prompt_folder`: a folder of one safetensors file a prompt, as a serving engine writes it, into a store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, did_you_mean, preview
from ..io.files import sha256
from ..rows.ids import refuse_doubled
from ..store.activation_store import ActivationStore
from ..store.dtypes import WORDS, StoredDtype
from ..store.layers import LayerSpec
from ..store.shards import Content
from ..store.writer import StoreWriter
from .by_layer import Layers, chosen_layers, refuse_depth
from .importer import SHARD_BYTES, SHARD_ROWS, hash_of, refuse_non_finite, row_ids, rows_of_all
from .last_entry import LastEntry, identity_of
from .safetensors_files import read_safetensors
from .saved import Saved, words

ENDING = ".safetensors"
TOKENS = {"last": -1, "first": 0}  # positions that are one vector of the file, and so kept bit for bit


@dataclass(frozen=True)
class Layout:
    """What a program's files hold: the mapping of its names to ours, and nothing else knows them."""

    states: str  # tensor (tokens, layers, width)
    tokens: str  # tensor (tokens,), whose length must be that of `states`
    last_entry: LastEntry  # what the model's last layer is, if it is there
    source: str  # what the layout was read from


# vLLM's page says that an id of `num_hidden_layers` is the last block's output, not normalized: its ids are our layers.
LAYOUTS: Mapping[str, Layout] = {
    "vllm": Layout(
        "hidden_states",
        "token_ids",
        "pre-norm",
        "vLLM's ExampleHiddenStatesConnector (docs/features/speculative_decoding/extract_hidden_states.md, 2026)",
    )
}


@dataclass(frozen=True)
class _Column:
    """One layer of all files, read as rows are asked for: only a slice of rows is ever in memory."""

    files: Sequence[Path]
    layout: Layout
    slot: int
    token: int
    dtype: StoredDtype
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and width."""
        return len(self.files), self.width

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Words (rows, width)."""
        states = (read_safetensors(path).arrays[self.layout.states] for path in self.files[rows])
        return np.stack([array[self.token, self.slot] for array in states]).astype(WORDS[self.dtype], copy=False)


def import_prompt_folder(
    folder: Path | str,
    rows: Path | str,
    out: Path | str,
    *,
    layers: LayerSpec,
    layout: str = "vllm",
    position: Literal["last", "first"] = "last",
    depth: int | None = None,
    model: str | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> ActivationStore:
    """A store of the vectors at one token of each prompt's file, bit for bit.

    Each row of `rows` is the file that is called as its id, `ID.safetensors`, in `folder`; companions such as `.lock`
    are left alone. `layers` are those that the engine was asked for, ascending (vLLM's
    `eagle_aux_hidden_state_layer_ids`), and `layout` says whose files they are (`LAYOUTS`). The manifest keeps the
    layout and that its last layer is before the final norm. Raises InputError, with nothing written, where a row has
    no file or a file no row, where files are cut, differ in layers, width or format, have states of another number of
    tokens than they name, or hold a number that is not finite. Whether the numbers are the model's, only the model
    can tell.
    """
    if layout not in LAYOUTS:
        raise InputError(f"--layout {layout!r}: {did_you_mean(layout, LAYOUTS)}")
    if position not in TOKENS:
        raise InputError(f"--position {position}: of a folder of prompts, one token is kept: say last or first")
    refuse_depth(depth)
    form, named = LAYOUTS[layout], chosen_layers(layers, depth)
    if depth is not None and named[-1] > depth:
        raise InputError(
            f"{folder}: layer {named[-1]} is above the model's {depth} blocks: correct --layers or --depth"
        )
    ids = row_ids(Path(rows))
    refuse_doubled(ids, str(rows))
    files = _files(Path(folder), ids, str(rows))
    width, dtype = _alike(files, form, len(named))
    columns: dict[int, Any] = {
        layer: _Column(files, form, slot, TOKENS[position], dtype, width) for slot, layer in enumerate(named)
    }
    sites = {layer: f"imported {form.states}[:, {slot}]" for slot, layer in enumerate(named)}
    part = Layers(columns, sites, dtype)
    identity = {
        "imported": hash_of([sha256(path) for path in files]),
        "layout": layout,
        **identity_of(form.last_entry),
        "model": model,
        "layers": named,
        "depth": depth,
        "position": position,
        "dtype": dtype,
        "rows": hash_of(ids),
    }
    row_bytes = width * WORDS[dtype].itemsize * len(named)
    writer = StoreWriter.open(
        out,
        identity=identity,
        sites=sites,
        depth=named[-1] if depth is None else depth,
        width=width,
        dtype=dtype,
        ids=ids,
        shard_rows=max(1, min(SHARD_ROWS, SHARD_BYTES // row_bytes)),
    )
    writer.refuse_unwritable()
    if missing := writer.missing():
        refuse_non_finite(part, Path(folder), ids, writer.manifest.shard_rows)
        for done, number in enumerate(missing, start=1):
            chosen = writer.rows_of(number)
            writer.write(number, Content(ids[chosen], rows_of_all([part], chosen)))
            report(done, len(missing))
    notes = {"imported_from": str(Path(folder).resolve()), "layout": form.source, "rows_from": [str(rows)]}
    store = writer.finish(notes | ({} if model is None else {"model": model}))
    assert store is not None  # every part has just been written
    return store


def _files(folder: Path, ids: list[str], rows: str) -> list[Path]:
    """The file of each row; InputError where a row has none, or a file of the folder no row."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; it must hold one {ENDING} file a row, called as the row's id")
    there = {path.name.removesuffix(ENDING): path for path in folder.iterdir() if path.name.endswith(ENDING)}
    if lacking := [name for name in ids if name not in there]:
        raise InputError(
            f"{folder}: no file for {len(lacking)} of {len(ids)} rows of {rows} ({preview(lacking, 6)}): each is "
            f"called as its row's id, as in {lacking[0]}{ENDING}"
        )
    if more := sorted(there.keys() - set(ids)):
        raise InputError(
            f"{folder}: {len(more)} files of no row of {rows} ({preview(more, 6)}): add them, or move them"
        )
    return [there[name] for name in ids]


def _alike(files: Sequence[Path], form: Layout, layers: int) -> tuple[int, StoredDtype]:
    """Width and format that all files have; InputError for the first that is not as the layout or the others are."""
    first: tuple[int, StoredDtype] | None = None
    for path in files:
        found = _checked(read_safetensors(path), path, form, layers)
        if first is not None and found != first:
            raise InputError(
                f"{path}: width {found[0]} of {found[1]}, but {files[0].name} has width {first[0]} of {first[1]}: one "
                "store has one"
            )
        first = found
    if first is None:
        raise InputError("the row file holds no row")
    return first


def _checked(saved: Saved, path: Path, form: Layout, layers: int) -> tuple[int, StoredDtype]:
    for name in (form.states, form.tokens):
        if name not in saved.arrays:
            raise InputError(f"{path}: no tensor {name!r}, but {preview(list(saved.arrays), 6)}: not of this --layout")
    states, tokens = saved.arrays[form.states], saved.arrays[form.tokens]
    if states.ndim != 3 or states.shape[1] != layers:
        raise InputError(
            f"{path}: {form.states} has shape {states.shape}, but --layers names {layers}: it must be (tokens, "
            f"{layers}, width)"
        )
    if tokens.shape != states.shape[:1]:
        raise InputError(
            f"{path}: states of {len(states)} tokens, but {form.tokens} of shape {tokens.shape}: only a part of the "
            "prompt was saved; serve it again without chunked prefill and without prefix caching"
        )
    return int(states.shape[2]), words(states, saved.dtypes[form.states], str(path))[1]
