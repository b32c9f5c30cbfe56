"""The manifest of a store, `manifest.json`: its schema, and the key, a hash of all that determines the numbers."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import InputError, preview
from ..io.files import is_address, refused_address, replacing
from ..io.json_files import read_json
from .dtypes import StoredDtype

MANIFEST = "manifest.json"
CHECKSUM = "checksum"  # in the file alone: a hash of all else in it
SCHEMA = 2
LAST_ENTRY = "last_entry"  # in the identity of what was imported: what its last layer was said to be
AFTER_NORM = "post-norm"
ADDED = re.compile("added-[0-9a-f]{12}")  # a folder of what was added later


class Shard(BaseModel):
    """One finished HDF5 file: consecutive rows at some layers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(pattern=r"^(added-[0-9a-f]{12}/)?[\w.-]+\.h5$")  # in the store's folder, or an addition's in it
    start: int = Field(ge=0)  # the store's row that comes first
    rows: int = Field(ge=1)
    layers: list[int] = Field(min_length=1)
    bytes: int = Field(ge=0)
    checksum: str = Field(pattern=r"^[0-9a-f]{16}$")  # of the file: the first 16 digits of its SHA-256
    cut: int = Field(0, ge=0)  # of these rows, how many texts were truncated

    @property
    def stop(self) -> int:
        """One beyond the store's row that comes last."""
        return self.start + self.rows


class Manifest(BaseModel):
    """The description of a store: everything but its arrays.

    While rows are being written, `shards` is empty: the files themselves tell which parts are done, by the part and
    the checksum in their names, so that any number of processes can write without asking each other. The process that
    finds every part there lists them here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA
    key: str  # hash of `identity`
    identity: dict[str, Any]  # all that changes the numbers: model, weights, position, rows, ...
    sites: dict[int, str]  # stored layer -> the module that was read
    depth: int = Field(ge=0)  # blocks of the model; layers count from 0, the embedding output, to this
    width: int = Field(ge=1, le=10**7)
    dtype: StoredDtype
    rows: int = Field(ge=0)  # of the whole store, written or not
    shard_rows: int = Field(ge=1)  # rows of each part while it is being written; the last one may be shorter
    ragged: bool = False  # whether every token of a row is stored, not one vector
    shards: list[Shard] = []
    notes: dict[str, Any] = {}  # what does not change the numbers: versions, truncated rows

    @property
    def complete(self) -> bool:
        """Whether the listed shards hold every row at every layer, each once."""
        return all(_cover(self.shards_of(layer), self.rows) for layer in self.sites)

    @property
    def after_norm(self) -> int | None:
        """The layer that was imported after the model's final norm, no state of the residual stream; None: none was."""
        return max(self.sites) if self.identity.get(LAST_ENTRY) == AFTER_NORM else None

    def shards_of(self, layer: int) -> list[Shard]:
        """The listed shards that hold a layer, in the order of their rows."""
        return sorted((shard for shard in self.shards if layer in shard.layers), key=lambda shard: shard.start)

    def write(self, folder: Path, *, first: bool = False) -> None:
        """Put the manifest into a store's folder, whole or not at all; as the `first`, leave one that is there."""
        with replacing(folder / MANIFEST, keep=first) as temporary:
            record = self.model_dump(mode="json")
            sealed = {CHECKSUM: identity_key(record), **record}
            text = json.dumps(sealed, indent=1, ensure_ascii=False) + "\n"
            # A path that is no UTF-8 has halves of surrogate pairs, which JSON can write as it writes its own escapes.
            temporary.write_bytes(text.encode(errors="backslashreplace"))

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of a store's folder; InputError if there is none or it is of another schema."""
        path = folder / MANIFEST
        if is_address(folder) and not folder.exists():
            raise refused_address(folder)
        if not folder.exists():
            raise InputError(f"{folder}: no such store; make one with `w2s extract`")
        if not path.is_file() and (inside := sorted(file.parent.name for file in folder.glob(f"*/{MANIFEST}"))):
            stores = f"it holds the stores {preview(inside, 6)}: name one, such as {folder / inside[0]}"
            raise InputError(f"{folder}: not an activation store (no {MANIFEST}), but {stores}")
        if not path.is_file():
            raise InputError(f"{folder}: not an activation store (no {MANIFEST}); make one with `w2s extract`")
        try:
            record = read_json(path, "not a valid manifest, extract again")
            version = record.get("schema_version") if isinstance(record, dict) else None
            if version != SCHEMA:
                raise InputError(
                    f"{path}: schema version {version}, but this release reads version {SCHEMA}: "
                    "extract again, or use the release that wrote it"
                )
            record.pop(CHECKSUM, None)  # whether it is right is for `verify` to say
            return cls.model_validate(record)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(f"{path}: not a valid manifest ({place}: {first['msg']}): extract again") from error


def is_as_written(folder: Path) -> bool:
    """Whether a store's manifest is the one that was written, no bit of what it says changed."""
    try:
        record = read_json(folder / MANIFEST)
        return bool(record.pop(CHECKSUM, None) == identity_key(record))
    except (InputError, AttributeError):  # JSON, but no object
        return False


def _cover(shards: list[Shard], rows: int) -> bool:
    """Whether shards, in the order of their rows, hold rows 0 to `rows` - 1, each once."""
    ends = [0, *(shard.stop for shard in shards)]
    return [shard.start for shard in shards] == ends[:-1] and ends[-1] == rows


def identity_key(identity: dict[str, Any]) -> str:
    """The key of the numbers (hexadecimal SHA-256): equal for equal identities, whatever the order of their fields."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode(errors="backslashreplace")).hexdigest()


def differing_fields(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """The identity fields that differ, with both values: `position: 'mean' against 'last'`."""
    names = [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
    return "; ".join(f"{name}: {theirs.get(name)!r} in the store, {ours.get(name)!r} asked for" for name in names)
