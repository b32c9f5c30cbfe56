"""Pushing: a store, several, or plain files, from here to an address."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io.files import is_address, refused_address
from ..progress import Progress, silent
from ..store.activation_store import ActivationStore
from ..store.manifest import MANIFEST
from .address import Address
from .delivery import Delivery
from .file_pushing import push_files
from .folder_of_stores import push_stores, stores_inside
from .hub_folder import remote_folder
from .store_pushing import StorePush


def push(
    source: Path | str,
    address: str,
    *,
    force: bool = False,
    options: Mapping[str, Any] | None = None,
    report: Progress = silent,
) -> Delivery:
    """Bring a store, a file or a folder to an address that fsspec reaches: `hf://`, `s3://`, `file://`, ...

    A store goes a layer at a time, in files of one layer each, whose names hold their checksums: what a push that was
    cut short has left there is not sent again. Its manifest goes last, so that half a store is never taken for a
    whole one. Of a folder of stores and nothing else, as of several named positions, each goes as a store, into a
    folder of its name. Other folders go as they are, with their checksums in SHA256SUMS; files and folders whose names
    begin with a dot stay here.

    `options` are fsspec's for the address, credentials among them; without them each package looks for its own.
    Raises InputError where the address holds what this push would drop, unless `force` has that replaced.
    """
    place, there = Path(source), Address.of(address, options)
    if is_address(place) and not place.exists():
        raise refused_address(place)
    if not place.exists():
        raise InputError(f"{place}: no such file, folder or store")
    if place.is_file() and address.endswith("/"):  # a folder's, as for `cp`
        there = Address.of(f"{address}{place.name}", options)
    _refuse_itself(place, there)
    if (place / MANIFEST).exists():
        return StorePush(ActivationStore.open(place), remote_folder(there), report, force=force).run()
    if names := stores_inside(place):
        return push_stores(place, names, there, force=force, report=report)
    return push_files(place, there, force=force, report=report)


def _refuse_itself(place: Path, there: Address) -> None:
    """InputError where a file or folder would go to where it lies, or into itself."""
    if there.protocol == "file" and "::" not in there.text:
        target, own = Path(there.open()[1]).resolve(), place.resolve()
        if target == own or own in target.parents:
            raise InputError(f"{there}: is {place} itself, or lies in it: give an address outside of it")
