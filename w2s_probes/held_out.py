"""Rows held out of training: which to set aside, and which of a test file no test can use."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .checks import group_numbers
from .duplicates import merged

RELATING = ("group", "text")  # the fields by which rows are related


def related_rows(table: pd.DataFrame, training: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows (n,) of a table that share a group or a text with a training row: their labels have been learned.

    Fields are compared as text, since a group of digits is a number in one format and text in another. Rows without
    a group are related to none; a field that one of the tables lacks relates none.
    """
    related = np.zeros(len(table), dtype=bool)
    for field in RELATING:
        if field in table and field in training:
            learned = {_as_text(value) for value in training[field].dropna()}
            related |= np.array([_as_text(value) in learned for value in table[field]], dtype=bool)
    return related


def set_aside(table: pd.DataFrame, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Rows (n,) drawn to be held out: about this share, and one at least; rows of one group or one text together.

    A row whose group or text is absent is by itself, and is drawn like any other.
    """
    together = np.arange(len(table))
    for field in RELATING:
        if field in table:
            numbers = group_numbers(table[field].to_numpy(dtype=object), len(table))
            assert numbers is not None
            together = merged(together, numbers)
    sizes = np.bincount(together)
    order = rng.permutation(np.unique(together))
    before = np.cumsum(sizes[order]) - sizes[order]
    return np.isin(together, order[before < max(1, round(share * len(table)))])


def _as_text(value: Any) -> str:
    """A value as text; a whole number reads the same whether a column holds integers or floats."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
