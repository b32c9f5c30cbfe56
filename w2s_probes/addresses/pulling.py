"""Pulling: a store, several, or plain files, from an address to here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io.files import is_address
from ..progress import Progress, silent
from ..store.layers import LayerSpec
from ..store.manifest import MANIFEST
from ..store.shards import NAME
from .address import Address
from .delivery import Delivery
from .file_pulling import pull_file, pull_folder
from .folder_of_stores import pull_stores, stores_at
from .hub_folder import remote_folder
from .remote_store import remote_manifest
from .store_pulling import pull_store


def pull(
    address: str,
    out: Path | str,
    *,
    layers: LayerSpec | None = None,
    force: bool = False,
    options: Mapping[str, Any] | None = None,
    report: Progress = silent,
) -> Delivery:
    """Bring a store, a file or a folder from an address to the place `out`.

    Of a store `layers` are brought, all unless given, beside those of it that are at `out` already. Each file is
    compared with its checksum before it takes its name, and the manifest goes last: what a pull that was cut short
    has left is not brought again, and is no store until it is whole. The result is what an extraction of these
    layers alone would be called: the same key. Several stores at an address come into folders of their names.

    `options` are fsspec's for the address. Raises InputError for layers that are not there, a checksum that differs,
    and another store or other files at `out`; `force` has plain files replaced.
    """
    there, place = Address.of(address, options), Path(out)
    if is_address(out):
        raise InputError(f"{there}: give a place on this machine to bring it to; `w2s push` brings things to addresses")
    folder = remote_folder(there)
    manifest = remote_manifest(folder)
    if manifest is None:
        files = folder.files()
        if names := stores_at(folder, files):
            return pull_stores(folder, names, place, layers=layers, report=report)
        if half := [name for name in files if NAME.fullmatch(name)]:
            raise InputError(
                f"{there}: holds {len(half):,} file{'s' * (len(half) != 1)} of a store but no {MANIFEST}: a push that "
                "has not come to its end; give that `w2s push` again"
            )
        if layers is not None:
            raise InputError(f"{there}: no store there (no {MANIFEST}): correct the address, or leave out --layers")
        if files:
            return pull_folder(folder, files, place, force=force, report=report)
        if not folder.is_file():
            raise InputError(f"{there}: nothing there, neither a store nor a file: correct the address")
        return pull_file(there, place, force=force, report=report)
    return pull_store(folder, manifest, place, layers, report)
