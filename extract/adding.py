"""Adding rows or layers to a finished store. The new part becomes a store of its own inside it, and the manifest lists
it only when it is whole: a reader meanwhile, or after a kill, sees the store as it was."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_probes.errors import InputError, preview
from w2s_probes.progress import RowProgress, silent
from w2s_probes.share import WHOLE, Share
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.manifest import Manifest, Shard, differing_fields

from .extractor import Extraction
from .models.loading import Placement
from .row_files import rows_hash


def add(
    plan: Extraction,
    out: Path | str,
    *,
    placement: Placement | None = None,
    share: Share = WHOLE,
    notes: Mapping[str, Any] | None = None,
    progress: RowProgress = silent,
    check: bool = True,
) -> ActivationStore | None:
    """Add to the store at `out` those of the plan's rows and layers that it lacks, and open it.

    The plan's rows must hold the store's, unchanged; they keep their places, and new ones follow. New rows get
    every layer. The result has the key that a single extraction of it all would have. None while other processes'
    shares are missing. Raises InputError where anything but rows and layers differs.
    """
    store = ActivationStore.open(out)
    old, new = _split(plan, store)
    layers = sorted(set(plan.layers) | set(store.layers))
    whole = replace(plan, rows=pd.concat([old, new], ignore_index=True), layers=layers)
    if whole.key == store.key:
        return store
    pieces, parts_lack = [], False
    if more := [layer for layer in layers if layer not in store.layers]:
        pieces.append((replace(plan, rows=old, layers=more), 0))
    if len(new):
        pieces.append((replace(plan, rows=new, layers=layers), len(old)))
    shards = list(store.manifest.shards)
    for piece, start in pieces:
        name = f"added-{piece.key[:12]}"
        added = piece.run(
            store.path / name, placement=placement, share=share, notes=notes, progress=progress, check=check
        )
        if added is None:
            parts_lack = True
        else:
            shards += [_moved(shard, name, start) for shard in added.manifest.shards]
    return None if parts_lack else _list(store, whole, shards, notes or {})


def _split(plan: Extraction, store: ActivationStore) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The plan's rows that are stored, in the store's order, and the others; InputError if it is another store."""
    identity = store.manifest.identity
    same = plan.identity | {name: identity.get(name) for name in ("rows", "layers")}
    if same != identity:
        raise InputError(f"{store.path}: cannot be added to ({differing_fields(same, identity)})")
    rows = plan.rows.set_index("id", drop=False)
    lacking = [name for name in store.ids if name not in rows.index]
    if lacking:
        raise InputError(
            f"{store.path}: {len(lacking)} of its rows are not among those given: {preview(lacking)}: give its own "
            "--rows again, beside the new ones"
        )
    old = rows.loc[store.ids.tolist()].reset_index(drop=True)
    if rows_hash(old) != identity["rows"]:
        raise InputError(f"{store.path}: texts of its rows have changed since it was made: give another --out")
    return old, rows[~rows.index.isin(store.ids)].reset_index(drop=True)


def _moved(shard: Shard, folder: str, start: int) -> Shard:
    return shard.model_copy(update={"file": f"{folder}/{shard.file}", "start": start + shard.start})


def _list(store: ActivationStore, whole: Extraction, shards: list[Shard], notes: Mapping[str, Any]) -> ActivationStore:
    if Manifest.read(store.path).key not in (store.key, whole.key):
        raise InputError(f"{store.path}: another process has added to it meanwhile: give the same command again")
    manifest: Manifest = store.manifest.model_copy(
        update={
            "identity": whole.identity,
            "key": whole.key,
            "sites": whole.sites,
            "rows": len(whole.rows),
            "shards": shards,
        }
    )
    cut = sum(shard.cut for shard in manifest.shards_of(whole.layers[0]))
    added = {"model": whole.source.name, **notes, "cut_rows": cut}
    kept = store.manifest.notes | added
    there = set(whole.rows["id"])
    left_out = [name for name in dict.fromkeys([*kept.pop("left_out", []), *whole.left_out]) if name not in there]
    kept |= {"left_out": left_out} if left_out else {}
    manifest = manifest.model_copy(update={"notes": kept})
    manifest.write(store.path)
    return ActivationStore.open(store.path)
