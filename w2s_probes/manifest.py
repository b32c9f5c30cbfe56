"""What a store says of itself: `manifest.json`, its schema, and the key that names its numbers."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .dtypes import StoredDtype
from .errors import InputError
from .files import replacing

MANIFEST = "manifest.json"
SCHEMA = 1


class Shard(BaseModel):
    """One finished HDF5 file: consecutive rows, all layers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(pattern=r"^[\w.-]+\.h5$")  # in the store's own folder
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str


class Manifest(BaseModel):
    """Everything about a store but its arrays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA
    key: str  # hash of `identity`
    identity: dict[str, Any]  # all that changes the numbers: model, weights, position, rows, ...
    sites: dict[int, str]  # stored layer -> the module that was read
    depth: int = Field(ge=0)  # blocks of the model; layers count from 0, the embedding output, to this
    width: int = Field(ge=1, le=10**7)
    dtype: StoredDtype
    rows: int = Field(ge=0)  # of the whole store, written or not
    shards: list[Shard] = []
    notes: dict[str, Any] = {}  # what does not change the numbers: versions, truncated rows

    @property
    def complete(self) -> bool:
        """Whether every row has been written."""
        return sum(shard.rows for shard in self.shards) == self.rows

    def write(self, folder: Path) -> None:
        """Put the manifest into a store's folder, whole or not at all."""
        with replacing(folder / MANIFEST) as temporary:
            temporary.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of a store's folder; InputError if there is none or it is of another schema."""
        path = folder / MANIFEST
        if not folder.exists():
            raise InputError(f"{folder}: no such store; make one with `w2s extract`")
        if not path.is_file():
            raise InputError(f"{folder}: not an activation store (no {MANIFEST}); make one with `w2s extract`")
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            version = record.get("schema_version") if isinstance(record, dict) else None
            if version != SCHEMA:
                raise InputError(
                    f"{path}: schema version {version}, but this release reads version {SCHEMA}: "
                    "extract again, or use the release that wrote it"
                )
            return cls.model_validate(record)
        except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: not a valid manifest ({reason}): extract again") from error


def identity_key(identity: dict[str, Any]) -> str:
    """A name for the numbers: the same for equal identities, whatever the order of their fields."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode(errors="backslashreplace")).hexdigest()


def differing_fields(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Which identity fields differ, with both values: `position: 'mean' against 'last'`."""
    names = [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
    return "; ".join(f"{name}: {theirs.get(name)!r} in the store, {ours.get(name)!r} asked for" for name in names)
