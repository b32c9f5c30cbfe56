"""What an address holds: a store, one that was pushed half-way, plain files, or nothing."""

import tempfile
from pathlib import Path

from ..errors import InputError
from ..store.manifest import MANIFEST, Manifest
from .remote_folder import RemoteFolder


def remote_manifest(folder: RemoteFolder, *, force: bool = False) -> Manifest | None:
    """The manifest at an address; None where there is none, and with `force` also where it cannot be read."""
    found = folder.read(MANIFEST)
    if found is None:
        return None
    with tempfile.TemporaryDirectory(prefix="w2s-manifest-") as scratch:
        (Path(scratch) / MANIFEST).write_bytes(found)
        try:
            return Manifest.read(Path(scratch))
        except InputError as error:
            if force:
                return None
            said = str(error).replace(f"{scratch}/", "").removesuffix(": extract again")
            raise InputError(f"{folder.address}: {said}: push it again, by --force") from error
