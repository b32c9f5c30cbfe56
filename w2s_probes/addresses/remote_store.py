"""What an address holds: a store, one that was pushed half-way, plain files, or nothing."""

from collections.abc import Iterable

from ..errors import InputError
from ..store.manifest import MANIFEST, Manifest
from ..store.shards import NAME
from .remote_folder import RemoteFolder
from .scratch import scratch_folder


def remote_manifest(folder: RemoteFolder, *, force: bool = False) -> Manifest | None:
    """The manifest at an address; None where there is none, and with `force` also where it cannot be read."""
    found = folder.read(MANIFEST)
    if found is None:
        return None
    with scratch_folder() as scratch:
        (scratch / MANIFEST).write_bytes(found)
        try:
            return Manifest.read(scratch)
        except InputError as error:
            if force:
                return None
            said = str(error).replace(f"{scratch}/", "").removesuffix(": extract again")
            raise InputError(f"{folder.address}: {said}: push it again, by --force") from error


def stores_below(names: Iterable[str]) -> list[str]:
    """The folders right in an address that hold a store or a part of one, by the names of all files there."""
    parts = [name.split("/") for name in names]
    return sorted({part[0] for part in parts if len(part) == 2 and NAME.fullmatch(part[1])})
