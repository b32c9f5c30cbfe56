"""The files beside a sweep's table: its record and its parts."""

from pathlib import Path

from ..errors import InputError
from ..io.json_files import read_json
from ..io.tables import table_format


def record_path(path: Path) -> Path:
    """The path of the record of a sweep's table."""
    return path.with_name(path.name.removesuffix(table_format(path)) + ".json")


def parts_path(path: Path) -> Path:
    """The folder of a sweep's finished layers, which stays after the table is whole."""
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
