"""The rows that are steered: none that the probe learned from, and their labels where they have any."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.io.plain_values import is_missing
from w2s_probes.labels.label_file import LabelFile
from w2s_probes.labels.label_set import LabelSet, truth_where_known
from w2s_probes.rows.fields import number, typed
from w2s_probes.rows.groups import groups_of
from w2s_probes.rows.held_out import related_rows
from w2s_probes.rows.ids import content_id

from ..row_files import checked_rows


@dataclass(frozen=True, eq=False)
class HeldRows:
    """Rows to steer, with what is known of them; NaN where a row's label or truth is not."""

    table: pd.DataFrame  # `id`, `text`, and further fields
    weak: NDArray[np.float64] | None  # (n,) P(1); None where no row has one
    truth: NDArray[np.float64] | None  # (n,)
    groups: NDArray[np.object_] | None  # (n,) None where no two rows share one

    @classmethod
    def of(cls, rows: pd.DataFrame, labels: LabelFile, where: str, *, allow_overlap: bool = False) -> "HeldRows":
        """Rows of a table with `text`, and where present `id`, `label`, `truth`, `group`.

        InputError where a row has the id, the text or the group of a row that the probe learned from, unless allowed.
        """
        table = checked_rows(typed(rows.reset_index(drop=True), where), where)
        if not allow_overlap:
            refuse_learned(table, labels.frame[labels.training], where, labels.where)
        return cls(table, _weak(table, where), truth_where_known(table, where), groups_of(table))


def refuse_learned(table: pd.DataFrame, learned: pd.DataFrame, where: str, labels: str) -> None:
    """InputError where rows are among those learned from, or related to them."""
    ids = set(learned["id"])
    same: NDArray[np.bool_] = table["id"].isin(ids).to_numpy(dtype=bool)
    # A label file without texts still knows them where its ids were made from them.
    same = same | np.array([content_id(text) in ids for text in table["text"]], dtype=bool)
    related = same | related_rows(table, learned)
    if related.any():
        row = table["id"].iloc[int(related.argmax())]
        how = "id" if same[int(related.argmax())] else "text or group"
        raise InputError(
            f"{where}: {int(related.sum())} of {len(table)} rows are among those that the probe learned from, or share "
            f"their {how}, first {row!r}: hold rows out of {labels} (`split`), or give --allow-overlap"
        )


def _weak(table: pd.DataFrame, where: str) -> NDArray[np.float64] | None:
    if "label" not in table:
        return None
    given: list[Any] = [number(value) for value in table["label"].tolist()]
    known = np.array([not is_missing(value) for value in given], dtype=bool)
    if not known.any():
        return None
    weak = np.full(len(table), np.nan)
    weak[known] = LabelSet.from_table(table[known], "weak", where).p
    return weak


def where_of(rows: Any) -> str:
    """The name of rows in errors: a path, or `rows`."""
    return str(rows) if isinstance(rows, Path | str) else "rows"
