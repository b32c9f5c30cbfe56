"""The fields of row and label files: one contract for JSONL, CSV, Parquet and DataFrames.

`id`, `group`, `split`, `reason`, `probe` and `store` are text, `label`, `truth`, `p`, `score`, `new_label`,
`weak_label`, `layer` and `fold` numbers, `keep` true or false. All other fields are the user's, and left as they are.
"""

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..io.plain_values import as_text, is_missing, plain
from .groups import GROUP
from .ids import with_ids

TEXTS = (GROUP, "split", "reason", "probe", "store")
NUMBERS = ("label", "truth", "p", "score", "new_label", "weak_label", "layer", "fold")
KEEP = "keep"
TRUTHS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")


def typed(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """A label file's table, each known field of its type and all others untouched; `where` names it in errors.

    Numbers that stand as text, as everything does in CSV, become numbers, and `true` and `false` in a number's field
    1 and 0; texts that are numbers elsewhere become text; `keep` becomes bool (`kept_rows`). A value that is no number
    is left for the reader of the field to refuse. An empty group is none.
    """
    if len(doubled := table.columns[table.columns.duplicated()]):
        raise InputError(f"{where}: two columns are called {str(doubled[0])!r}: rename one")
    table = with_ids(table, where)
    changed: dict[str, list[Any]] = {}
    for name in TEXTS:
        if name in table:
            rows = zip(_row_names(table), table[name].tolist(), strict=True)
            texts = [value if is_missing(value) else _text(value, where, name, row) for row, value in rows]
            changed[name] = [np.nan if name == GROUP and isinstance(text, str) and not text else text for text in texts]
    for name in NUMBERS:
        if name in table:
            changed[name] = [number(value) for value in table[name].tolist()]
    table = table.assign(**{n: pd.Series(v, index=table.index, dtype=object) for n, v in changed.items()})
    if KEEP in table:
        table = table.assign(**{KEEP: kept_rows(table, where)})
    return table


def kept_rows(table: pd.DataFrame, where: str) -> NDArray[np.bool_]:
    """The rows (n,) that a filter keeps: `keep`, and all where there is no such field.

    true, false, 1 and 0 are understood, in any format; InputError, by row, for anything else.
    """
    if KEEP not in table:
        return np.ones(len(table), dtype=bool)
    kept = np.empty(len(table), dtype=bool)
    for at, value in enumerate(table[KEEP].tolist()):
        known = None if is_missing(value) else TRUTHS.get(str(plain(value)).strip().lower())
        if known is None:
            said = "missing" if is_missing(value) or value == "" else repr(str(value)[:40])
            raise InputError(f"{where}: the keep of row {_row_names(table)[at]!r} is {said}: it is true or false")
        kept[at] = known
    return kept


def number(value: Any) -> Any:
    """The number that a text spells; true and false as 1 and 0, missing and empty as NaN, all else as it is."""
    value = plain(value)
    if isinstance(value, str):
        if not value.strip():
            return np.nan
        if NUMBER.fullmatch(value):
            return float(value) if re.search(r"[.eE]", value) else int(value) if len(value) < 300 else value
        words: dict[str, float] = {"true": 1, "false": 0}
        return words.get(value.strip().lower(), value)
    return np.nan if is_missing(value) else value


def _text(value: Any, where: str, name: str, row: str) -> str:
    return as_text(value, f"{where}: the {name} of row {row!r}")


def _row_names(table: pd.DataFrame) -> list[Any]:
    """The names of the rows in errors."""
    return table["id"].tolist() if "id" in table else list(range(1, len(table) + 1))
