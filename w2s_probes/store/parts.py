"""The parts of a store that is being written: each a file whose name tells its number and checksum.

Rows are cut into parts in advance. Any process may write any part, without asking, waiting or locking. Two that write
the same part end with one file where their bits agree; where they do not, with two, of which all readers take the same.
"""

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from .manifest import Manifest, Shard
from .shards import NAME, Header, read_header


def part_count(manifest: Manifest) -> int:
    """The number of parts that a store's rows are cut into."""
    return -(-manifest.rows // manifest.shard_rows)


def part_rows(manifest: Manifest, part: int) -> slice:
    """The rows of a part."""
    return slice(part * manifest.shard_rows, min((part + 1) * manifest.shard_rows, manifest.rows))


def parts_there(
    path: Path, manifest: Manifest, ids: Sequence[str] | None = None, known: dict[int, Shard] | None = None
) -> dict[int, Shard]:
    """The finished parts on disk, by number.

    A file counts if it is closed HDF5 of this store's key, layers and, where given, row ids; its checksum is left to
    `verify`. Of a listed file the size must be right too. Parts `known` from an earlier look are not read again.
    """
    found = dict(known or {})
    listed = {shard.file: shard.bytes for shard in manifest.shards}
    for file in sorted(path.iterdir()) if path.is_dir() else ():
        name = NAME.fullmatch(file.name)
        if not name or (part := int(name["part"])) in found or part >= part_count(manifest):
            continue
        size = file.stat().st_size
        if size != listed.get(file.name, size):  # no longer as it was when the store was finished
            continue
        rows = part_rows(manifest, part)
        try:
            header = read_header(file)
        except InputError:  # damaged: the part is missing
            continue
        if _fits(header, manifest, rows, ids):
            found[part] = Shard(
                file=file.name,
                start=rows.start,
                rows=rows.stop - rows.start,
                layers=header.layers,
                bytes=size,
                checksum=name["checksum"],
                cut=header.cut,
            )
    return found


def _fits(header: Header, manifest: Manifest, rows: slice, ids: Sequence[str] | None) -> bool:
    same = header.key == manifest.key and set(header.layers) == set(manifest.sites)
    if ids is not None:
        return same and header.ids == list(ids[rows])
    return same and len(header.ids) == rows.stop - rows.start
