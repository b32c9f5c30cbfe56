"""The package's own formats: what each writes of the chosen rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..io.tables import FORMATS as ENDINGS
from ..io.tables import table_format, write_table
from .formats import Exporter
from .hub_folder import classification, write_hub
from .issues import label_issues
from .label_rows import LabelRows
from .reference import write_eai, write_oai

Record = Mapping[str, Any]


def write_rows(table: pa.Table, path: Path) -> None:
    """Write a table in the format that the name ends in."""
    if table_format(path) == ".parquet":
        pq.write_table(table.combine_chunks(), path)
        return
    # Of Python's own values, so that whole numbers and missing ones stay what they are.
    columns = {name: pd.Series(table[name].to_pylist(), dtype=object) for name in table.column_names}
    write_table(pd.DataFrame(columns), path)


def _table(rows: LabelRows, path: Path, about: Record) -> None:
    write_rows(rows.table, path)


def _issues(rows: LabelRows, path: Path, about: Record) -> LabelRows:
    table, judged = label_issues(rows)
    write_rows(table, path)
    return judged


def _hub(rows: LabelRows, folder: Path, about: Record) -> dict[str, int]:
    return write_hub(classification(rows), folder, dict(about))


def _texts(rows: LabelRows, folder: Path, about: Record) -> dict[str, int]:
    rows.texts()  # refuses rows without one
    return _hub(rows, folder, about)


def _oai(rows: LabelRows, folder: Path, about: Record) -> dict[str, int]:
    return write_oai(rows, folder)


def _eai(rows: LabelRows, folder: Path, about: Record) -> dict[str, int]:
    return write_eai(rows, folder)


JSONL = Exporter(_table, (".jsonl", ".jsonl.gz"))
CSV = Exporter(_table, (".csv", ".csv.gz"))
PARQUET = Exporter(_table, (".parquet",))
CLEANLAB = Exporter(_issues, ENDINGS)
HF, TRL, OAI, EAI = Exporter(_hub), Exporter(_texts), Exporter(_oai), Exporter(_eai)
