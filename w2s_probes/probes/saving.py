"""Fitted probes on disk: safetensors for the arrays, JSON for the rest, never pickle."""

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, did_you_mean, reason
from ..io.arrays import read_arrays, write_arrays
from .base import Probe
from .fitted_to import READS, reads_of
from .probe_entry import ProbeEntry
from .registry import ENTRIES, HEAVY, PROBES

if TYPE_CHECKING:
    from ..store.activation_store import ActivationStore
    from .attention import AttentionProbe


def save_probe(
    probe: "Probe | AttentionProbe",
    path: Path | str,
    *,
    notes: Mapping[str, Any] | None = None,
    fitted_to: "tuple[ActivationStore, int | str] | None" = None,
) -> None:
    """Write a fitted probe to PATH.safetensors: its arrays, and its parameters and classes as JSON in the header.

    `fitted_to` is the store and the layer that the probe was fitted to: what loads the file to read another layer, or
    a store of another model, then refuses it (`fitted_to.reads_of`). `notes`, fit for JSON, stand in the header too.

    A neighbour graph is not kept: it is searched again when asked for; nor is the device that it was fitted on.
    InputError for an estimator of another kind, one that is not fitted, a layer of another width, or a path that
    cannot be written.
    """
    name = type(probe).__name__
    if name == "ClassifierProbe":
        of = probe.get_params()["spec"]
        raise InputError(f"{of} cannot be saved without pickle: fit it again from its rows, or save a probe of ours")
    if _kind(name) is not type(probe):
        raise InputError(f"{name} cannot be saved: {', '.join([*_classes(), *HEAVY])} can")
    if not hasattr(probe, "classes_"):
        raise InputError(f"this {name} is not fitted: fit it before saving it")
    searched = {key for key in vars(probe) if isinstance(getattr(type(probe), key, None), cached_property)}
    fitted = {key: value for key, value in vars(probe).items() if key.endswith("_") and key not in searched}
    arrays = {key: v for key, v in fitted.items() if isinstance(v, np.ndarray) and v.dtype.kind in "fiub"}
    named = {key: v.tolist() for key, v in fitted.items() if isinstance(v, np.ndarray) and key not in arrays}
    plain = {key: v for key, v in fitted.items() if v is None or isinstance(v, int | float | str)}
    # Without the device that it was fitted on: whoever loads it may have none.
    own = {key: value for key, value in probe.get_params().items() if key != "device"}
    parameters = {key: v.item() if isinstance(v, np.generic) else v for key, v in own.items()}
    record = {"probe": name, "parameters": parameters, "fitted": plain, "named": named}
    told = {} if notes is None else dict(notes)
    if fitted_to is not None:
        if not isinstance(fitted_to, tuple) or len(fitted_to) != 2:
            raise InputError(f"fitted_to={str(fitted_to)[:60]!r}: give a pair (store, layer)")
        told[READS] = _reads(probe, *fitted_to)
    write_arrays(Path(path), arrays, record | {"notes": told} if told or notes is not None else record)


def _reads(probe: Any, store: "ActivationStore", layer: int | str) -> dict[str, Any]:
    """The record of what a probe was fitted to; InputError where that has another width than the probe."""
    width, reads = getattr(probe, "n_features_in_", None), reads_of(store, layer)
    if width is not None and width not in (store.manifest.width, 2 * store.manifest.width):
        raise InputError(
            f"{store.path}: its vectors have {store.manifest.width} numbers, those that this probe was fitted to "
            f"{width}: give the store and the layer that it was fitted to"
        )
    return reads


def load_probe(path: Path | str) -> Any:
    """The fitted probe that `save_probe` wrote; InputError if the file holds none."""
    arrays, record = read_arrays(Path(path))
    name = str(record.get("probe")) if isinstance(record, dict) else ""
    kind = _kind(name)
    if kind is None:
        raise InputError(f"{path}: holds no probe ({name!r}): {did_you_mean(name, [*_classes(), *HEAVY])}")
    try:
        probe = kind(**record["parameters"])
        named = {k: np.array(v, dtype=object if k == "feature_names_in_" else None) for k, v in record["named"].items()}
        fitted = {**arrays, **record["fitted"], **named}
        if "classes_" not in fitted or not all(key.endswith("_") and not key.startswith("_") for key in fitted):
            raise ValueError("its fitted values are not those of a probe")
        if "apart_" in fitted:
            raise ValueError("it is of an earlier form")
        for key, value in fitted.items():
            setattr(probe, key, value)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: holds no {name} that was saved here ({reason(error)}): save it again") from error
    return probe


def _kind(name: str) -> "type[Probe | AttentionProbe] | None":
    """The class of probes of this name; None where there is none."""
    if name in HEAVY:
        try:
            heavy: type[Probe | AttentionProbe] = getattr(import_module(HEAVY[name]), name)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise InputError(f"{name} needs torch: pip install 'w2s-probes[models]'") from error
        return heavy
    entry = _classes().get(name)
    return None if entry is None else entry.kind


def _classes() -> dict[str, ProbeEntry]:
    """The probes by the names of their classes; ours before others of the same name."""
    return {entry.class_name: entry for entry in (*PROBES.values(), *ENTRIES)}
