"""Labels of contrast pairs: a label is that of the row, whichever side of it is read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from ..errors import InputError, preview
from ..io.plain_values import is_missing
from ..rows.fields import KEEP, NUMBERS, TEXTS
from ..rows.sides import are_sides, pair_ids, side_ids
from ..store.activation_store import ActivationStore
from ..store.paired_store import PairedStore
from .label_file import LabelFile

AGREE = (*NUMBERS, *TEXTS, KEEP)  # fields that both sides of a pair must have alike


@dataclass(frozen=True)
class LabelledStore:
    """A store and its label files, joined as rows or as contrast pairs.

    A store of pairs is read so by `filter`, `relabel` and `sweep`; students and all else read single vectors.
    """

    store: ActivationStore
    files: tuple[LabelFile, ...]

    @classmethod
    def joined(cls, store: ActivationStore, files: Sequence[LabelFile], *, paired: bool = False) -> "LabelledStore":
        """Read as pairs where `paired`, and where the files have the ids of the store's pairs and of none of its rows.

        Files of pairs have an id for each pair, or one for each of its sides. InputError for pairs that lack a side,
        and for sides that differ in a field of AGREE.
        """
        if not paired and not _are_of_pairs(store, files):
            return cls(store, tuple(files))
        pairs = PairedStore(store)
        return cls(pairs, tuple(_by_pair(file, pairs) for file in files))


def _are_of_pairs(store: ActivationStore, files: Sequence[LabelFile]) -> bool:
    have = set(store.ids)
    rows = {name[:-1] for name in have} if are_sides(store.ids) else set()
    named = {name for file in files if "id" in file.frame for name in file.frame["id"]}
    return bool(named & rows) and not named & have


def _by_pair(file: LabelFile, store: PairedStore) -> LabelFile:
    """The file with a row for each pair: as it is, or where it has both sides of each."""
    ids = file.frame["id"].tolist() if "id" in file.frame else []
    if not are_sides(ids) or set(ids) <= set(store.ids):
        return file
    return replace(file, frame=one_row_a_pair(file.frame, file.where))


def one_row_a_pair(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """A table (2n rows) of sides as one of pairs (n rows), with the fields that the + side has.

    InputError for a side that is missing, and where a field that is read (AGREE) is not the same on both.
    """
    rows = pair_ids(frame["id"].to_numpy(dtype=object), where)
    by_id = frame.set_index("id", drop=False)
    plus, minus = (by_id.loc[side] for side in side_ids(rows))
    for name in AGREE:
        if name not in frame:
            continue
        both = zip(rows, plus[name].tolist(), minus[name].tolist(), strict=True)
        if differ := [row for row, a, b in both if not (a == b or (is_missing(a) and is_missing(b)))]:
            raise InputError(
                f"{where}: the {name} of the two sides differs for {len(differ)} of {len(rows)} contrast pairs: "
                f"{preview(differ)}: it is the row's, whichever side is read: give both the same"
            )
    return plus.assign(id=rows).reset_index(drop=True)


def on_both_sides(judged: pd.DataFrame, sides: pd.DataFrame) -> pd.DataFrame:
    """A verdict on pairs (n rows) as a table of their sides (2n rows): their own fields, and the pair's verdict."""
    by_id = judged.set_index("id").loc[[str(name)[:-1] for name in sides["id"]]]
    own = {str(name): sides[name].to_numpy() for name in sides if name == "id" or name not in AGREE}
    found = by_id.reset_index(drop=True).assign(**own)
    return found[[*sides.columns, *(name for name in judged if name not in sides)]]
