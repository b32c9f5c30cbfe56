"""The readers of tables by the ending of a file's name, each imported when a file is read."""

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..registries import Registry

if TYPE_CHECKING:
    import pandas as pd

EXPECTED = "expected is a function of a path that returns a DataFrame with a row for each of the file's"


def _fault(name: str, reader: Any) -> str | None:
    """What is wrong with a reader that somebody adds; None where nothing is."""
    if not name.startswith(".") or len(name) < 2 or "/" in name:
        return "a reader is named by the ending of its files' names, such as '.tsv'"
    if not callable(reader):
        return f"this is a {type(reader).__name__}; {EXPECTED}"
    try:
        signature(reader).bind(Path("file"))
    except (TypeError, ValueError) as error:
        return f"it cannot be called with a path ({error}); {EXPECTED}"
    return None


READERS: "Registry[Callable[[Path], pd.DataFrame]]" = Registry(
    "readers",
    "reader",
    {
        ".jsonl": "json_lines:read_json_lines",
        ".jsonl.gz": "json_lines:read_json_lines",
        ".csv": "tables:read_csv_file",
        ".csv.gz": "tables:read_csv_file",
        ".parquet": "parquet_files:read_parquet",
    },
    package=__package__,
    fault=_fault,
)


def readable() -> tuple[str, ...]:
    """The endings of the names of files that can be read as tables, those of plugins among them."""
    return tuple(READERS)


def readable_ending(path: Path) -> str:
    """The ending by which a file is read, the longest that fits; InputError where none does."""
    if found := [ending for ending in READERS if path.name.endswith(ending)]:
        return max(found, key=len)
    raise InputError(f"{path}: unknown format; the name must end in one of {', '.join(READERS)}")
