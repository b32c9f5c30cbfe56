"""Preference data as TRL documents it: `chosen` and `rejected`, and `prompt` where it is apart from both."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import InputError
from ..rows.groups import GROUP
from ..ties import above_half
from .label_rows import LabelRows

FIELDS = (("first", "second"), ("chosen", "rejected"))  # where the two texts are looked for, unless said
ALWAYS = ("id", "text", GROUP, "split")  # carried without being asked for
SAME = "of two equal texts"


@dataclass(frozen=True)
class Pairs:
    """The places of a row's two texts.

    Either a row holds both, in the fields `first` and `second`, and its label is P(the first is the better one); or
    each text is a row of its own, its label P(it is the right one), and the two share the value of the field `by`.

    >>> Pairs(prompt="question", by="question").fields(["id", "text", "label", "question"], "labels.jsonl")
    ('question',)
    """

    prompt: str | None = None  # the field of what both reply to; without it they are whole texts, an implicit prompt
    first: str | None = None
    second: str | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        if (self.first is None) != (self.second is None):
            raise InputError("--first and --second are the fields of the two texts of a row: give both")
        if self.first is not None and self.first == self.second:
            raise InputError(f"--first and --second are both {self.first!r}: name the two fields of a pair's texts")
        if self.by is not None and self.first is not None:
            raise InputError("--pairs-by joins two rows, --first and --second name the texts of one: give one of them")

    def fields(self, columns: list[str], where: str) -> tuple[str, ...]:
        """The fields that must be carried, of a file with these columns; InputError where it holds no pairs."""
        named = (self.by,) if self.by is not None else self.texts(columns, where)
        wanted = dict.fromkeys((self.prompt, *named))
        return tuple(name for name in wanted if name is not None and name not in ALWAYS)

    def texts(self, columns: list[str], where: str) -> tuple[str, str]:
        """The two fields of a row that holds both texts."""
        if self.first is not None and self.second is not None:
            return self.first, self.second
        for pair in FIELDS:
            if set(pair) <= set(columns):
                return pair
        raise InputError(
            f"{where}: holds no pairs: name the fields of a row's two texts with --first and --second, or the field "
            "that two rows share with --pairs-by"
        )


def preferences(rows: LabelRows, pairs: Pairs) -> tuple[pa.Table, LabelRows]:
    """The table of pairs, and the rows it was made of with those counted that fit into none.

    A label of exactly ½ says nothing, and so do two equal ones, and two equal texts: such pairs are left out.
    """
    if pairs.by is not None:
        return _joined(rows, pairs, pairs.by)
    first, second = pairs.texts(rows.table.column_names, rows.where)
    decided = rows.without(rows.p != 0.5, "undecided (label of one half)")
    _refuse_none(decided)
    a, b = (np.array(decided.texts(name), dtype=object) for name in (first, second))
    differ = np.asarray(a != b, dtype=bool)
    decided, a, b = decided.without(differ, SAME), a[differ], b[differ]
    _refuse_none(decided)
    better = above_half(decided.p)
    columns = _prompt(decided, pairs)
    columns["chosen"] = pa.array(np.where(better, a, b), pa.string())
    columns["rejected"] = pa.array(np.where(better, b, a), pa.string())
    columns["first_is_chosen"] = pa.array(better)
    columns["soft_label"] = decided.table["label"]
    columns["id"] = decided.table["id"]
    used = [name for name in (first, second, pairs.prompt) if name is not None]
    return decided.beside(columns, without=used), decided


def _joined(rows: LabelRows, pairs: Pairs, by: str) -> tuple[pa.Table, LabelRows]:
    if by not in rows.table.column_names:
        raise InputError(f"{rows.where}: no field {by!r} to join rows into pairs by")
    members_of: dict[Any, list[int]] = {}
    for row, value in enumerate(rows.table[by].to_pylist()):
        if value is not None:
            members_of.setdefault(repr(value), []).append(row)
    single = np.ones(len(rows), dtype=bool)
    equal = np.ones(len(rows), dtype=bool)
    decided: list[tuple[int, int]] = []  # the better row, and the other
    for members in members_of.values():
        if len(members) != 2:
            continue
        single[members] = False
        a, b = sorted(members, key=lambda row: -rows.p[row])
        if rows.p[a] == rows.p[b]:
            continue
        equal[members] = False
        decided.append((a, b))
    counted = rows.without(~single, f"that are not one of two with the same {by}")
    if len(counted):
        counted = counted.without(~equal[~single], "undecided (two equal labels)")
    _refuse_none(counted)
    in_pairs = np.flatnonzero(~equal).tolist()
    text_of = dict(zip(in_pairs, counted.texts(), strict=True))
    alike = {row for one, two in decided if text_of[one] == text_of[two] for row in (one, two)}
    counted = counted.without(np.array([row not in alike for row in in_pairs]), SAME)
    _refuse_none(counted)
    good, bad = (rows.table.take([pair[side] for pair in decided if pair[0] not in alike]) for side in (0, 1))
    if pairs.prompt is not None:
        asked, other = (LabelRows(t, rows.where, {}, 0).texts(pairs.prompt) for t in (good, bad))
        for row_id, one, two in zip(good["id"].to_pylist(), asked, other, strict=True):
            if one != two:
                raise InputError(f"{rows.where}: row {row_id!r} and its partner by {by!r} have different prompts")
    if "split" in rows.table.column_names:
        for row_id, one, two in zip(
            *(t[n].to_pylist() for t, n in ((good, "id"), (good, "split"), (bad, "split"))), strict=True
        ):
            if one != two:  # else a test text would be trained on
                raise InputError(f"{rows.where}: row {row_id!r} and its partner by {by!r} are of different splits")
    columns = _prompt(LabelRows(good, rows.where, {}, 0), pairs)
    columns |= {"chosen": good["text"], "rejected": bad["text"]}
    shared = [name for name in (GROUP, "split", by) if name in rows.table.column_names and name != pairs.prompt]
    for name in rows.table.column_names:
        if name not in (*shared, "text", "label", pairs.prompt):
            columns |= {f"{name}_chosen": good[name], f"{name}_rejected": bad[name]}
    if taken := [name for name in shared if name in columns]:
        raise InputError(f"{rows.where}: pairs have a column {taken[0]!r} of their own: rename the field {taken[0]!r}")
    return pa.table(columns | {name: good[name] for name in shared}), counted


def _prompt(rows: LabelRows, pairs: Pairs) -> dict[str, Any]:
    return {} if pairs.prompt is None else {"prompt": pa.array(rows.texts(pairs.prompt))}


def _refuse_none(rows: LabelRows) -> None:
    if not len(rows):
        reasons = ", ".join(f"{n} {why}" for why, n in rows.left_out.items())
        raise InputError(f"{rows.where}: no pair is left to export ({reasons})")
