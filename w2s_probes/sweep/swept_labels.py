"""The rows of a sweep: those that probes learn from, and those that nothing reads before the best cell is chosen."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..io.readers import readable
from ..labels.label_file import LabelFile, Labels
from ..labels.label_set import LabelSet, truth_where_known
from ..labels.paired_labels import LabelledStore
from ..printable import as_utf8
from ..randomness import stream
from ..rows.groups import group_numbers, groups_of
from ..rows.held_out import related_rows, set_aside
from ..rows.ids import positions
from ..store.activation_store import ActivationStore

HELD_OUT = 0.2  # of the rows, where no others are named
Source = Labels | LabelFile


@dataclass(frozen=True, eq=False)
class Side:
    """The training rows, or the held-out rows, of a label set, in the store's order."""

    ids: NDArray[np.object_]  # (n,)
    p: NDArray[np.float64]  # (n,) weak labels
    truth: NDArray[np.float64] | None  # (n,) NaN where it is not known
    groups: NDArray[np.intp] | None  # (n,) related rows share a number; None where no two are related

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def rows_hash(self) -> str:
        """A hash of the ids of the rows and of their groups."""
        digest = hashlib.sha256("\x1f".join(map(str, self.ids)).encode(errors="backslashreplace"))
        digest.update(b"" if self.groups is None else self.groups.astype(np.int64).tobytes())
        return digest.hexdigest()

    @property
    def labels_hash(self) -> str:
        """A hash of the labels and of the truth."""
        digest = hashlib.sha256(self.p.tobytes())
        digest.update(b"" if self.truth is None else self.truth.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class SweptLabels:
    """One label set: the rows that probes learn from, and those held out (None where there are none)."""

    name: str
    training: Side
    held_out: Side | None
    related: int = 0  # rows that would be held out, had they not a group or a text in common with training rows

    @property
    def rows_hash(self) -> str:
        """Label sets of the same rows share it, and with it a layer's neighbour graph and factorisation."""
        return self.training.rows_hash + ("" if self.held_out is None else self.held_out.rows_hash)

    @property
    def labels_hash(self) -> str:
        """A hash of the labels on both sides."""
        return self.training.labels_hash + ("" if self.held_out is None else self.held_out.labels_hash)


def joined_labels(
    store: ActivationStore,
    sources: Labels | Sequence[Labels] | Mapping[str, Labels],
    test: Labels | None,
    *,
    paired: bool,
) -> tuple[ActivationStore, dict[str, LabelFile], LabelFile | None]:
    """The store, the label sets by name, and the test's, as rows or as contrast pairs (`LabelledStore.joined`)."""
    files = {name: _label_file(source) for name, source in named(sources).items()}
    tests = [] if test is None else [_label_file(test)]
    joined = LabelledStore.joined(store, [*files.values(), *tests], paired=paired)
    by_name = dict(zip(files, joined.files, strict=False))
    return joined.store, by_name, joined.files[-1] if tests else None


def read_labels(
    sources: Labels | Sequence[Labels] | Mapping[str, Source],
    test: Source | None,
    held_out: float | None,
    order: NDArray[np.object_],
    where: str,
) -> list[SweptLabels]:
    """The label sets, their rows in the store's `order` (N,); `where` names the store in errors.

    Held out are the rows of `test`; without it those whose `split` is val or test; where there are none either, the
    share `held_out` (`HELD_OUT` unless given), whole groups and equal texts, the same rows for every label set and
    seed. Of the first two kinds those that share a group or a text with a training row are left out.
    """
    if held_out is not None and not 0 <= held_out < 1:
        raise InputError(f"held_out={held_out} must be in [0, 1): the share of rows to set aside")
    tests = None if test is None else _label_file(test)
    files = {name: _label_file(source) for name, source in named(sources).items()}
    label_sets = [_swept(name, file, tests, held_out, order, where) for name, file in files.items()]
    if not label_sets:
        raise InputError("no label set to sweep: give at least one")
    return label_sets


def named(sources: Labels | Sequence[Labels] | Mapping[str, Source]) -> dict[str, Source]:
    """Label sets by name: their own where a mapping gives them, else that of the file, else their number."""
    if isinstance(sources, Mapping):
        return dict(sources)
    listed = [sources] if isinstance(sources, Path | str | pd.DataFrame | LabelSet) else list(sources)
    names: dict[str, Source] = {}
    for number, source in enumerate(listed):
        name = _stem(source) if isinstance(source, Path | str) else "labels" if len(listed) == 1 else f"labels-{number}"
        if name in names:
            raise InputError(f"two label sets are called {name!r}: rename a file, or give them as a mapping by name")
        names[name] = source
    return names


def _stem(path: Path | str) -> str:
    name = as_utf8(Path(path).name)
    return next((name.removesuffix(ending) for ending in readable() if name.endswith(ending)), name)


def _label_file(source: Source) -> LabelFile:
    if isinstance(source, LabelFile):
        return source
    if isinstance(source, LabelSet) and source.role != "weak":
        raise InputError(f"labels of role {source.role!r} cannot be swept: a choice would be made by them")
    return LabelFile.read(source)


def _swept(
    name: str,
    labels: LabelFile,
    test: LabelFile | None,
    held_out: float | None,
    order: NDArray[np.object_],
    where: str,
) -> SweptLabels:
    file = labels.where
    in_order = np.argsort(positions(order, labels.weak.ids, f"{file}: {where}"))
    table, training = labels.frame.iloc[in_order], labels.training[in_order]
    if not training.any():
        raise InputError(f"{file}: no row has split = train")
    if test is not None:
        other = test.frame.iloc[np.argsort(positions(order, test.weak.ids, f"{test.where}: {where}"))]
        both = np.intersect1d(table["id"][training].astype(str), other["id"].astype(str))
        if len(both):
            raise InputError(f"{test.where}: row {both[0]!r} is a training row of {file}: test rows must be others")
        return _parted(name, table[training], file, other, test.where, held_out)
    if not training.all():
        return _parted(name, table[training], file, table[~training], file, held_out)
    share = HELD_OUT if held_out is None else held_out
    if not share:
        return SweptLabels(name, _side(table, file), None)
    chosen = set_aside(table, share, stream(0, "held-out rows"))
    if chosen.all() or not chosen.any():
        raise InputError(
            f"{file}: {len(table)} rows, as they hang together, cannot be parted {1 - share:g} to {share:g}: add rows, "
            "or hold none out (0)"
        )
    return SweptLabels(name, _side(table[~chosen], file), _side(table[chosen], file, learning=False))


def _parted(
    name: str, table: pd.DataFrame, file: str, other: pd.DataFrame, other_file: str, held_out: float | None
) -> SweptLabels:
    """Training rows and named held-out rows, less those related to a training row, of which probes have learned."""
    if held_out is not None:
        raise InputError(f"held_out={held_out}: {other_file} names the rows to hold out; leave the share out")
    related = related_rows(other, table)
    if related.all():
        raise InputError(f"{other_file}: every row to hold out shares a group or a text with a training row of {file}")
    side = _side(other[~related], other_file, learning=False)
    return SweptLabels(name, _side(table, file), side, int(related.sum()))


def _side(table: pd.DataFrame, file: str, learning: bool = True) -> Side:
    labels = LabelSet.from_table(table, where=file)
    if learning:
        _refuse_one_class(labels, file)  # before anything is made
    groups = group_numbers(groups_of(table), len(table))
    return Side(labels.ids, labels.p, truth_where_known(table, file), groups)


def _refuse_one_class(labels: LabelSet, file: str) -> None:
    from ..probes.validation import soft_labels  # scikit-learn's: late, so that files are refused without it

    try:
        soft_labels(labels.p, len(labels))
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
