"""A folder of a repository on the Hugging Face hub, where files are brought over in commits."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..errors import InputError
from .address import Address
from .remote_errors import Reaching
from .remote_folder import RemoteFolder

REPOSITORY = re.compile(
    r"((?P<types>datasets|models|spaces)/)?(?P<id>(?!(datasets|models|spaces)/)[^/@]+/[^/@]+)"
    r"(@(?P<revision>refs/(convert|pr)/[^/]+|[^/]+))?(/(?P<inside>.*))?"
)


class HubFolder(RemoteFolder):
    """The folder at `hf://datasets/NAME/ACTS/...`: each `put` is one commit, all of it or nothing.

    A repository that is not there is made, and is private.
    """

    atomic = True

    def __init__(self, address: Address, system: Any, root: str) -> None:
        super().__init__(address, system, root)
        match = REPOSITORY.fullmatch(root)
        if match is None:
            raise InputError(f"{address}: not a repository's address: give hf://datasets/NAME/ACTS or hf://NAME/MODEL")
        self.id, self.inside = match["id"], (match["inside"] or "").strip("/")
        self.type = (match["types"] or "models").removesuffix("s")
        self.revision = match["revision"] and unquote(match["revision"])
        # As the file system itself calls its files, so that these can be told by their beginning.
        kind, at = "" if self.type == "model" else f"{self.type}s/", f"@{match['revision']}" if self.revision else ""
        self.root = f"{kind}{self.id}{at}/{self.inside}".rstrip("/")
        self._made = False

    def put(self, files: Mapping[str, Path], message: str) -> None:
        from huggingface_hub import CommitOperationAdd

        with Reaching(self.address, "the files were not brought over", again=True), _without_bars():
            self._make()
            self._commit([CommitOperationAdd(self._inside(name), str(path)) for name, path in files.items()], message)

    def remove(self, names: Iterable[str]) -> None:
        from huggingface_hub import CommitOperationDelete

        deletions = [CommitOperationDelete(self._inside(name)) for name in names]
        if deletions:
            with Reaching(self.address, "old files cannot be deleted", again=True):
                self._commit(deletions, "Remove files of no more use")

    def get(self, name: str, to: Path) -> None:
        with _without_bars():
            super().get(name, to)

    def _make(self) -> None:
        if not self._made:
            self._api.create_repo(self.id, repo_type=self.type, private=True, exist_ok=True)
            self.system.invalidate_cache()
            self._made = True

    def _commit(self, operations: list[Any], message: str) -> None:
        self._api.create_commit(
            self.id, operations, commit_message=message, repo_type=self.type, revision=self.revision
        )

    @property
    def _api(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.system.endpoint, token=self.system.token)

    def _inside(self, name: str) -> str:
        return f"{self.inside}/{name}".lstrip("/")


@contextmanager
def _without_bars() -> Iterator[None]:
    """No progress bars of huggingface_hub: the caller has one."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


def remote_folder(address: Address) -> RemoteFolder:
    """The folder at an address; InputError where its package is missing."""
    system, root = address.open()
    if address.protocol == "hf" and not root.startswith("buckets/"):
        return HubFolder(address, system, root)
    return RemoteFolder(address, system, root)


def beside(address: Address) -> tuple[RemoteFolder, str]:
    """The folder that a file's address lies in, and its name there."""
    parent, _, last = address.text.rpartition("/")
    if "::" in address.text or parent.endswith("/"):
        raise InputError(f"{address}: give the address of a file in a folder, such as {address}/NAME")
    return remote_folder(Address(parent, address.protocol, address.options)), last
