"""Repair: lost or damaged shards of a store are made again from the same model and rows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.io.files import remove_abandoned
from w2s_probes.progress import Progress, silent
from w2s_probes.store.manifest import Manifest, Shard, differing_fields, is_as_written
from w2s_probes.store.origin import pull_again, read_origin
from w2s_probes.store.shards import NAME, read_header, write_shard
from w2s_probes.store.verification import manifest_faults, shard_faults

from .encoding import Encoding
from .extractor import Extraction
from .models.checkpoints import Trust
from .models.fits import refuse_too_large
from .models.loading import Placement
from .models.source import NDIF, ModelSource
from .planned_rows import rows_at
from .positions import fields_of
from .row_files import read_rows
from .site import site_of_identity

LOADED = "give --offload, which reads one block at a time"


def repair(
    path: Path | str,
    *,
    model: str | None = None,
    rows: pd.DataFrame | None = None,
    trust: Trust | None = None,
    placement: Placement | None = None,
    progress: Progress = silent,
) -> list[str]:
    """Make a finished store's bad shards again, then remove shards that it does not list; returns the files written.

    Model and rows are those that the manifest's notes name, unless given, and so are the fields that `placement`
    leaves open: on the same device the shards come out bit for bit as they were. With its `offload` the model is read
    block by block, all lost rows together. Each shard is replaced when its successor is whole, so that a kill leaves a
    store no worse than it was.

    Raises InputError for an unfinished store, where model or rows are not those that the store was made from, and for
    a model that does not fit into memory and is not offloaded.
    """
    path = Path(path)
    manifest = Manifest.read(path)
    if not manifest.shards and manifest.rows:
        raise InputError(f"{path}: not finished: give the same `w2s extract` again")
    if problems := manifest_faults(path, manifest):
        raise InputError(problems[0])
    bad = [shard for shard in manifest.shards if shard_faults(path, manifest, shard)]
    if folders := [path / shard.file for shard in bad if (path / shard.file).is_dir()]:
        raise InputError(f"{folders[0]}: is a folder, and a shard is to be there: move it away, and repair again")
    written: list[str] = []
    if bad:
        sound = [shard for shard in manifest.shards if shard not in bad]
        plan = plan_of(path, manifest, model=model, rows=rows, trust=trust, sound=sound)
    for folder, layers in sorted({_made_with(shard) for shard in bad}):
        piece, notes = _piece(plan, manifest, folder, layers), _notes(path, manifest, folder)
        here = placement or Placement()
        there = replace(
            here,
            attn=here.attn or notes.get("attn"),
            batch_tokens=here.batch_tokens or notes.get("batch_tokens"),
        )
        if there.offload is None:
            refuse_too_large(plan.source, plan.dtype, there.device_map, plan.quantization, LOADED)
        lost = [shard for shard in bad if _made_with(shard) == (folder, layers)]
        parts = (plan.part(at, slice(shard.start, shard.stop)) for at, shard in enumerate(lost))
        progress("shards", len(written), len(bad))
        for read in piece.reader(there).read_parts(parts):
            shard, content = lost[read.part.number], plan.content(read.part, dict(read.layers))
            name = NAME.fullmatch(Path(shard.file).name)
            file = write_shard(path / folder, int(name["part"]) if name else 0, content, manifest.dtype, piece.key)
            manifest = _replaced(path, manifest, shard, file)
            written.append(str(file))
            progress("shards", len(written), len(bad))
    _remove_unlisted(path, manifest)
    return written


def plan_of(
    path: Path,
    manifest: Manifest,
    *,
    model: str | None,
    rows: pd.DataFrame | None,
    trust: Trust | None = None,
    sound: Sequence[Shard] | None = None,
) -> Extraction:
    """The extraction that a store came from; InputError where model or rows are not the same any more.

    `sound` are the shards whose ids can be believed, all unless given: rows that were added stand in the store after
    those that it had, wherever they stand in their files.
    """
    identity, origin = manifest.identity, read_origin(path)
    name, files = model or manifest.notes.get("model"), manifest.notes.get("rows_from") or []
    weights = str(identity.get("weights"))
    if origin is not None:  # whose notes name files of another machine
        pulled = f"{path}: was pulled from {origin}"
        again = pull_again(path, origin, [*manifest.sites])
        if "imported" in identity or weights.startswith(NDIF):
            raise InputError(f"{pulled}, and cannot be made from a model here: pull again: {again}")
        if name is None or (rows is None and not (files and all(Path(file).is_file() for file in files))):
            raise InputError(f"{pulled}: give --model and --rows, or pull again: {again}")
    if "imported" in identity:
        raise InputError(f"{path}: was imported, not extracted: delete it and give the same `w2s import` again")
    if name is None or (rows is None and not files):
        raise InputError(f"{path}: its manifest does not say which model and rows it was made from: give both")
    if weights.startswith(NDIF):
        raise InputError(
            f"{path}: was made on NDIF, and its model is not here: delete the damaged shards and give the same "
            "`w2s extract --remote` again"
        )
    revision = weights.rpartition("@")[2] if weights.startswith("hub:") else None
    try:
        source = ModelSource.find(name, revision=revision, blocks=identity["blocks"], trust=trust)
    except InputError as error:
        if origin is None or model is not None:
            raise
        raise InputError(f"{pulled}, and {error}: give --model and --rows, or pull again: {again}") from error
    fields = fields_of([str(identity["position"])])
    table = rows if rows is not None else read_rows(*files, fields=fields, conversations=True)
    if left_out := manifest.notes.get("left_out"):
        table = table[~table["id"].isin(left_out)].reset_index(drop=True)
    table = _in_order(path, manifest, manifest.shards if sound is None else sound, table)
    encoding = Encoding.of_identity(identity, source.tokenizer, str(path))
    layers, position = sorted(manifest.sites), str(identity["position"])
    (table,), _ = rows_at(table, [position], source, encoding)
    how = (manifest.dtype, encoding, identity["quantization"], site_of_identity(identity))
    plan = Extraction(source, table, layers, position, *how)
    if plan.identity != identity:
        raise InputError(
            f"{path}: was made from something else ({differing_fields(plan.identity, identity)}): give the model and "
            "rows that it was made from"
        )
    return plan


def _in_order(path: Path, manifest: Manifest, sound: Sequence[Shard], table: pd.DataFrame) -> pd.DataFrame:
    """The table in the store's order as far as sound shards tell it; rows of other shards in the table's own order."""
    known: dict[int, str] = {}
    for shard in sound:
        known |= zip(range(shard.start, shard.stop), read_header(path / shard.file).ids, strict=False)
    places = pd.Series(range(len(table)), index=table["id"])
    if not set(known.values()) <= set(places.index):
        return table  # its hash will not be right
    unplaced = iter(places.drop(list(known.values())))
    order = [int(places[known[row]] if row in known else next(unplaced, -1)) for row in range(manifest.rows)]
    return table if -1 in order else table.iloc[order].reset_index(drop=True)


def _folder(shard: Shard) -> str:
    return Path(shard.file).parent.as_posix()


def _made_with(shard: Shard) -> tuple[str, tuple[int, ...]]:
    """The folder and the layers of a shard: what was pulled has several files of one layer each in one folder."""
    return _folder(shard), tuple(shard.layers)


def _piece(plan: Extraction, manifest: Manifest, folder: str, layers: Sequence[int]) -> Extraction:
    """The extraction that wrote these shards of the store: the first one, or one that added rows or layers."""
    shards = [shard for shard in manifest.shards if _made_with(shard) == (folder, tuple(layers))]
    rows = plan.rows.iloc[min(shard.start for shard in shards) : max(shard.stop for shard in shards)]
    return replace(plan, rows=rows, layers=list(layers))


def _notes(path: Path, manifest: Manifest, folder: str) -> dict[str, Any]:
    """The notes of the extraction that wrote a folder's shards."""
    if is_as_written(path / folder):
        return Manifest.read(path / folder).notes
    return manifest.notes  # of what was added, only the shards are needed


def _replaced(path: Path, manifest: Manifest, old: Shard, file: Path) -> Manifest:
    name = NAME.fullmatch(file.name)
    assert name is not None  # a name of our own
    new = old.model_copy(
        update={
            "file": file.relative_to(path).as_posix(),
            "bytes": file.stat().st_size,
            "checksum": name["checksum"],
        }
    )
    shards = [new if shard == old else shard for shard in manifest.shards]
    manifest = manifest.model_copy(update={"shards": shards})
    manifest.write(path)
    if new.file != old.file:
        (path / old.file).unlink(missing_ok=True)
    return manifest


def _remove_unlisted(path: Path, manifest: Manifest) -> None:
    listed = {path / shard.file for shard in manifest.shards}
    below = {file.parent for file in listed if file.parent.is_dir() and not file.parent.is_symlink()}
    folders: Sequence[Path] = [path, *below - {path}]  # not what lies behind a link: it may be another's
    for folder in folders:
        remove_abandoned(folder)
        for file in folder.iterdir():
            if NAME.fullmatch(file.name) and file not in listed:
                file.unlink()
