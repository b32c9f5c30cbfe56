"""Rows of a run with what was argued about them: a few that are drawn by the run's seed, from its transcripts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from extract.debating import Transcript, read_transcripts
from w2s_probes.errors import InputError
from w2s_probes.io.tables import read_table
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.randomness import stream

from ...results.names import debate_file, labels_file, parse_trial_key
from .columns import Cells, checked

SHOWN = 3  # rows of a task


@dataclass(frozen=True)
class ArguedRow:
    """A test row, its label by the members that read the transcripts, and every member's transcript."""

    task: str
    seed: int
    id: str
    text: str
    truth: float | None
    label: float  # P(1), the members' mean
    sd: float | None  # of the members
    transcripts: list[Transcript]  # one a member, or one that all share


def argued_rows(folder: Path, runs: Mapping[str, Any]) -> list[ArguedRow]:
    """Some test rows of the first seed of each task that was argued about; InputError for a damaged file.

    `runs` is the part of the run's record. Tasks whose files are not there any more are passed over.
    """
    first: dict[str, int] = {}
    for key, made in runs.items():
        if "debate" in made:
            task, seed = parse_trial_key(key)
            first.setdefault(task, seed)
    return [row for task, seed in first.items() for row in _rows_of(folder, task, seed)]


def _rows_of(folder: Path, task: str, seed: int) -> list[ArguedRow]:
    said, labelled = folder / debate_file(task, seed), folder / labels_file(task, seed, "test")
    if not said.is_file() or not labelled.is_file():
        return []
    table = read_table(labelled)
    if lacking := [name for name in ("id", "text", "label") if name not in table]:
        raise InputError(f"{labelled}: no column {lacking[0]!r}: run the recipe again, which reuses the rest")
    table = checked(table, labelled, Cells(shares=tuple(name for name in ("label", "sd") if name in table)))
    labels = LabelSet.from_table(table, where=str(labelled))
    drawn = sorted(stream(seed, "argued rows shown", task).permutation(len(table))[:SHOWN].tolist())
    chosen = table.iloc[drawn]
    by_row: dict[str, list[Transcript]] = {}
    for one in read_transcripts(said, [str(row) for row in chosen["id"]]):
        by_row.setdefault(one.id, []).append(one)
    return [
        ArguedRow(
            task,
            seed,
            str(row["id"]),
            str(row["text"]),
            _number(row.get("truth")),
            float(label),
            _number(row.get("sd")),
            by_row[str(row["id"])],
        )
        for row, label in zip(chosen.to_dict("records"), labels.p[drawn], strict=True)
    ]


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
