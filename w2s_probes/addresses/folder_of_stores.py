"""A folder of stores, such as `w2s extract` makes of several named positions: each goes, and comes, as a store."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

from ..errors import InputError, preview
from ..io.files import is_plain
from ..io.json_files import parse_json
from ..progress import Progress, silent
from ..store.activation_store import ActivationStore
from ..store.layers import LayerSpec
from ..store.manifest import MANIFEST, Manifest
from ..store.shards import NAME
from .address import Address
from .checksum_lists import STORES, SUMS, UNFINISHED
from .delivery import Delivery
from .file_pushing import refuse_file
from .hub_folder import remote_folder
from .remote_folder import RemoteFolder
from .remote_store import remote_manifest, stores_below
from .scratch import scratch_folder
from .store_card import CARD, MARK, stores_card
from .store_pulling import layers_there, pull_store
from .store_pushing import StorePush, published


def stores_inside(place: Path) -> list[str]:
    """The names of the stores in a folder that holds these and nothing else that is not hidden; else none."""
    if not place.is_dir():
        return []
    inside = [path for path in place.iterdir() if not path.name.startswith(".")]
    return sorted(path.name for path in inside) if all((path / MANIFEST).is_file() for path in inside) else []


def stores_at(folder: RemoteFolder, there: Mapping[str, int]) -> list[str]:
    """The names of the stores at an address: those of its list, or without one of the folders that it consists of.

    None where other files lie there, too, which is a plain folder. InputError for half a store.
    """
    if SUMS in there or UNFINISHED in there:
        return []
    if STORES in there and (listed := _listed(folder)):
        return listed
    found = stores_below(there)
    if half := [name for name in found if f"{name}/{MANIFEST}" not in there]:
        raise InputError(
            f"{folder.address}/{half[0]}: holds a part of a store but no {MANIFEST}: a push that has not come to its "
            "end; give that `w2s push` again"
        )
    others = [name for name in there if name.split("/")[0] not in found and name != CARD and name[0] != "."]
    return [] if others else found


def push_stores(
    place: Path, names: Sequence[str], address: Address, *, force: bool = False, report: Progress = silent
) -> Delivery:
    """Bring each store of a folder into a folder of its name at the address; others that are there stay.

    What any of them is refused for is said before the first is sent. Their list goes first, so that a push that was
    cut short between two of them is not taken for a whole one.
    """
    if "::" in address.text:
        raise InputError(f"{address}: several stores go to an address of one link: give such a one, or push each alone")
    root = remote_folder(address)
    there = root.files()
    refuse_file(root, there)
    if others := [name for name in there if name in (SUMS, UNFINISHED, MANIFEST) or NAME.fullmatch(name)]:
        raise InputError(f"{address}: holds a store or files pushed as such ({others[0]}): give another address")
    pushes = {
        name: StorePush(
            ActivationStore.open(place / name),
            root.below(name),
            _prefixed(name, report),
            force=force,
        )
        for name in names
    }
    known = _listed(root) if STORES in there else []
    more = [name for name in known if name not in pushes]
    manifests = {name: published(push.store.manifest, [], address) for name, push in pushes.items()}
    kept = {name: remote_manifest(root.below(name)) for name in more}
    remarks = _describe(root, manifests | {name: manifest for name, manifest in kept.items() if manifest}, [*more])
    done = [push.run() for push in pushes.values()]
    return _together(str(address), place, done, remarks)


def pull_stores(
    folder: RemoteFolder, names: Sequence[str], out: Path, *, layers: LayerSpec | None, report: Progress
) -> Delivery:
    """Bring each store at an address, or some layers of each, into a folder of its name."""
    if (out.exists() and not out.is_dir()) or (out / MANIFEST).exists():
        raise InputError(f"{out}: is a {'store' if out.is_dir() else 'file'}; give a folder for several stores")
    folders = {name: folder.below(name) for name in names}
    manifests: dict[str, Manifest] = {}
    for name, inside in folders.items():
        manifest = remote_manifest(inside)
        if manifest is None:
            raise InputError(
                f"{inside.address}: no store there, though {STORES} names it: a push that has not come to its end; "
                "give that `w2s push` again, or pull another by its own address"
            )
        layers_there(inside, manifest, layers)
        manifests[name] = manifest
    done = [
        pull_store(inside, manifests[name], out / name, layers, _prefixed(name, report))
        for name, inside in folders.items()
    ]
    return _together(str(folder.address), out, done)


def _describe(root: RemoteFolder, manifests: Mapping[str, Manifest], unfinished: Sequence[str]) -> tuple[str, ...]:
    """Bring over the list of stores and their card, unless they are there as they are to be."""
    names = sorted({*manifests, *unfinished})
    card = root.read(CARD)
    foreign = card is not None and MARK.encode() not in card
    with scratch_folder() as place:
        texts = {STORES: json.dumps({"stores": names}, ensure_ascii=False) + "\n"}
        texts |= {} if foreign else {CARD: stores_card(manifests, root.address)}
        changed = {}
        for name, text in texts.items():
            if root.read(name) != text.encode():
                (place / name).write_text(text, encoding="utf-8")
                changed[name] = place / name
        if changed:
            root.put(changed, f"The stores {preview(names, 6)}")
    return (f"{root.address}: its {CARD} is not ours, and is left as it is",) if foreign else ()


def _listed(folder: RemoteFolder) -> list[str]:
    """The names in the list of stores at an address; none where it is another program's file."""
    value = parse_json(folder.read(STORES) or b"", f"{folder.address}/{STORES}")
    names = value.get("stores") if isinstance(value, dict) else None
    return sorted(names) if _are_names(names) else []


def _are_names(names: object) -> TypeGuard[list[str]]:
    return isinstance(names, list) and all(
        isinstance(name, str) and is_plain(name) and name[0] != "." for name in names
    )


def _prefixed(name: str, report: Progress) -> Progress:
    return lambda doing, done, total: report(f"{name}, {doing}", done, total)


def _together(address: str, place: Path, done: Sequence[Delivery], remarks: tuple[str, ...] = ()) -> Delivery:
    return Delivery(
        address,
        place,
        sum(each.files for each in done),
        sum(each.sent for each in done),
        sum(each.bytes for each in done),
        (*remarks, *(remark for each in done for remark in each.remarks)),
    )
