"""`import_activations`: files of saved activations into a store, as if they had been extracted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io.files import last_part, sha256
from ..rows.ids import refuse_doubled
from ..store.activation_store import ActivationStore
from ..store.layers import LayerSpec
from .by_layer import Layers, Order, by_layer, refuse_depth
from .last_entry import LastEntry, identity_of, refuse_last_entry, settled
from .read_saved import read_saved
from .written import Report, hash_of, row_ids, write_store

Files = Path | str | Sequence[Path | str]


def import_activations(
    files: Files,
    rows: Files,
    out: Path | str,
    *,
    layers: LayerSpec | None = None,
    depth: int | None = None,
    key: str | None = None,
    order: Order | None = None,
    dtype: str | None = None,
    last_entry: LastEntry | None = None,
    model: str | None = None,
    position: str = "unknown",
    report: Report = lambda done, total: None,
) -> ActivationStore:
    """A store of the activations in .pt, .pth, .npy, .npz or .safetensors files, bit for bit.

    `rows` is a row or label file for each file, whose ids name its rows in order (a hash of the text where it has
    none). An array is (rows, width), which is the one layer that `layers` names; or (rows, layers, width) or (layers,
    rows, width), told by the number of rows or by what `order` says comes first, whose layers are 0, 1, ... or those
    that `layers` names; or there are several (rows, width) whose names end in layer numbers, of which `layers` may
    choose. `layers` must ascend. `key` chooses one array by name. `depth` is the model's number of blocks, the highest
    layer unless given. `dtype`: see `saved.words`. `last_entry` says what the model's last layer is in the file (see
    `last_entry.settled`), and must be said of one that is there. `model` and `position` are noted;
    nothing can check them.

    Files are mapped, so they may be larger than memory; they are read three times (hash, finite numbers, copy), .npz
    once more (checksums). The same call goes on where it was killed. Raises InputError, with nothing written, where
    numbers of rows do not agree, a number is not finite (by row id), files disagree, or one holds anything but arrays.
    """
    refuse_depth(depth)
    refuse_last_entry(last_entry)
    if position == "all":
        raise InputError(
            "--position all: these files hold a vector a row; every token is read from folders of --layout vllm or "
            "lmprobe, and from HDF5 with offsets (--mapping offsets=DATASET)"
        )
    paths, row_paths = _listed(files), _listed(rows)
    if len(paths) != len(row_paths):
        raise InputError(f"{len(paths)} files of activations but {len(row_paths)} of rows: give one --rows a file")
    ids = [row_ids(path) for path in row_paths]
    all_ids = [name for part in ids for name in part]
    refuse_doubled(all_ids, " and ".join(map(str, row_paths)))
    parts = [
        by_layer(
            read_saved(path), len(own_ids), str(path), layers=layers, depth=depth, key=key, order=order, dtype=dtype
        )
        for path, own_ids in zip(paths, ids, strict=True)
    ]
    _refuse_unlike(parts, paths)
    highest = max(parts[0].words)
    if depth is not None and highest > depth:
        raise InputError(
            f"{paths[0]}: layer {highest} is above the model's {depth} blocks: correct --layers or --depth"
        )
    parts = [settled(part, depth, last_entry, str(path)) for part, path in zip(parts, paths, strict=True)]
    first = parts[0]
    hashes = [sha256(path) for path in paths]
    identity = {
        "imported": hashes,
        "model": model and last_part(model),
        "layers": sorted(first.words),
        "sites": [first.sites[layer] for layer in sorted(first.words)],
        "depth": depth,
        "order": order,
        "position": position,
        "dtype": first.dtype,
        "rows": hash_of(all_ids),
        **identity_of(last_entry),
    }
    sources = [{"file": path.name, "sha256": digest} for path, digest in zip(paths, hashes, strict=True)]
    return write_store(
        out,
        list(zip(parts, paths, ids, strict=True)),
        identity=identity,
        depth=highest if depth is None else depth,
        notes={"imported": sources, "rows_from": [str(path.resolve()) for path in row_paths]} | _model(model),
        report=report,
    )


def _model(name: str | None) -> dict[str, Any]:
    return {} if name is None else {"model": name}


def _listed(files: Files) -> list[Path]:
    return [Path(files)] if isinstance(files, Path | str) else [Path(file) for file in files]


def _refuse_unlike(parts: list[Layers], paths: list[Path]) -> None:
    for part, path in zip(parts[1:], paths[1:], strict=True):
        for what, own, others in (
            ("layers", sorted(part.words), sorted(parts[0].words)),
            ("width", part.width, parts[0].width),
            ("dtype", part.dtype, parts[0].dtype),
        ):
            if own != others:
                raise InputError(f"{path}: {what} {own}, but {others} in {paths[0]}: one store has one")
