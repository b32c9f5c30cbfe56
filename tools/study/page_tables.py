"""Tables of a page of the docs, each between the mark that names it and the end."""

from collections.abc import Mapping
from pathlib import Path


def write_tables(page: Path, tables: Mapping[str, str]) -> None:
    """Put each table between `<!-- NAME -->` and the next `<!-- end -->`; the program ends where a mark is missing."""
    text = page.read_text()
    for name, table in tables.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        if not mark:
            raise SystemExit(f"{page}: has no mark {name!r}")
        text = before + mark + table + rest[rest.index("\n<!-- end -->") :]
    page.write_text(text)
