"""The inputs of saliency: rows of a store, their weak labels, and further values by id."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.row_files import checked_rows, read_rows
from w2s_probes import ActivationStore, InputError, LabelSet
from w2s_probes.errors import preview, shortened
from w2s_probes.io.readers import readable
from w2s_probes.io.tables import read_table
from w2s_probes.probes.validation import soft_labels
from w2s_probes.rows.groups import GROUP, group_numbers
from w2s_probes.rows.ids import with_ids
from w2s_probes.store.layers import LayerSpec

ById = Mapping[str, Any] | pd.Series | pd.DataFrame | Sequence[Any] | NDArray[Any] | Path | str  # the last: a file
Texts = str | Path | Sequence[str] | Mapping[str, str] | pd.Series | pd.DataFrame
TAKEN = "a text, a list of texts, a mapping or table by id, or the name of a file with `text`"


@dataclass(frozen=True, eq=False)
class Labelled:
    """Rows in the order of their weak labels, with the truth where it was given and nothing in its place elsewhere."""

    ids: NDArray[np.object_]  # (n,)
    weak: NDArray[np.float64]  # (n,) P(label = 1)
    truth: NDArray[np.float64] | None  # (n,) P(label = 1)
    groups: NDArray[np.intp] | None  # (n,) numbers that related rows share
    texts: NDArray[np.object_] | None  # (n,)

    @classmethod
    def of(
        cls,
        labels: LabelSet,
        *,
        truth: LabelSet | None = None,
        groups: ById | None = None,
        texts: ById | None = None,
    ) -> "Labelled":
        """Join all by id. InputError for ids without a partner, labels of one class, and roles that are mixed up."""
        for given, name in ((labels, "labels"), (truth, "truth")):
            if given is not None and not isinstance(given, LabelSet):
                raise InputError(f"{name}: a {type(given).__name__}, not a LabelSet: LabelSet.read(path) reads one")
        if labels.role == "truth":
            raise InputError(
                "the labels have the role 'truth': read them as weak labels, and give truth=... beside them"
            )
        if truth is not None and truth.role != "truth":
            raise InputError("truth=... has the role 'weak': read it with LabelSet.read(path, role='truth')")
        soft_labels(labels.p, len(labels))
        named = None if groups is None else by_id(groups, labels.ids, "groups", GROUP)
        return cls(
            labels.ids,
            labels.p,
            None if truth is None else truth.values(labels.ids),
            group_numbers(named, len(labels)),
            None if texts is None else by_id(texts, labels.ids, "texts", "text"),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Which weak labels are above ½ (n,)."""
        return np.asarray(self.weak > 0.5)

    def text(self, row: int) -> str:
        """The row's text, or nothing where no texts were given."""
        return "" if self.texts is None else str(self.texts[row])


def by_id(values: ById, ids: NDArray[np.object_], name: str, column: str) -> NDArray[np.object_]:
    """Values (n,) in the order of ids: of a table or file with `id` and this column, a mapping, or one value a row."""
    if isinstance(values, str | Path):
        values = table_by_id(values, name)
    if isinstance(values, pd.DataFrame):
        for field in ("id", column):
            if field not in values:
                raise InputError(f"{name}: no column {field!r}; it has {preview(list(values.columns), 8)}")
        values = dict(zip(values["id"].astype(str), values[column], strict=True))
    if isinstance(values, pd.Series):
        values = {str(row): value for row, value in values.items()}
    if isinstance(values, Mapping):
        missing = [row for row in ids if row not in values]
        if missing:
            raise InputError(f"{name}: nothing for {len(missing)} of {len(ids)} ids: {preview(missing)}")
        values = [values[row] for row in ids]
    found = np.empty(len(values), dtype=object)
    found[:] = list(values)
    if len(found) != len(ids):
        raise InputError(f"{name}: {len(found)} values but {len(ids)} labels: one a row is needed, or a mapping by id")
    return found


def table_by_id(file: str | Path, name: str) -> pd.DataFrame:
    """A file's table, with `id` as a hash of `text` where it has none; `name` is what it was given for.

    InputError for what is no file of a known format.
    """
    if not _names_file(file):
        said = shortened(str(file), 40)
        raise InputError(
            f"{name}: {said!r} names no file ({', '.join(readable())}): give one, a value a label, or by id"
        )
    return with_ids(read_table(file), str(file))


def texts_by_id(texts: Texts) -> dict[str, str]:
    """Texts by id: one alone is called `text`, those of a list `text-0` and so on, those of a file by its ids."""
    if isinstance(texts, str | Path):
        if not _names_file(texts):
            return {"text": str(texts)}
        texts = read_rows(texts)
    if isinstance(texts, pd.DataFrame):
        rows = checked_rows(texts, "texts")
        return dict(zip(rows["id"], rows["text"], strict=True))
    if isinstance(texts, pd.Series) and not isinstance(texts.index, pd.RangeIndex):
        texts = dict(texts)  # by id, as elsewhere
    if isinstance(texts, Mapping):
        found = {str(name): text for name, text in texts.items()}
    elif isinstance(texts, Iterable):
        found = {f"text-{i}": text for i, text in enumerate(texts)}
    else:
        raise InputError(f"texts: a {type(texts).__name__}: give {TAKEN}")
    for name, text in found.items():
        if not isinstance(text, str):
            raise InputError(f"texts: {name!r} is a {type(text).__name__}, not a string: give {TAKEN}")
    return found


def _names_file(text: str | Path) -> bool:
    """Whether this is a path, or a text that is spelled like one: without line ends, ending as tables' names do."""
    return isinstance(text, Path) or (text.endswith(readable()) and "\n" not in text)


def stored_layers(store: ActivationStore, layers: LayerSpec) -> list[int]:
    """The layers that are asked for, each of which must be stored; `all` are those that the store holds.

    InputError for a ragged store, whose rows have no single vector.
    """
    if store.manifest.ragged:
        raise InputError(f"{store.path} holds every token of its rows: extract with --position last, first or mean")
    return store.select(layers)
