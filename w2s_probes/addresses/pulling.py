"""Pulling: a store, all of it or some layers, or plain files, from an address to here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError, preview
from ..io.files import PARTIAL, is_address, remove_abandoned, sha256
from ..progress import Progress, silent
from ..store.activation_store import ActivationStore
from ..store.layers import LayerSpec, parse_layers
from ..store.manifest import MANIFEST, Manifest, Shard
from ..store.shards import NAME
from .address import Address
from .delivery import Delivery
from .fewer_layers import with_layers
from .file_pulling import fetch, pull_file, pull_folder
from .hub_folder import remote_folder
from .remote_folder import RemoteFolder
from .remote_store import remote_manifest


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
    layers alone would be called: the same key.

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
    return _pull_store(folder, manifest, place, layers, report)


def _pull_store(
    folder: RemoteFolder, manifest: Manifest, out: Path, layers: LayerSpec | None, report: Progress
) -> Delivery:
    wanted = sorted(manifest.sites) if layers in (None, "all") else parse_layers(layers or "all", manifest.depth)
    if absent := [layer for layer in wanted if layer not in manifest.sites]:
        raise InputError(
            f"{folder.address}: layer{'s' * (len(absent) > 1)} {preview(absent, 8)} not there; it holds "
            f"{preview(sorted(manifest.sites), 40)}"
        )
    if not manifest.complete:
        raise InputError(f"{folder.address}: a store that is not finished: extract the rest, and push it again")
    chosen = with_layers(manifest, sorted({*wanted, *_layers_here(out, manifest, folder)}))
    remove_abandoned(out)
    lacking = [shard for shard in chosen.shards if not _is_here(out / shard.file, shard)]
    for done, shard in enumerate(lacking, start=1):
        try:
            fetch(folder, shard.file, out / shard.file, shard.bytes, shard.checksum)
        except InputError as error:
            count = len(chosen.shards) - len(lacking) + done - 1
            raise InputError(f"{error} ({count:,} of {len(chosen.shards):,} files are here)") from None
        report(f"layer {shard.layers[0]}", done, len(lacking))
    if not (out / MANIFEST).exists() or Manifest.read(out) != chosen:
        chosen.write(out)
    ActivationStore.open(out)
    size = sum(shard.bytes for shard in lacking)
    return Delivery(str(folder.address), out, len(chosen.shards), len(lacking), size)


def _layers_here(out: Path, manifest: Manifest, folder: RemoteFolder) -> list[int]:
    """The layers of this store that are at `out` already; InputError where anything else is there."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder")
    if (out / MANIFEST).exists():
        here = Manifest.read(out)
        listed = {shard.checksum for shard in manifest.shards}  # a repaired file has another name
        ours = {shard.checksum for shard in here.shards}
        if here.sites.items() <= manifest.sites.items() and ours <= listed and here.complete:
            return sorted(here.sites)
        raise InputError(f"{out}: holds another store than {folder.address}: give another folder")
    if out.exists() and not all(_ours(path) for path in out.iterdir()):
        raise InputError(f"{out}: exists and is not an activation store: give another folder")
    return []


def _ours(path: Path) -> bool:
    """Whether it may be what a pull of a store has left that was cut short."""
    return bool(NAME.fullmatch(path.name) or PARTIAL.fullmatch(path.name) or path.name.startswith("added-"))


def _is_here(path: Path, shard: Shard) -> bool:
    """Whether a file is here, whole."""
    return path.is_file() and path.stat().st_size == shard.bytes and sha256(path)[:16] == shard.checksum
