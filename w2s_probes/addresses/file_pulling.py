"""Pulling plain files and folders, and fetching one file whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError, preview
from ..io.files import replacing, sha256
from ..progress import Progress, silent
from .address import Address
from .checksum_lists import ONE_SUM, SUMS, UNFINISHED, is_usable, read_sums
from .delivery import Delivery
from .hub_folder import beside
from .remote_folder import RemoteFolder


def pull_folder(
    folder: RemoteFolder, there: Mapping[str, int], out: Path, *, force: bool = False, report: Progress = silent
) -> Delivery:
    """Bring over the files that a folder's list of checksums names; without one, all that lie there, but hidden ones.

    InputError for a push that is not finished, and where files here have other content, unless `force` replaces them.
    """
    if UNFINISHED in there:
        raise InputError(f"{folder.address}: a push there has not come to its end: give that `w2s push` again")
    listed = read_sums(folder, SUMS)
    if lost := sorted(listed.keys() - there.keys()):
        raise InputError(f"{folder.address}: {preview(lost, 1)} is in its {SUMS}, but not there: push it again")
    if unfit := [name for name in listed if not is_usable(name)]:
        raise InputError(f"{folder.address}/{SUMS}: {preview(unfit, 1)} is no name of a file in a folder")
    names = sorted(listed or filter(is_usable, there))
    if not names:
        raise InputError(f"{folder.address}: holds no files")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder")
    return _pull(folder, {name: out / name for name in names}, there, listed, out, force, report)


def pull_file(address: Address, out: Path, *, force: bool = False, report: Progress = silent) -> Delivery:
    """Bring over one file: to a path, or under its own name into a folder that is there."""
    folder, name = beside(address)
    target = out / name if out.is_dir() else out
    size = folder.size(name)
    if size is None or not is_usable(name):
        raise InputError(f"{address}: no file of a usable name there")
    listed = read_sums(folder, name + ONE_SUM)
    return _pull(folder, {name: target}, {name: size}, listed, target, force, report)


def fetch(folder: RemoteFolder, name: str, target: Path, size: int, checksum: str | None) -> None:
    """Bring one file over, under a temporary name until its size and the beginning of its SHA-256 are as said."""
    with replacing(target) as temporary:
        folder.get(name, temporary)
        if (got := temporary.stat().st_size) != size:
            if (there := folder.size(name)) not in (None, size):
                raise InputError(
                    f"{folder.address}/{name}: has {there:,} bytes, {size:,} are listed: cut short or changed there: "
                    "push it again with --force"
                )
            raise InputError(
                f"{folder.address}/{name}: {got:,} of {size:,} bytes came over: give the same command again, which "
                "goes on from there"
            )
        if checksum is not None and not sha256(temporary).startswith(checksum):
            raise InputError(
                f"{folder.address}/{name}: its checksum is not the one listed: damaged or changed there: push it again "
                "with --force"
            )


def _pull(
    folder: RemoteFolder,
    targets: Mapping[str, Path],
    there: Mapping[str, int],
    listed: Mapping[str, str],
    out: Path,
    force: bool,
    report: Progress,
) -> Delivery:
    """Bring over files that are not here yet."""
    # A file that no list has is read for its checksum where there is one here to compare it with.
    sums = {name: listed.get(name) or folder.sha256(name) for name, target in targets.items() if target.exists()}
    here = {name for name in sums if targets[name].is_file() and sha256(targets[name]) == sums[name]}
    if other := [str(targets[name]) for name in sums if name not in here]:
        folders = [path for path in other if Path(path).is_dir()]
        if folders or not force:
            raise InputError(f"{preview(other)}: exists with other content: give another place, or --force")
    lacking = [name for name in targets if name not in here]
    for done, name in enumerate(lacking, start=1):
        fetch(folder, name, targets[name], there[name], listed.get(name))
        report(name, done, len(lacking))
    return Delivery(str(folder.address), out, len(targets), len(lacking), sum(there[name] for name in lacking))
