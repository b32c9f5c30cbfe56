"""The formats of exports by name, each imported when it is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..registries import Registry

if TYPE_CHECKING:
    from .label_rows import LabelRows

Format = str  # a name in EXPORTERS
EXPECTED = "expected is an Exporter(write, endings), whose function takes the rows, the place and the record so far"


@dataclass(frozen=True)
class Exporter:
    """A way to write a label set: as one file whose name has one of the `endings`, or as a folder where there are none.

    `write` is given the chosen rows, a place that is put in the place of the named one when all is well, and the
    export's record so far, for a card. Of a file it returns the rows that it wrote, or None for all of them; of a
    folder, the number of rows in each split, by the names that these have there.
    """

    write: "Callable[[LabelRows, Path, Mapping[str, Any]], LabelRows | Mapping[str, int] | None]"
    endings: tuple[str, ...] = ()


def _fault(name: str, exporter: Any) -> str | None:
    """What is wrong with an exporter that somebody adds; None where nothing is."""
    if not isinstance(exporter, Exporter):
        return f"this is a {type(exporter).__name__}; {EXPECTED}"
    endings: Any = exporter.endings
    if not isinstance(endings, tuple) or not all(str(ending).startswith(".") for ending in endings):
        return f"endings are {exporter.endings!r}, and a tuple such as ('.txt',) is expected"
    try:
        signature(exporter.write).bind(None, Path("place"), {})
    except (TypeError, ValueError) as error:
        return f"write cannot be called so ({error}); {EXPECTED}"
    return None


EXPORTERS: Registry[Exporter] = Registry(
    "exporters",
    "format",
    {
        "jsonl": "written_formats:JSONL",
        "csv": "written_formats:CSV",
        "parquet": "written_formats:PARQUET",
        "hf": "written_formats:HF",
        "trl": "written_formats:TRL",
        "oai": "written_formats:OAI",
        "eai": "written_formats:EAI",
        "cleanlab": "written_formats:CLEANLAB",
    },
    package=__package__,
    fault=_fault,
)
FORMATS: tuple[Format, ...] = EXPORTERS.own  # of the package's own
