"""Pushing a store: a layer at a time, the manifest last."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, preview
from ..io.files import last_part
from ..progress import Progress
from ..store.activation_store import ActivationStore
from ..store.manifest import LAST_ENTRY, MANIFEST, Manifest, Shard
from .address import Address
from .checksum_lists import STORES, SUMS, UNFINISHED
from .delivery import Delivery
from .fewer_layers import LAYERS, SITES
from .file_pushing import refuse_file
from .layer_files import LayerFiles
from .remote_folder import RemoteFolder
from .remote_store import remote_manifest, stores_below
from .scratch import scratch_folder
from .store_card import CARD, MARK, store_card

BY_LAYER = (LAYERS, SITES, LAST_ENTRY)  # what identities of the same rows at other layers differ in
OF_PATHS = ("model", "rows_from", "imported_from")  # notes that may be paths of this machine
OF_IDS = ("left_out",)  # notes of rows' ids, which stand in the files as they are, and which `w2s repair` looks for
BATCH = 1 << 30  # bytes of files that wait on this disk for one commit; a single file may be larger


class StorePush:
    """One push of a store, which lists the address when it is made.

    Raises InputError where the address holds what this push would drop, unless `force` has that replaced.
    """

    def __init__(self, store: ActivationStore, folder: RemoteFolder, report: Progress, *, force: bool) -> None:
        self.store = store
        self.folder = folder
        self.before = remote_manifest(folder, force=force)
        self.report = report
        self.force = force
        self.there = folder.files()
        self.sent = self.bytes = 0
        refuse_file(self.folder, self.there)
        if others := [name for name in (SUMS, UNFINISHED) if name in self.there]:
            raise InputError(
                f"{self.folder.address}: holds files pushed as such ({others[0]}): give another address, or delete them"
            )
        if STORES in self.there or (MANIFEST not in self.there and stores_below(self.there)):
            raise InputError(f"{self.folder.address}: holds several stores: give an address in it, or another")
        if self.before is not None and not self.force:
            self._refuse_unlike(self.before)

    def run(self) -> Delivery:
        """Bring over what lacks there."""
        files = LayerFiles(self.store)
        entries: list[Shard] = []
        total = sum(len(self.store.manifest.shards_of(layer)) for layer in self.store.layers)
        kept = set() if self.before is None or self.force else set(self.before.sites)
        for layer in sorted(self.store.layers, key=lambda layer: layer not in kept):  # refused before any is sent
            entries += self._layer(files, layer, len(entries), total, keep=layer in kept)
        manifest = published(self.store.manifest, entries, self.folder.address)
        remarks = self._describe(manifest) + self._paths_in_key()
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

    def _paths_in_key(self) -> tuple[str, ...]:
        """What is told of a path that earlier imports have put into the key, where it has to stay."""
        model = self.store.manifest.identity.get("model")
        if not isinstance(model, str) or last_part(model) == model:
            return ()
        return (
            f"{self.folder.address}: its {MANIFEST} names {model}, which is in the key: import it again to keep the "
            f"name {last_part(model)} alone",
        )

    def _describe(self, manifest: Manifest) -> tuple[str, ...]:
        """Bring over card and manifest, the manifest last, unless they are there as they are to be."""
        meanwhile = remote_manifest(self.folder, force=True)
        if not self.force and meanwhile not in (self.before, manifest):
            raise _other_store(self.folder, "pushed there meanwhile")
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


def published(manifest: Manifest, entries: Sequence[Shard], address: Address) -> Manifest:
    """The manifest as it stands at the address: its files, and in its notes no places of this machine."""
    ids = {name: value for name, value in manifest.notes.items() if name in OF_IDS}
    others = {
        name: _last_part(value) if name in OF_PATHS else value
        for name, value in manifest.notes.items()
        if name not in OF_IDS
    }
    notes = address.hide_in(others) | ids
    return manifest.model_copy(update={"shards": list(entries), "notes": notes})


def _last_part(value: Any) -> Any:
    """The last part of a path of this machine, or of each in a list, in place of all of it."""
    if isinstance(value, list):
        return [_last_part(part) for part in value]
    return last_part(value) if isinstance(value, str) else value
