"""Lists of checksums beside plain files, in the form that `sha256sum --check` reads."""

import re
from collections.abc import Mapping

from ..errors import InputError, preview
from ..io.files import is_inside
from .remote_folder import RemoteFolder

SUMS, ONE_SUM = "SHA256SUMS", ".sha256"  # of a folder, and after the name of a single file
UNFINISHED = "SHA256SUMS.unfinished"  # while a folder is being pushed
STORES = "stores.json"  # of a folder of stores, which it names; put there before the first of them
LINE = re.compile(r"(?P<sum>[0-9a-f]{64}) [ *](?P<name>.+)")


def read_sums(folder: RemoteFolder, name: str) -> dict[str, str]:
    """The checksums listed there by name; none where there is no list. InputError for a list that cannot be read."""
    text = (folder.read(name) or b"").decode("utf-8", errors="replace")
    lines = [(line, LINE.fullmatch(line)) for line in text.split("\n") if line]
    if bad := [line for line, match in lines if match is None]:
        raise InputError(f"{folder.address}/{name}: not a list of checksums ({preview(bad, 1)}): push it again")
    return {match["name"]: match["sum"] for _, match in lines if match}


def as_text(sums: Mapping[str, str]) -> str:
    """The list as it stands in a file."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def is_usable(name: str) -> bool:
    """Whether a path may stand in a list, be a file's in any folder, and is not hidden by a dot."""
    return is_inside(name) and not any(part.startswith(".") for part in name.split("/")) and not set(name) & set("\n\\")
