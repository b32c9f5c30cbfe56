"""Pushing plain files and folders, such as labels and reports: as they are, with their checksums beside them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import InputError, preview
from ..io.files import sha256
from ..progress import Progress, silent
from ..store.manifest import MANIFEST
from ..store.shards import NAME
from .address import Address
from .checksum_lists import ONE_SUM, STORES, SUMS, UNFINISHED, as_text, is_usable, read_sums
from .delivery import Delivery
from .hub_folder import beside, remote_folder
from .remote_folder import RemoteFolder
from .remote_store import stores_below
from .scratch import scratch_folder

OWN = (
    MANIFEST,
    STORES,
    SUMS,
    UNFINISHED,
)  # by which a store, several or a folder are known: never a single file's name


def push_files(place: Path, address: Address, *, force: bool = False, report: Progress = silent) -> Delivery:
    """Bring a file or a folder over; InputError where files there have other content, unless `force` replaces them."""
    if place.is_dir():
        folder = remote_folder(address)
        files, sums = {path.relative_to(place).as_posix(): path for path in _below(place)}, SUMS
        there = folder.files()
        refuse_file(folder, there)
        if MANIFEST in there or any(NAME.fullmatch(name) for name in there):
            raise InputError(f"{folder.address}: holds a store or a part of one: give another address, or delete it")
        others = [] if SUMS in there or UNFINISHED in there else [name for name in there if name not in files]
        if STORES in others or stores_below(others):
            raise InputError(f"{folder.address}: holds several stores: give another address, or delete them")
    else:
        folder, name = beside(address)
        if name in OWN or NAME.fullmatch(name):
            raise InputError(
                f"{address}: {name} is the name of a file that a store, or a pushed folder, has of its own: give the "
                "file another name there, or push the folder that it is of"
            )
        files, sums = {name: place}, name + ONE_SUM
        there = {name: size for name in files if (size := folder.size(name)) is not None}
        if not there and folder.below(name).is_folder():
            raise InputError(
                f"{address}: is a folder there, and {place} a file: give {address}/ to have it put into that, or "
                "another address"
            )
    if unfit := [name for name in (*files, sums) if not is_usable(name)]:
        raise InputError(f"{place}: {preview(unfit, 1)} is no name for a list of checksums: rename it")
    if not files:
        raise InputError(f"{place}: holds no files to push")
    wanted, listed = {name: sha256(path) for name, path in files.items()}, read_sums(folder, sums)
    lacking = [
        name for name in files if force or not _is_there(folder, name, wanted[name], files[name], there, listed)
    ]  # with `force` all, as what is there may be damaged
    other = sorted({name for name in lacking if name in there and name in listed} | listed.keys() - wanted.keys())
    unlisted = [name for name in lacking if name in there and name not in listed and UNFINISHED not in there]
    if not force and (other or unlisted):
        raise InputError(
            f"{folder.address}: holds other files ({preview([*other, *unlisted])}): give another address, or --force "
            "to have them replaced"
        )
    with scratch_folder() as scratch:
        written = scratch / "sums"
        written.write_text(as_text(wanted), encoding="utf-8")
        if lacking or wanted != listed:
            marked = UNFINISHED if place.is_dir() else None
            _send(folder, {name: files[name] for name in lacking}, (sums, written), marked, report)
    sent = sum(files[name].stat().st_size for name in lacking)
    return Delivery(str(address), place, len(files), len(lacking), sent)


def refuse_file(folder: RemoteFolder, there: Mapping[str, int]) -> None:
    """InputError where what is to be a folder is a file there."""
    if not there and folder.is_file():
        raise InputError(f"{folder.address}: is a file there: give another address, or delete it")


def _send(
    folder: RemoteFolder, files: dict[str, Path], sums: tuple[str, Path], marked: str | None, report: Progress
) -> None:
    """Bring files over, then their list; `marked` is a file that stands there meanwhile."""
    if folder.atomic:
        folder.put({**files, sums[0]: sums[1]}, "Files and their checksums")
        report("files", len(files), len(files))
        return
    if marked:
        folder.put({marked: sums[1]}, "Begin")
    for done, (name, path) in enumerate(files.items(), start=1):
        folder.put({name: path}, f"Add {name}")
        report(name, done, len(files))
    folder.put({sums[0]: sums[1]}, "Checksums")
    if marked:
        folder.remove([marked])


def _is_there(
    folder: RemoteFolder, name: str, wanted: str, path: Path, there: Mapping[str, int], listed: Mapping[str, str]
) -> bool:
    """Whether a file is there with this content; one that no list has yet is read for that."""
    if there.get(name) != path.stat().st_size:
        return False
    return (listed[name] if name in listed else folder.sha256(name)) == wanted


def _below(folder: Path) -> Iterator[Path]:
    """The files of a folder at any depth, but for those in or under a name that begins with a dot, and its list."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in (SUMS, UNFINISHED):
            continue
        if path.is_dir():
            yield from _below(path)
        elif path.is_file():
            yield path
