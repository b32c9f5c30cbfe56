"""A folder at an address: its files by name, through fsspec."""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from ..io.files import replacing
from .address import Address
from .remote_errors import Reaching

NOT_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
PIECE = 8 << 20  # bytes read at once


class RemoteFolder:
    """The folder at an address; a name is a path in it, with / between its parts.

    A file is there when it is whole: object stores show none before that, and into a local folder it is renamed.
    Elsewhere a file that was cut short is told by its size.
    """

    atomic = False  # whether files that are put together are there together or not at all

    def __init__(self, address: Address, system: Any, root: str) -> None:
        self.address = address
        self.system = system
        self.root = root

    def below(self, name: str) -> Self:
        """A folder in it, over the same connection."""
        return type(self)(self.address.below(name), self.system, self._path(name))

    def files(self) -> dict[str, int]:
        """The bytes of each file in it, at any depth; none where the folder is not there."""
        with Reaching(self.address, "its files cannot be listed"):
            self.system.invalidate_cache()
            try:
                found = self.system.find(self.root, detail=True)
            except NOT_THERE:
                return {}
            start = f"{self.root}/"
            # What has the folder's own name is a file at that address, and no folder.
            inside = {path: info for path, info in found.items() if path.startswith(start) and path != start}
            return {path.removeprefix(start): int(info["size"]) for path, info in inside.items()}

    def is_file(self) -> bool:
        """Whether the address is a file's."""
        with Reaching(self.address, "cannot be looked at"):
            return bool(self.system.isfile(self.root))

    def is_folder(self) -> bool:
        """Whether a folder is there, empty or not."""
        with Reaching(self.address, "cannot be looked at"):
            return bool(self.system.isdir(self.root))

    def size(self, name: str) -> int | None:
        """A file's bytes; None where it is not there."""
        with Reaching(self.address, f"{name} cannot be looked at"):
            try:
                info = self.system.info(self._path(name))
            except NOT_THERE:
                return None
            return int(info["size"]) if info["type"] == "file" else None

    def sha256(self, name: str) -> str:
        """The hexadecimal SHA-256 of a file's bytes, which are read for it."""
        with Reaching(self.address, f"{name} cannot be read"), self.system.open(self._path(name), "rb") as stream:
            digest = hashlib.sha256()
            while block := stream.read(PIECE):
                digest.update(block)
            return digest.hexdigest()

    def read(self, name: str) -> bytes | None:
        """A small file's bytes; None where it is not there."""
        with Reaching(self.address, f"its {name} cannot be read"):
            try:
                return bytes(self.system.cat_file(self._path(name)))
            except NOT_THERE:
                return None

    def get(self, name: str, to: Path) -> None:
        """Copy a file to a path here."""
        with Reaching(
            self.address, f"{name} did not come over", again=True, absent="it is listed there: push it again"
        ):
            self.system.get_file(self._path(name), str(to))

    def put(self, files: Mapping[str, Path], message: str) -> None:
        """Bring files over, in their order; `message` is of places that keep a history."""
        for name, path in files.items():
            if self.address.protocol == "file":
                with replacing(Path(self._path(name))) as temporary:
                    shutil.copyfile(path, temporary)
                continue
            with Reaching(self.address, f"{name} was not brought over", again=True):
                target = self._path(name)
                if self.address.protocol != "s3":  # which has no folders; a key may lack the right to list buckets
                    self.system.makedirs(target.rpartition("/")[0], exist_ok=True)
                self.system.put_file(str(path), target)

    def remove(self, names: Iterable[str]) -> None:
        """Delete files of these names."""
        with Reaching(self.address, "old files cannot be deleted", again=True):
            for name in names:
                self.system.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"
