"""`import_hdf5`: a file of activations in HDF5 into a store, by a mapping or as probelab writes it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import InputError, did_you_mean, preview
from ..io.files import last_part, sha256
from ..io.tables import read_table
from ..rows.ids import refuse_doubled, with_ids
from ..store.activation_store import ActivationStore
from ..store.layers import LayerSpec
from .by_layer import Layers, Order, chosen_layers, refuse_depth, row_axis
from .hdf5_files import Hdf5Column, attributes, dataset, numbers, opened, texts
from .hdf5_mapping import Mapped, read_mapping
from .last_entry import LastEntry, identity_of, refuse_last_entry, settled
from .layouts import ALL
from .probelab_memmap import SOURCE as MEMMAP_SOURCE
from .probelab_memmap import digest_of, is_memmap, read_memmap
from .row_places import RowPlaces
from .saved import words
from .token_check import Tokenize, refuse_other_tokens
from .token_store import RowTokens, write_token_store
from .written import hash_of, row_ids, write_store

PROBELAB = Mapped(states="data", layers="layers", offsets="offsets")
SOURCE = "probelab 0.1.0, probelab/storage/hdf5.py"


def import_hdf5(
    file: Path | str,
    rows: Path | str,
    out: Path | str,
    *,
    mapping: Sequence[str] = (),
    layout: str | None = None,
    layers: LayerSpec | None = None,
    depth: int | None = None,
    order: Order | None = None,
    dtype: str | None = None,
    last_entry: LastEntry | None = None,
    position: Literal["last", "first", "mean", "all", "unknown"] = "unknown",
    model: str | None = None,
    tokenize: Tokenize | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> ActivationStore:
    """A store of the activations in an HDF5 file, bit for bit.

    `mapping` names its datasets (`hdf5_mapping.Mapped`), as `key=dataset` or a TOML file; `layout` "probelab" is one
    that is known, whose layer i is our layer i + 1, what block i hands on. Vectors are one a row, of the `position`
    that is noted; with offsets they are one a token, and that at `position` last or first is taken, or, with `all`,
    every one into a store of every token: then `token_ids`, or `tokenize`, must say which they are. A folder of layout
    "probelab" is one of its memory maps. `layers` are the
    layers of `states`, ascending, where the file does not name them. Rows are in the order of the row file, or joined
    by the file's own ids. For the other arguments see `import_activations` and `import_prompt_folder`.

    Files are read a part of the store at a time. Raises InputError, with nothing written, where shapes, offsets or
    ids do not fit the rows, for tokens that the tokenizer does not give, and for numbers that are not finite.
    """
    if (layout is None) == (not mapping):
        raise InputError(f"{file}: an HDF5 file: say what its datasets are by --mapping, or by --layout probelab")
    if layout not in (None, "probelab"):
        raise InputError(f"--layout {layout!r}: {did_you_mean(str(layout), ['probelab'])}")
    refuse_depth(depth)
    refuse_last_entry(last_entry)
    mapped = PROBELAB if layout else read_mapping(mapping)
    path, ids = Path(file), row_ids(Path(rows))
    refuse_doubled(ids, str(rows))
    if not path.exists():
        raise InputError(f"{path}: no such file")
    table = with_ids(read_table(Path(rows)), str(rows))
    if layout and is_memmap(path):
        if dtype not in (None, "bfloat16"):
            raise InputError(f"{path}: memory maps of probelab hold bfloat16: leave --dtype {dtype} away")
        where, part = read_memmap(path, len(ids), position, layers, depth)
    else:
        with opened(path) as held:
            if layout:
                mapped, dtype = _probelab(held, path, dtype)
            where = _rows(held, path, mapped, ids, position)
            part = _layers(held, path, mapped, where, len(ids), layers, depth, order, dtype, shift=1 if layout else 0)
    own_tokens = None
    if tokenize is not None:
        if "text" not in table:
            raise InputError(f"{rows}: no field 'text', which the tokenizer of --model needs: leave --model away")
        own_tokens = tokenize(ids, [str(text) for text in table["text"]])
        for row, own in enumerate(own_tokens):
            count = None if where.counts is None else int(where.counts[row])
            refuse_other_tokens(str(path), ids[row], own, None if where.tokens is None else where.tokens[row], count)
    highest = max(part.words)
    if depth is not None and highest > depth:
        raise InputError(f"{path}: layer {highest} is above the model's {depth} blocks: correct --layers or --depth")
    part = settled(part, depth, last_entry, str(path), lowest=min(1, min(part.words)))
    identity: dict[str, Any] = {
        "imported": [digest := digest_of(path) if path.is_dir() else sha256(path)],
        "mapping": {name: value for name, value in vars(mapped).items() if value},
        "layout": layout,
        **identity_of(last_entry),
        "model": model and last_part(model),
        "layers": sorted(part.words),
        "sites": [part.sites[layer] for layer in sorted(part.words)],
        "depth": depth,
        "order": order,
        "position": position,
        "dtype": part.dtype,
        "rows": hash_of(ids),
    }
    notes: dict[str, Any] = {
        "imported": [{"file": path.name, "sha256": digest}],
        "tokens_checked": tokenize is not None,
    }
    source = MEMMAP_SOURCE if path.is_dir() else SOURCE
    notes |= {"rows_from": [str(Path(rows).resolve())]} | ({"layout": source} if layout else {})
    about: dict[str, Any] = {"depth": highest if depth is None else depth, "report": report}
    about |= {"identity": identity | {"mapping": _plain(identity["mapping"])}}
    about |= {"notes": notes | ({} if model is None else {"model": model})}
    if position != ALL:
        return write_store(out, [(part, path, ids)], **about)
    counts = [int(count) for count in where.counts] if where.counts is not None else [None] * len(ids)
    tokens = RowTokens.of(counts, where.tokens or [None] * len(ids), own_tokens, ids, str(path))
    return write_token_store(out, part, tokens, path, ids, **about)


def _plain(mapping: dict[str, Any]) -> dict[str, Any]:
    """The mapping as JSON keeps it: names of layers are texts there."""
    return mapping | {"by_layer": {str(k): v for k, v in mapping.get("by_layer", {}).items()}}


def _probelab(held: Any, path: Path, dtype: str | None) -> tuple[Mapped, str | None]:
    """The mapping of a probelab file, and its dtype, which its attributes say."""
    about = attributes(held)
    if about.get("dims") not in ("bh", "blh", "bsh", "blsh") or "dtype" not in about:
        raise InputError(f"{path}: no attributes `dims` and `dtype` as probelab writes them: not of --layout probelab")
    said = about["dtype"].removeprefix("torch.")
    if dtype is not None and dtype != said:
        raise InputError(f"{path}: says that it holds {said}: leave --dtype {dtype} away")
    tokens, several = "s" in about["dims"], "l" in about["dims"]
    mapped = replace(
        PROBELAB, offsets=PROBELAB.offsets if tokens else None, layers=PROBELAB.layers if several else None
    )
    return mapped, said


def _rows(held: Any, path: Path, mapped: Mapped, ids: Sequence[str], position: str) -> RowPlaces:
    """Where each row's vector stands."""
    order = np.arange(len(ids))
    if mapped.ids is not None:
        own = texts(held, mapped.ids, path)
        refuse_doubled(own, f"{path}, {mapped.ids}")
        at = {name: row for row, name in enumerate(own)}
        if set(own) != set(ids):
            apart = sorted(set(own) ^ set(ids))
            raise InputError(f"{path}: {len(apart)} ids are not in both files ({preview(apart, 6)}): give its own rows")
        order = np.array([at[name] for name in ids])
    if mapped.offsets is None:
        if position == ALL:
            raise InputError(f"{path}: holds a vector a row, by its mapping: --position all needs offsets=DATASET")
        return RowPlaces(order, len(ids))
    token_ids = None if mapped.token_ids is None else numbers(held, mapped.token_ids, path)
    return RowPlaces.by_offsets(numbers(held, mapped.offsets, path), order, position, str(path), token_ids)


