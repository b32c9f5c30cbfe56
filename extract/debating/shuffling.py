"""Transcripts given to other rows: the control that keeps style, length and sides, and takes away what is said."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import GROUP

from .transcripts import Transcript

SPLIT = "split"


def shuffled(transcripts: Sequence[Transcript], rows: pd.DataFrame, seed: int = 0) -> tuple[list[Transcript], int]:
    """Each row with the transcript of another, and the number of rows for which there was no other.

    `rows` has `id`, `group` where rows are related, and `split` where there are splits: transcripts stay within one.
    Whole groups take over the transcripts of another group of as many rows for each side of A's, of every member's;
    groups that are alone with theirs exchange transcripts row by row. Every member's are moved alike. InputError for
    transcripts of other rows.
    """
    ids = rows["id"].tolist()
    sides = _sides(transcripts)
    if lacking := [row for row in ids if row not in sides]:
        raise InputError(f"rows without a transcript to shuffle: {lacking[0]!r} and {len(lacking) - 1} more")
    donors: dict[str, str] = {}
    groups = rows[GROUP].fillna(rows["id"]) if GROUP in rows else rows["id"]
    splits = rows[SPLIT] if SPLIT in rows else pd.Series("", index=rows.index)
    for split, part in rows.assign(**{GROUP: groups, SPLIT: splits}).groupby(SPLIT, sort=True):
        donors |= _donors(part, sides, seed, str(split))
    of = {(transcript.member, transcript.id): transcript for transcript in transcripts}
    moved = [
        replace(of[member, donors[row]], id=row)
        for member in sorted({member for member, _ in of})
        for row in ids
        if (member, donors[row]) in of
    ]
    return moved, sum(row == donor for row, donor in donors.items())


def _sides(transcripts: Sequence[Transcript]) -> dict[str, str]:
    """A's side about each row: one where all members' are alike, else every member's in turn."""
    found: dict[str, list[str]] = {}
    for transcript in sorted(transcripts, key=lambda each: each.member):
        found.setdefault(transcript.id, []).append(str(transcript.a_side))
    return {row: sides[0] if len(set(sides)) == 1 else " ".join(sides) for row, sides in found.items()}


def _donors(part: pd.DataFrame, sides: Mapping[str, str], seed: int, split: str) -> dict[str, str]:
    """Whose transcript each row of a split gets."""
    members: dict[str, list[str]] = {}
    for row, group in sorted(zip(part["id"], part[GROUP], strict=True)):
        members.setdefault(str(group), []).append(row)
    # By A's side, so that two groups of one pattern have their rows in one order.
    ordered = {name: sorted(own, key=lambda row: (sides[row], row)) for name, own in members.items()}
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, own in ordered.items():
        alike.setdefault(tuple(sides[row] for row in own), []).append(name)
    donors: dict[str, str] = {}
    alone: list[tuple[str, str, str]] = []
    for pattern, names in sorted(alike.items()):
        if len(names) == 1:
            alone += [(sides[row], row, names[0]) for row in ordered[names[0]]]
            continue
        order = [names[at] for at in stream(seed, "shuffled transcripts", split, *pattern).permutation(len(names))]
        for name, donor in zip(order, np.roll(order, 1).tolist(), strict=True):
            donors |= dict(zip(ordered[name], ordered[donor], strict=True))
    return donors | _one_by_one(alone, seed, split)


def _one_by_one(alone: list[tuple[str, str, str]], seed: int, split: str) -> dict[str, str]:
    """Rows (A's side, id, group) of groups that are alike to none: of one side in turn, each the next group's."""
    donors: dict[str, str] = {}
    for side in sorted({side for side, _, _ in alone}):
        here = [(row, group) for own, row, group in alone if own == side]
        names = sorted({group for _, group in here})
        order = [names[at] for at in stream(seed, "shuffled transcripts", split, "alone", side).permutation(len(names))]
        queue = [row for name in order for row, group in here if group == name]
        # Turned by the largest group, no row meets its own group, unless that is more than half of them.
        most = max(sum(group == name for _, group in here) for name in names)
        group_of = dict(here)
        for row, donor in zip(queue, [*queue[most:], *queue[:most]], strict=True):
            donors[row] = donor if group_of[row] != group_of[donor] else row
    return donors
