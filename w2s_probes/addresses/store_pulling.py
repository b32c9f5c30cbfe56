"""Pulling a store, all of it or some layers, beside those of it that are here."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, preview
from ..io.files import PARTIAL, remove_abandoned, sha256
from ..places.sole_writer import sole_writer
from ..progress import Progress
from ..store.activation_store import ActivationStore
from ..store.layers import LayerSpec, parse_layers
from ..store.manifest import MANIFEST, Manifest, Shard
from ..store.origin import ORIGIN, write_origin
from ..store.shards import NAME
from .delivery import Delivery
from .fewer_layers import layer_key, with_layers
from .file_pulling import fetch
from .remote_folder import RemoteFolder


def layers_there(folder: RemoteFolder, manifest: Manifest, layers: LayerSpec | None) -> list[int]:
    """The layers that a specification names of a store at an address; InputError where it has them not."""
    wanted = sorted(manifest.sites) if layers in (None, "all") else parse_layers(layers or "all", manifest.depth)
    if absent := [layer for layer in wanted if layer not in manifest.sites]:
        raise InputError(
            f"{folder.address}: layer{'s' * (len(absent) > 1)} {preview(absent, 8)} not there; it holds "
            f"{preview(sorted(manifest.sites), 40)}"
        )
    if not manifest.complete:
        raise InputError(f"{folder.address}: a store that is not finished: extract the rest, and push it again")
    return wanted


def pull_store(
    folder: RemoteFolder, manifest: Manifest, out: Path, layers: LayerSpec | None, report: Progress
) -> Delivery:
    """Bring over what lacks here of these layers, all unless given.

    InputError where anything else is at `out`, or another process puts it there.
    """
    wanted = layers_there(folder, manifest, layers)
    with sole_writer(out, out, instead="another folder"):
        return _pulled(folder, manifest, out, wanted, report)


def _pulled(folder: RemoteFolder, manifest: Manifest, out: Path, wanted: list[int], report: Progress) -> Delivery:
    chosen = with_layers(manifest, sorted({*wanted, *_layers_here(out, manifest, folder)}))
    remove_abandoned(out)
    names = _names_by_checksum(out)
    here = [_as_here(out, shard, names.get(shard.checksum, [])) for shard in chosen.shards]
    lacking = [shard for shard, own in zip(chosen.shards, here, strict=True) if own is None]
    shards = [own or shard for shard, own in zip(chosen.shards, here, strict=True)]
    chosen = chosen.model_copy(update={"shards": shards})
    for done, shard in enumerate(lacking, start=1):
        try:
            fetch(folder, shard.file, out / shard.file, shard.bytes, shard.checksum)
        except InputError as error:
            count = len(chosen.shards) - len(lacking) + done - 1
            raise InputError(f"{error} ({count:,} of {len(chosen.shards):,} files are here)") from None
        report(f"layer {shard.layers[0]}", done, len(lacking))
    write_origin(out, str(folder.address))
    _put_manifest(out, chosen, folder)
    ActivationStore.open(out)
    _remove_doubles(out, chosen)
    size = sum(shard.bytes for shard in lacking)
    return Delivery(str(folder.address), out, len(chosen.shards), len(lacking), size)


def _put_manifest(out: Path, chosen: Manifest, folder: RemoteFolder) -> None:
    """Write the manifest, unless an extraction, which claims no folder, has begun another store here by now."""
    chosen.write(out, first=True)
    if Manifest.read(out) != chosen:
        _layers_here(out, chosen, folder)
        chosen.write(out)


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
        shared = here.sites.keys() & manifest.sites.keys()
        if here.complete and shared and all(layer_key(here, one) == layer_key(manifest, one) for one in shared):
            raise InputError(
                f"{out}: holds this store in files that were not pulled from {folder.address}: use it as it is, or "
                "give another folder"
            )
        raise InputError(f"{out}: holds another store than {folder.address}: give another folder")
    if out.exists() and not all(_ours(path) for path in out.iterdir()):
        raise InputError(f"{out}: exists and is not an activation store: give another folder")
    return []


def _ours(path: Path) -> bool:
    """Whether it may be what a pull of a store has left that was cut short."""
    ours = NAME.fullmatch(path.name) or PARTIAL.fullmatch(path.name)
    return bool(ours) or path.name == ORIGIN or path.name.startswith("added-")


def _as_here(out: Path, shard: Shard, names: Sequence[str]) -> Shard | None:
    """The shard under the name that its file has here, of repaired ones another than there; None where it lacks."""
    for name in (shard.file, *names):
        if _is_here(out / name, shard):
            return shard.model_copy(update={"file": name})
    return None


def _remove_doubles(out: Path, manifest: Manifest) -> None:
    """Delete files that hold, or held before they were damaged, what another file that is listed holds."""
    listed = {shard.file for shard in manifest.shards}
    names = _names_by_checksum(out)
    for name in {name for shard in manifest.shards for name in names.get(shard.checksum, [])} - listed:
        (out / name).unlink()


def _names_by_checksum(out: Path) -> dict[str, list[str]]:
    """The names of shards right in a folder, by the checksum in them."""
    found: dict[str, list[str]] = {}
    for path in sorted(out.iterdir()) if out.is_dir() else ():
        if match := NAME.fullmatch(path.name):
            found.setdefault(match["checksum"], []).append(path.name)
    return found


def _is_here(path: Path, shard: Shard) -> bool:
    """Whether a file is here, whole."""
    return path.is_file() and path.stat().st_size == shard.bytes and sha256(path)[:16] == shard.checksum