def _layers(
    held: Any,
    path: Path,
    mapped: Mapped,
    rows: RowPlaces,
    count: int,
    layers: LayerSpec | None,
    depth: int | None,
    order: Order | None,
    dtype: str | None,
    *,
    shift: int,
) -> Layers:
    """Each layer as a column of which rows are read."""
    columns: dict[int, tuple[str, int | None, int]] = {}  # by layer its dataset, its index there, and the rows' axis
    if mapped.by_layer:
        wanted = sorted(mapped.by_layer) if layers is None else chosen_layers(layers, depth)
        if missing := [layer for layer in wanted if layer not in mapped.by_layer]:
            raise InputError(f"{path}: no layer {missing[0]} in --mapping, which names {sorted(mapped.by_layer)}")
        columns = {layer: (mapped.by_layer[layer], None, 0) for layer in wanted}
    else:
        assert mapped.states is not None  # `read_mapping` has seen to it
        shape = dataset(held, mapped.states, path).shape
        if len(shape) not in (2, 3):
            raise InputError(f"{path}: {mapped.states!r} has shape {shape}; it must have two dimensions or three")
        own = None if mapped.layers is None else (numbers(held, mapped.layers, path) + shift).tolist()
        named = own if layers is None else chosen_layers(layers, depth)
        axis = 0 if len(shape) == 2 else row_axis(shape, rows.vectors, str(path), order)
        slots = 1 if len(shape) == 2 else shape[1 - axis]
        if named is None and len(shape) == 3:
            named = list(range(slots))
        held_by = named if own is None else own
        if held_by is None or len(held_by) != slots or min(held_by) < 0 or len(set(held_by)) < slots:
            raise InputError(
                f"{path}: {mapped.states!r} of shape {shape} holds {slots} layers, and they are named {held_by}: name "
                "each once, counted from 0, the embedding output, as in --layers 16"
            )
        if missing := [layer for layer in named or [] if layer not in held_by]:
            raise InputError(f"{path}: no layer {missing[0]}; it holds {held_by}")
        columns = {
            layer: (mapped.states, None if len(shape) == 2 else held_by.index(layer), axis)
            for layer in sorted(named or held_by)
        }
    found, sites, kinds = {}, {}, set()
    for layer, (name, index, axis) in columns.items():
        data = dataset(held, name, path)
        vectors, width = data.shape[axis if index is not None else 0], data.shape[-1]
        if data.ndim != (2 if index is None else 3) or vectors != rows.vectors or not width:
            what = "tokens by its offsets" if rows.counts is not None else "rows"
            raise InputError(
                f"{path}: {name!r} has shape {data.shape}, and there are {rows.vectors} {what} ({count} rows)"
            )
        sample = np.asarray(data[(0,) * (data.ndim - 1)])
        kind = words(sample, data.dtype.name, f"{path}, {name!r}", dtype)[1]
        kinds.add((kind, width))
        found[layer] = Hdf5Column(path, name, rows.places, (index, axis), width)
        sites[layer] = f"imported {name}" + ("" if index is None else f"[:, {index}]" if axis == 0 else f"[{index}]")
    if len(kinds) > 1:
        raise InputError(f"{path}: layers of several formats or widths ({preview(sorted(kinds))}): one store has one")
    columns_by_layer: dict[int, Any] = dict(found)
    return Layers(columns_by_layer, sites, kinds.pop()[0])
