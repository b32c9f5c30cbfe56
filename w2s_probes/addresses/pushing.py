"""Pushing: a store, or plain files, from here to an address."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from ..errors import InputError, preview
from ..io.files import is_address, refused_address
from ..progress import Progress, silent
from ..store.activation_store import ActivationStore
from ..store.manifest import LAST_ENTRY, MANIFEST, Manifest, Shard
from .address import Address
from .checksum_lists import SUMS, UNFINISHED
from .delivery import Delivery
from .fewer_layers import LAYERS, SITES
from .file_pushing import push_files
from .hub_folder import remote_folder
from .layer_files import LayerFiles
from .remote_folder import RemoteFolder
from .remote_store import remote_manifest
from .scratch import scratch_folder
from .store_card import CARD, MARK, store_card

BY_LAYER = (LAYERS, SITES, LAST_ENTRY)  # what identities of the same rows at other layers differ in
BATCH = 1 << 30  # bytes of files that wait on this disk for one commit; a single file may be larger


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
    whole one. Other folders go as they are, with their checksums in SHA256SUMS; files and folders whose names begin
    with a dot stay here.

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
    if not (place / MANIFEST).exists():
        return push_files(place, there, force=force, report=report)
    store = ActivationStore.open(place)
    folder = remote_folder(there)
    before = remote_manifest(folder, force=force)
    return _Push(store, folder, before, report, force=force).run()


class _Push:
    """One push of a store."""

    def __init__(
        self, store: ActivationStore, folder: RemoteFolder, before: Manifest | None, report: Progress, *, force: bool
    ) -> None:
        self.store = store
        self.folder = folder
        self.before = before
        self.report = report
        self.force = force
        self.there = folder.files()
        self.sent = self.bytes = 0

    def run(self) -> Delivery:
        if others := [name for name in (SUMS, UNFINISHED) if name in self.there]:
            raise InputError(
                f"{self.folder.address}: holds files pushed as such ({others[0]}): give another address, or delete them"
            )
        if self.before is not None and not self.force:
            self._refuse_unlike(self.before)
        files = LayerFiles(self.store)
        entries: list[Shard] = []
        total = sum(len(self.store.manifest.shards_of(layer)) for layer in self.store.layers)
        kept = set() if self.before is None or self.force else set(self.before.sites)
        for layer in sorted(self.store.layers, key=lambda layer: layer not in kept):  # refused before any is sent
            entries += self._layer(files, layer, len(entries), total, keep=layer in kept)
        manifest = _published(self.store.manifest, entries, self.folder.address)
        remarks = self._describe(manifest)
        if self.before is not None:
            lost = {shard.file for shard in self.before.shards} - {shard.file for shard in entries}
            self.folder.remove(sorted(lost & self.there.keys()))
        address = str(self.folder.address)
        return Delivery(address, self.store.path, len(entries), self.sent, self.bytes, remarks)

    def _refuse_unlike(self, before: Manifest) -> None:
        """InputError where the address holds other activations, or layers that this store lacks."""
        ours = self.store.manifest
        differ = [
            name
            for name in sorted(before.identity.keys() | ours.identity.keys())
            if name not in BY_LAYER and before.identity.get(name) != ours.identity.get(name)
        ]
        both = before.sites.keys() & ours.sites.keys()
        shapes = [(m.width, m.dtype, m.rows, [m.sites[layer] for layer in sorted(both)]) for m in (before, ours)]
        if differ or shapes[0] != shapes[1]:
            raise _other_store(self.folder, f"{', '.join(differ) or 'its shape'} differ{'s' * (len(differ) < 2)}")
        if more := sorted(before.sites.keys() - ours.sites.keys()):
            raise _other_store(self.folder, f"layers {preview(more, 8)}, which this one lacks")

    def _layer(self, files: LayerFiles, layer: int, done: int, total: int, *, keep: bool) -> list[Shard]:
        """Bring over what lacks of a layer, and return the entries of all its files.

        InputError where the store there has the layer, is to `keep` it, and has other bytes.
        """
        listed = {shard.file for shard in self.before.shards_of(layer)} if self.before and keep else None
        entries: list[Shard] = []
        with scratch_folder() as scratch:
            waiting: dict[str, Path] = {}
            for shard in self.store.manifest.shards_of(layer):
                made = files.make(shard, layer, scratch)
                entries.append(made.shard)
                if listed is not None and made.shard.file not in listed:
                    raise _other_store(self.folder, f"layer {layer} with other bytes: computed on another machine?")
                # With `force` all, as what is there may be damaged.
                if not self.force and self.there.get(made.shard.file) == made.shard.bytes:
                    _drop(made.path, scratch)
                else:
                    waiting[made.shard.file] = made.path
                if sum(path.stat().st_size for path in waiting.values()) >= BATCH:
                    self._send(waiting, layer, scratch)
                self.report(f"layer {layer}", done + len(entries), total)
            self._send(waiting, layer, scratch)
        return entries

    def _send(self, waiting: dict[str, Path], layer: int, scratch: Path) -> None:
        if waiting:
            self.folder.put(waiting, f"Layer {layer}")
        for path in waiting.values():
            self.sent, self.bytes = self.sent + 1, self.bytes + path.stat().st_size
            _drop(path, scratch)
        waiting.clear()

    def _describe(self, manifest: Manifest) -> tuple[str, ...]:
        """Bring over card and manifest, the manifest last, unless they are there as they are to be."""
        card, own_card = self.folder.read(CARD), store_card(manifest, self.folder.address)
        foreign = card is not None and MARK.encode() not in card
        with scratch_folder() as place:
            (place / CARD).write_text(own_card, encoding="utf-8")
            manifest.write(place)
            files = {name: place / name for name in (CARD, MANIFEST)}
            last = {CARD: card, MANIFEST: self.folder.read(MANIFEST)}
            changed = {name: path for name, path in files.items() if path.read_bytes() != last[name]}
            if foreign:
                changed.pop(CARD, None)
            if changed:
                self.folder.put(changed, "Card and manifest: the store is whole")
        return (f"{self.folder.address}: its {CARD} is not ours, and is left as it is",) if foreign else ()


def _other_store(folder: RemoteFolder, what: str) -> InputError:
    return InputError(
        f"{folder.address}: holds another store ({what}): give another address, or --force to have it replaced"
    )


def _drop(path: Path, scratch: Path) -> None:
    """Delete a file that was made for sending; one of the store itself stays."""
    if path.parent == scratch:
        path.unlink()


def _published(manifest: Manifest, entries: list[Shard], address: Address) -> Manifest:
    """The manifest as it stands at the address: its files, and in its notes no places of this machine."""
    hidden = json.loads(address.hide(json.dumps(_placeless(manifest.notes), ensure_ascii=False)))
    return manifest.model_copy(update={"shards": entries, "notes": hidden})


def _placeless(value: Any) -> Any:
    """The notes with the last part of each path from the root in place of all of it: the others say who made them."""
    if isinstance(value, dict):
        return {name: _placeless(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_placeless(part) for part in value]
    return PurePath(value).name if isinstance(value, str) and PurePath(value).is_absolute() else value
