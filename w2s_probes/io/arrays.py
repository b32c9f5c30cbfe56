"""Named arrays and a JSON record in one safetensors file: nothing in it is ever run, and damage is noticed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..errors import InputError, reason
from .files import replacing
from .json_files import parse_json

ABOUT = "w2s-probes"  # the one entry of the header: safetensors does not keep the order of several
RECORD, KEY, CHECKSUM = "record", "key", "checksum"


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any], *, key: str | None = None
) -> None:
    """Write arrays and a record; the file appears when it is whole. InputError if it cannot be written.

    `key` names what the file holds, for caches: a file that was moved to another's name is then refused there.
    """
    kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    about: dict[str, Any] = {RECORD: record, CHECKSUM: _checksum(kept, record, key)}
    if key is not None:
        about[KEY] = key
    with replacing(path) as temporary:
        try:
            save_file(kept, temporary, metadata={ABOUT: json.dumps(about, sort_keys=True)})
        except SafetensorError as error:
            raise InputError(f"{path}: cannot be written ({reason(error)})") from error


def read_arrays(path: Path, *, key: str | None = None) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the record of a file.

    InputError if the file is not there, not such a file, damaged, or was written under another key than `key`.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about = parse_json((file.metadata() or {}).get(ABOUT, "{}"), "its record")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as error:  # TypeError: of a dtype that NumPy lacks
        raise InputError(f"{path}: not a readable safetensors file ({reason(error)})") from error
    record = about.get(RECORD) if isinstance(about, dict) else None
    if not isinstance(record, dict) or about.get(CHECKSUM) != _checksum(arrays, record, about.get(KEY)):
        raise InputError(f"{path}: its contents are not what was written there: make it again")
    if key is not None and about.get(KEY) != key:
        raise InputError(f"{path}: holds what was written under another name: make it again")
    return arrays, record


def _checksum(arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any], key: object) -> str:
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    if key is not None:  # else as in files that were written before there were keys
        digest.update(f"key {key} ".encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(arrays[name].data)
    return digest.hexdigest()
