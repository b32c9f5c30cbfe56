"""Content-addressed cache: a result is keyed by a hash of all that determines it, so no run makes it twice."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.io.arrays import read_arrays, write_arrays
from w2s_probes.rows.groups import GROUP
from w2s_probes.store.manifest import identity_key

VERSION = version("w2s-probes")  # read once: its file is parsed each time that it is asked for
FORMAT = 6  # goes up when the same description would stand for other numbers
Arrays = dict[str, NDArray[Any]]
Record = dict[str, Any]
Timer = Callable[[str], AbstractContextManager[Any]]  # around what has to be made, by its kind: a clock


@dataclass(frozen=True)
class ResultCache:
    """A folder of results. A description holds all that determines a result; its hash names the file.

    >>> cache = ResultCache(Path("runs/kept"))
    >>> cache.path("trained", {"seed": 0}).parent.name
    'trained'
    >>> cache.path("trained", {"seed": 0}) == cache.path("trained", {"seed": 1})
    False
    """

    folder: Path
    timer: Timer = field(default=nullcontext, compare=False)

    def path(self, kind: str, description: Mapping[str, Any]) -> Path:
        """The file of a result, whether it exists or not."""
        return self._path(kind, _key(kind, description))

    def has(self, kind: str, description: Mapping[str, Any]) -> bool:
        """Whether the cache has the file of a result."""
        return self.path(kind, description).is_file()

    def read(self, kind: str, description: Mapping[str, Any]) -> tuple[Arrays, Record] | None:
        """The result from the cache; None where there is none, or its file is damaged or of another description."""
        key = _key(kind, description)
        path = self._path(kind, key)
        if path.is_file():
            with suppress(InputError):
                return read_arrays(path, key=key)
        return None

    def write(self, kind: str, description: Mapping[str, Any], arrays: Arrays, record: Record) -> None:
        """Put a result into the cache, in place of one that is there."""
        key = _key(kind, description)
        write_arrays(self._path(kind, key), arrays, record, key=key)

    def get(
        self, kind: str, description: Mapping[str, Any], make: Callable[[], tuple[Arrays, Record]]
    ) -> tuple[Arrays, Record]:
        """The result from the cache; makes and stores it where the cache lacks it."""
        if (kept := self.read(kind, description)) is not None:
            return kept
        with self.timer(kind):
            made = make()
        self.write(kind, description, *made)
        return made

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / kind / f"{key[:24]}.safetensors"


def _key(kind: str, description: Mapping[str, Any]) -> str:
    """The hash of all that determines a result."""
    return identity_key({"format": FORMAT, "version": VERSION, "kind": kind, **description})


def table_hash(table: pd.DataFrame) -> str:
    """A hash of a table's ids, texts and groups, in order."""
    columns = [name for name in ("id", "text", GROUP) if name in table]
    digest = hashlib.sha256(" ".join(columns).encode())
    for name in columns:
        values = list(map(str, table[name].tolist()))  # their lengths part them: in one piece, since there may be many
        digest.update(np.fromiter(map(len, values), dtype=">i8", count=len(values)).tobytes())
        digest.update("".join(values).encode())
    return digest.hexdigest()[:24]


def array_hash(array: NDArray[Any]) -> str:
    """A hash of an array's numbers, shape and type."""
    whole = np.ascontiguousarray(array)
    return hashlib.sha256(f"{whole.dtype} {whole.shape}".encode() + whole.tobytes()).hexdigest()[:24]
