"""What a saved probe was fitted to, one layer of a store, and whether another store's layer holds the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io.arrays import read_arrays
from ..store.activation_store import ActivationStore

READS = "reads"  # in the notes of a probe's file
OF_ROWS = ("rows", "layers", "imported", "order", "sites")  # of a store's identity, what another store may differ in


def reads_of(store: ActivationStore, layer: int | str) -> dict[str, Any]:
    """What a head or probe reads that is fitted to one layer of a store: for its file.

    The model, by its weights, the layer and the position, and everything else of the store's identity but its rows.
    InputError for a layer that the store does not hold.
    """
    index = store.resolve(layer)
    identity = {name: value for name, value in store.manifest.identity.items() if name not in OF_ROWS}
    site = store.manifest.sites[index]
    reads = {"model": store.manifest.notes.get("model"), "layer": index, "site": site, "identity": identity}
    imported = store.manifest.identity.get("imported")
    return reads if imported is None else reads | {"imported": imported}


def reads_in(path: Path | str) -> dict[str, Any] | None:
    """What the probe in a file was fitted to, as `save_probe` recorded it; None where it did not.

    InputError for a file that is not one of ours, and for a record that is not whole.
    """
    _, record = read_arrays(Path(path))
    notes = record.get("notes")
    reads = notes.get(READS) if isinstance(notes, dict) else None
    if not isinstance(reads, dict):
        return None
    if not isinstance(reads.get("layer"), int) or not isinstance(reads.get("identity"), dict):
        raise InputError(f"{path}: its record of what it was fitted to lacks the layer or the identity: save it again")
    return reads


def refuse_other_layer(where: Path | str, reads: Mapping[str, Any], store: ActivationStore, layer: int) -> None:
    """InputError unless a layer of a store is of the kind that a probe was fitted to (`reads_of`), whatever its rows.

    That is the same layer of the same weights at the same site and position, and all else that the numbers hang on.
    """
    fitted = int(reads["layer"])
    if layer != fitted:
        raise InputError(f"{where}: it was fitted to layer {fitted}, not {layer}: read it there, or fit another one")
    here, fitted_to = reads_of(store, layer), reads["identity"]
    if here["identity"].get("weights") != fitted_to.get("weights"):
        found, wanted = (one or "one that an import did not name" for one in (here["model"], reads.get("model")))
        raise InputError(
            f"{store.path}: of another model than {where} was fitted to: {found}, not {wanted}: extract the rows with "
            "that one"
        )
    for name in sorted(fitted_to.keys() | here["identity"].keys()):
        if here["identity"].get(name) != fitted_to.get(name):
            raise InputError(
                f"{store.path}: of other activations than {where} was fitted to: {name} is "
                f"{_short(here['identity'].get(name))}, not {_short(fitted_to.get(name))}: "
                "extract the rows as for its training"
            )
    if here["site"] != reads.get("site"):
        raise InputError(
            f"{store.path}: layer {layer} was read at {here['site']}, and {where} was fitted to "
            f"{reads.get('site')}: extract the rows as for its training"
        )


def check_fitted_to(path: Path | str, store: ActivationStore, layer: int) -> str | None:
    """Refuse a probe's file that was fitted to another layer or model; a remark where nothing says to which.

    That is so of files without a record, and of activations that were imported, whose weights nobody has seen. The
    remark is one line: nothing else can tell probes of layers of one width apart.
    """
    reads = reads_in(path)
    if reads is None:
        return (
            f"{path}: does not say which layer and model it was fitted to, so nothing checks that it is layer {layer} "
            f"of {store.path}: save it with save_probe(..., fitted_to=(store, layer))"
        )
    refuse_other_layer(path, reads, store, layer)
    if "weights" in reads["identity"] or reads.get("imported") == store.manifest.identity.get("imported"):
        return None
    return (
        f"{path}: was fitted to other imported activations than those of {store.path}, and no weights are known of "
        "either, so nothing checks that they are of one model"
    )


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
