"""Rows are joined by id, never by order: a missing or doubled id is an error."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import InputError, some

Ids = Sequence[str] | NDArray[np.object_]


def content_id(text: str) -> str:
    """The id of a row that has none: a hash of its text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def refuse_doubled(ids: Iterable[str], where: str) -> None:
    """Raise InputError if an id stands twice."""
    series = pd.Series(list(ids), dtype=object)
    doubled = series[series.duplicated()].unique()
    if len(doubled):
        raise InputError(f"{where}: ids must be unique, but these stand twice: {some(list(doubled))}")


def positions(have: NDArray[np.object_], wanted: Ids, where: str) -> NDArray[np.intp]:
    """Where each wanted id stands among those at hand; InputError for ids that are missing or asked twice."""
    wanted = np.asarray(wanted, dtype=object)
    refuse_doubled(wanted, "the ids asked for")
    found = pd.Index(have).get_indexer(pd.Index(wanted))
    if (found < 0).any():
        missing = wanted[found < 0]
        none = " (none of them match: are these labels of other rows?)" if len(missing) == len(wanted) else ""
        raise InputError(f"{where} has no row for {len(missing)} of {len(wanted)} ids: {some(list(missing))}{none}")
    return np.asarray(found, dtype=np.intp)
