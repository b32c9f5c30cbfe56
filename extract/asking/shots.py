"""Few shots: answered rows that stand before the one that is asked about."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.io.tables import read_table
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import GROUP

from ..row_files import checked_rows

FEWEST = 2  # one of each class


@dataclass(frozen=True)
class Shot:
    """A row whose answer the prompt shows."""

    id: str
    text: str
    label: int  # 0 or 1


def read_shots(path: Path | str) -> pd.DataFrame:
    """A file's answered rows, with `text`, `id` or its text's hash, and `truth`, or else `label`."""
    return checked_rows(read_table(path), str(path))


def draw_shots(labelled: pd.DataFrame, n: int, rows: pd.DataFrame, *, where: str, seed: int = 0) -> list[Shot]:
    """n of the labelled rows (id, text, and `truth` or `label`, 0 or 1), half of each class, in a drawn order.

    The same for all rows that are asked about. InputError where a labelled row is one of these, by its id, text or
    group, and where there are too few of a class.
    """
    if n < FEWEST:
        raise InputError(f"n_shots={n}: at least {FEWEST} are needed, one of each class")
    for field in ("id", "text", GROUP):
        if field in labelled and field in rows:
            shared = labelled[field].isin(rows[field].dropna()) & labelled[field].notna()
            if shared.any():
                name = str(labelled["id"][shared].iloc[0])
                raise InputError(
                    f"{where}: {int(shared.sum())} rows are asked about, too (same {field}; first {name!r}): the "
                    "answer would stand in the prompt: leave them out"
                )
    truth = LabelSet.from_table(labelled, "truth", where).p
    soft = (truth != 0) & (truth != 1)
    if soft.any():
        name, value = labelled["id"].iloc[int(soft.argmax())], truth[int(soft.argmax())]
        raise InputError(f"{where}: the label of row {name!r} is {value:g}: a shot's is 0 or 1, which has a word")
    wanted = [n // 2, n - n // 2]
    drawn = []
    for label in (0, 1):
        mine = np.flatnonzero(truth == label)
        if len(mine) < wanted[label]:
            raise InputError(
                f"{where}: {len(mine)} rows of label {label} where {n} shots need {wanted[label]}: give more rows of "
                "both classes, or fewer shots"
            )
        # By id, so that the order of the file does not matter.
        mine = mine[np.argsort(labelled["id"].to_numpy(dtype=object)[mine].astype(str))]
        drawn.append(stream(seed, "shots", label).permutation(mine)[: wanted[label]])
    turns = [place for pair in zip(*drawn, strict=False) for place in pair]
    turns += [int(place) for place in drawn[1][len(drawn[0]) :]]
    return [
        Shot(str(labelled["id"].iloc[at]), str(labelled["text"].iloc[at]), int(truth[at]))
        for at in stream(seed, "order of shots").permutation(turns)
    ]
