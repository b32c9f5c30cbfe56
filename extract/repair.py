"""Repair: the shards of a store that are lost or damaged are made again from the same model and rows."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.files import remove_abandoned
from w2s_probes.manifest import Manifest, Shard, differing_fields
from w2s_probes.shards import NAME, write_shard
from w2s_probes.verification import manifest_faults, shard_faults

from .checkpoints import Trust
from .encoding import Encoding
from .extractor import Extraction
from .loading import Placement
from .models import ModelSource
from .rows import read_rows

Report = Callable[[int, int], None]  # shards made, shards to make


def repair(
    path: Path | str,
    *,
    model: str | None = None,
    rows: pd.DataFrame | None = None,
    trust: Trust | None = None,
    placement: Placement | None = None,
    report: Report = lambda done, total: None,
) -> list[str]:
    """Make a finished store's bad shards again, and remove files that it does not list; the files made.

    Model and rows are those that the manifest's notes name, unless given. Each shard is replaced when its
    successor is whole, so that a kill leaves a store no worse than it was.

    Raises InputError for an unfinished store, and where model or rows are not those that the store was made from.
    """
    path = Path(path)
    manifest = Manifest.read(path)
    if not manifest.shards and manifest.rows:
        raise InputError(f"{path}: not finished: give the same `w2s extract` again")
    if problems := manifest_faults(path, manifest):
        raise InputError(f"{problems[0]} It cannot say what to make again: extract anew")
    _remove_unlisted(path, manifest)
    bad = [shard for shard in manifest.shards if shard_faults(path, manifest, shard)]
    if not bad:
        return []
    plan = plan_of(path, manifest, model=model, rows=rows, trust=trust)
    if placement is None:
        placement = Placement(batch_tokens=manifest.notes.get("batch_tokens"))
    made: list[str] = []
    for layers in sorted({tuple(shard.layers) for shard in bad}):
        engine = plan.engine(placement, layers)
        for shard in (s for s in bad if tuple(s.layers) == layers):
            report(len(made), len(bad))
            chosen = slice(shard.start, shard.stop)
            part = plan.rows.iloc[chosen]
            encoded = plan.encoding.encode(plan.source.tokenizer, part["id"].tolist(), part["text"].tolist())
            name = NAME.fullmatch(Path(shard.file).name)
            number = int(name["part"]) if name else 0
            file = write_shard(
                (path / shard.file).parent, number, plan.content(engine, encoded, chosen), manifest.dtype, manifest.key
            )
            manifest = _replaced(path, manifest, shard, file)
            made.append(str(file))
    report(len(made), len(bad))
    return made


def plan_of(
    path: Path, manifest: Manifest, *, model: str | None, rows: pd.DataFrame | None, trust: Trust | None = None
) -> Extraction:
    """The extraction that a store came from; InputError where model or rows are not the same any more."""
    identity = manifest.identity
    name, files = model or manifest.notes.get("model"), manifest.notes.get("rows_from")
    if name is None or (rows is None and not files):
        raise InputError(f"{path}: its manifest does not say which model and rows it was made from: give both")
    weights = str(identity["weights"])
    revision = weights.rpartition("@")[2] if weights.startswith("hub:") else None
    source = ModelSource.find(name, revision=revision, blocks=identity["blocks"], trust=trust)
    table = rows if rows is not None else read_rows(*(files or []))
    encoding = Encoding(identity["max_length"], identity["truncation"], identity["template"])
    plan = Extraction(
        source, table, sorted(manifest.sites), identity["position"], manifest.dtype, encoding, identity["quantization"]
    )
    if plan.identity != identity:
        raise InputError(
            f"{path}: was made from something else ({differing_fields(plan.identity, identity)}): give the model and "
            "rows that it was made from"
        )
    return plan


def _replaced(path: Path, manifest: Manifest, old: Shard, file: Path) -> Manifest:
    name = NAME.fullmatch(file.name)
    assert name is not None  # we named it
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
    folders: Sequence[Path] = [path, *{file.parent for file in listed if file.parent.is_dir()} - {path}]
    for folder in folders:
        remove_abandoned(folder)
        for file in folder.iterdir():
            if NAME.fullmatch(file.name) and file not in listed:
                file.unlink()
