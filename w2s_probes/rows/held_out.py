"""Rows held out of training: those to set aside, and those of a test file that are related to training rows."""

import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .groups import GROUP, group_numbers, linked

RELATING = (GROUP, "text")  # the fields by which rows are related
DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def related_rows(table: pd.DataFrame, training: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows (n,) of a table that share a group or a text with a training row: their labels have been learned.

    Fields are compared as text, and as numbers where no two texts of a table spell one number: "007" of one file is 7
    or 7.0 of another that a spreadsheet has rewritten. Rows without a group are related to none; a field that one of
    the tables lacks relates none.
    """
    related = np.zeros(len(table), dtype=bool)
    for field in RELATING:
        if field in table and field in training:
            values, learned = table[field], training[field].dropna()
            spelled_once = _spelled_once(values.dropna()) and _spelled_once(learned)
            for key in (_as_text, _as_number) if spelled_once else (_as_text,):
                known = {key(value) for value in learned}
                related |= np.array([key(value) in known for value in values], dtype=bool) & values.notna().to_numpy()
    return related


def set_aside(table: pd.DataFrame, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Rows (n,) drawn to be held out: about this share, and one at least; rows of one group or one text as a whole.

    A row whose group or text is absent is by itself, and is drawn like any other. A group larger than the share is
    drawn only where there are too few other rows.
    """
    ids = np.arange(len(table))
    for field in RELATING:
        if field in table:
            numbers = group_numbers(table[field].to_numpy(dtype=object), len(table))
            assert numbers is not None
            ids = linked(ids, numbers)
    sizes = np.bincount(ids)
    rows = max(1, round(share * len(table)))
    order = rng.permutation(np.unique(ids))
    order = order[np.argsort(sizes[order] > rows, kind="stable")]
    before = np.cumsum(sizes[order]) - sizes[order]
    return np.isin(ids, order[before < rows])


def _spelled_once(values: "pd.Series[Any]") -> bool:
    """Whether different texts are different numbers, too."""
    texts = {_as_text(value) for value in values}
    return len({_as_number(text) for text in texts}) == len(texts)


def _as_text(value: Any) -> str:
    """A value as text; a whole number reads the same whether a column holds integers or floats."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _as_number(value: Any) -> Decimal | str:
    """The exact number that a text spells with digits alone; the text where it is none.

    An exponent is no such number: hashes such as "12e4567890123456" and "9e99999" would all be infinite.
    """
    text = _as_text(value)
    return Decimal(text) if DECIMAL.fullmatch(text) else text
