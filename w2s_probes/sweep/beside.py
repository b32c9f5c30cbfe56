"""What a sweep keeps beside its table, and the names of these files."""

from pathlib import Path

from ..errors import InputError
from ..io.json_files import read_json
from ..io.tables import table_format


def record_path(path: Path) -> Path:
    """Where the record of a sweep's table lies."""
    return path.with_name(path.name.removesuffix(table_format(path)) + ".json")


def parts_path(path: Path) -> Path:
    """Where a sweep keeps its layers until, and after, the table is whole."""
    return path.with_name(path.name.removesuffix(table_format(path)) + ".parts")


def refuse_other_record(path: Path) -> None:
    """InputError where the record of a table that is written here would take the place of something else."""
    beside = record_path(path)
    if beside.is_file():
        try:
            known = read_json(beside)
        except InputError:
            known = None
        if not isinstance(known, dict) or not {"grid", "best"} <= known.keys():
            raise InputError(f"{beside}: is no record of a sweep, and one would be written there: give another --out")
