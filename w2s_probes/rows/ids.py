"""Rows are joined by id, never by order: a missing or doubled id is an error."""

import hashlib
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, some

Ids = Sequence[str] | NDArray[np.object_]


CONTENT = re.compile("[0-9a-f]{16}")  # what content_id makes


def content_id(text: str) -> str:
    """The id of a row that has none: a hash of its text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def refuse_doubled(ids: Iterable[str], where: str) -> None:
    """Raise InputError if an id stands twice."""
    series = pd.Series(list(ids), dtype=object)
    doubled = series[series.duplicated()].unique()
    if len(doubled):
        raise InputError(f"{where}: ids must be unique, but these stand twice: {some(list(doubled))}")


def made_of_texts(ids: Ids) -> bool:
    """Whether all ids look like those of `content_id`."""
    return len(ids) > 0 and all(CONTENT.fullmatch(str(name)) for name in ids)


def _no_match(have: Ids, wanted: Ids) -> str:
    """What may be the reason where no id of one side is one of the other's."""
    here, there = made_of_texts(have), made_of_texts(wanted)
    if there and not here:
        return "they were made from the texts of rows without `id`, the others were given: give both the same `id`"
    if here and not there:
        return (
            "there the ids were made from the texts of rows without `id`, these were given: give `text` in place of "
            "`id`, or extract again with the `id`"
        )
    if here and there:
        return "both look made from the texts, of rows without `id`: equal texts, to the letter, have equal ids"
    return "are these labels of other rows?"


def positions(have: NDArray[np.object_], wanted: Ids, where: str) -> NDArray[np.intp]:
    """Where each wanted id stands among those at hand; InputError for ids that are missing or asked twice."""
    wanted = np.asarray(wanted, dtype=object)
    refuse_doubled(wanted, "the ids asked for")
    found = pd.Index(have).get_indexer(pd.Index(wanted))
    if (found < 0).any():
        missing = wanted[found < 0]
        none = f" (none of them match: {_no_match(have, wanted)})" if len(missing) == len(wanted) else ""
        raise InputError(f"{where} has no row for {len(missing)} of {len(wanted)} ids: {some(list(missing))}{none}")
    return np.asarray(found, dtype=np.intp)
