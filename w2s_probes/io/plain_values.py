"""Single values of tables, of any library: whether they are missing, and their spelling in text."""

import datetime
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError

NESTED = (list, tuple, dict, set, np.ndarray)
TIMES = (datetime.date, datetime.time)  # datetime.datetime and pandas.Timestamp are dates, too


def is_missing(value: Any) -> bool:
    """Whether a value is none at all: None, NaN, pandas' NA or NaT, not an empty text or list."""
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    if isinstance(value, float | np.floating | Decimal):
        return bool(value != value)
    return isinstance(value, np.datetime64 | np.timedelta64) and bool(np.isnat(value))


def plain(value: Any) -> Any:
    """The value as Python has it: NumPy scalars and arrays, and pandas' missing values, are replaced."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        value = pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return [plain(entry) for entry in value.tolist()]
    return None if value is pd.NA or value is pd.NaT else value


def as_text(value: Any, what: str) -> str:
    """The text that names a row, group or split. Whole numbers are spelled as such, whether integers or floats.

    `what` begins the InputError for a value that is nested, or bytes that are no UTF-8.
    """
    value = plain(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return decoded(value, what)
    if isinstance(value, NESTED):
        raise InputError(f"{what} is neither text nor a number")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, TIMES) else str(value)


def decoded(value: bytes, what: str) -> str:
    """Bytes as the UTF-8 text that they hold."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{what} is bytes that are no text in UTF-8: decode that column first") from error


def refuse_no_utf8(text: str, what: str) -> None:
    """InputError for an argument with bytes that are no UTF-8, which Python holds as halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{what} {text[:60]!r}: it holds bytes that are no text in UTF-8: give text") from error


def as_json(value: Any) -> Any:
    """For `json.dumps(default=as_json)`: NumPy's values as Python's, times in ISO 8601, exact decimals as text."""
    value = plain(value)
    if isinstance(value, TIMES):
        return value.isoformat()
    if isinstance(value, Decimal | datetime.timedelta):
        return str(value)
    if isinstance(value, bytes):
        return decoded(value, "a value")
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, float | int | str | list | dict | type(None)):
        return value
    raise TypeError(f"no text format holds a {type(value).__name__}")


def as_json_text(value: Any, *, bare: bool = False) -> str:
    """A value as JSON; `bare` leaves the quotes of a text away."""
    if bare:
        value = as_json(value)
        if isinstance(value, str):
            return value
    return json.dumps(value, ensure_ascii=False, default=as_json)
