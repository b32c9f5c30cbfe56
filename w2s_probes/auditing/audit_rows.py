"""The rows of an audit: what a person is given to answer, and what tells later that it is the same draw.

A row has `id`, `text`, `truth` (to be answered), its place in the random `order`, an opaque `stratum`, its
`inclusion_probability`, and, the same in every row, the `design` and a `checksum` of design, ids and probabilities.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, preview
from ..io.json_files import parse_json
from ..io.plain_values import is_missing
from ..labels.label_file import LabelFile
from ..noise.audits import INCLUSION
from ..rows.fields import number

TEXT, WEAK, ANSWER = "text", "weak_label", "truth"
ORDER, STRATUM, DESIGN, CHECKSUM = "order", "stratum", "design", "checksum"
MACHINE = (ORDER, STRATUM, INCLUSION, DESIGN, CHECKSUM)  # what no person changes
NEEDED = ("id", ANSWER, *MACHINE)
KEYS = {"by", "n", "rows", "seed", "labels"}  # that every design has
DIGITS = 6  # of a probability in the checksum: a spreadsheet may drop those behind


@dataclass(frozen=True)
class AuditRows:
    """An audit as it was drawn, or with answers: a table of n rows in the drawn order, and how they were drawn."""

    table: pd.DataFrame  # of NEEDED and, where there are any, `text` and `weak_label`
    design: dict[str, Any]
    where: str = "the audit"  # its name, for errors

    @classmethod
    def drawn(cls, table: pd.DataFrame, design: dict[str, Any]) -> "AuditRows":
        """A new audit from a table without its last two columns."""
        text = json.dumps(design, sort_keys=True, separators=(",", ":"))
        return cls(table.assign(**{DESIGN: text, CHECKSUM: checksum(table, text)}), design)

    @classmethod
    def of(cls, table: pd.DataFrame, where: str) -> "AuditRows":
        """An audit from a file's table, in the drawn order; InputError where it is not the draw that was written."""
        if lacking := [name for name in NEEDED if name not in table]:
            raise InputError(f"{where}: no column {lacking[0]!r}: it is no audit of `w2s audit draw`, or cut")
        for name in (DESIGN, CHECKSUM):
            if len(set(map(str, table[name]))) > 1:
                raise InputError(f"{where}: its rows have several values of {name!r}: rows of two audits are mixed")
        text, sum_there = str(table[DESIGN].iloc[0]), str(table[CHECKSUM].iloc[0])
        design = parse_json(text, f"{where}: the design")
        if not isinstance(design, dict) or not set(design) >= KEYS or type(design["n"]) is not int:
            raise InputError(f"{where}: the design {text[:60]!r} is none that `w2s audit draw` writes")
        numbers: dict[str, Any] = {
            ORDER: _numbers(table, ORDER, where).astype(int),
            INCLUSION: _numbers(table, INCLUSION, where),
            STRATUM: table[STRATUM].map(str),
        }
        typed = table.assign(**numbers).sort_values(ORDER, ignore_index=True)
        _refuse_other_rows(typed, int(design["n"]), where)
        if checksum(typed, text) != sum_there:
            raise InputError(
                f"{where}: ids, probabilities or the design are not those that were drawn (checksum): put the answers "
                "into the file that `w2s audit draw` wrote, and change nothing else"
            )
        return cls(typed, design, where)

    @property
    def names(self) -> tuple[str, str]:
        """What the two classes are called."""
        zero, one = self.design.get("names", ("0", "1"))
        return str(zero), str(one)

    @property
    def answers(self) -> NDArray[np.float64]:
        """The truth (n,) as answered, 0 or 1, NaN where it is not; InputError for any other answer."""
        zero, one = (name.casefold() for name in self.names)
        found = np.full(len(self.table), np.nan)
        for row, value in enumerate(self.table[ANSWER].tolist()):
            if is_missing(value) or (isinstance(value, str) and not value.strip()):
                continue
            said = str(value).strip().casefold()
            known = {zero: 0.0, one: 1.0}.get(said, number(value))
            if isinstance(known, str) or known not in (0, 1):
                raise InputError(
                    f"{self.where}: the answer of row {self.table['id'].iloc[row]!r} is {str(value)[:40]!r}: it is "
                    + ("0 or 1" if self.names == ("0", "1") else f"0 or 1, {self.names[0]} or {self.names[1]}")
                )
            found[row] = float(known)
        return found


def checksum(table: pd.DataFrame, design: str) -> str:
    """A hash of the design and, in the drawn order, of ids, strata and probabilities."""
    rows = zip(table[ORDER], table["id"], table[STRATUM], table[INCLUSION], strict=True)
    lines = sorted((int(at), str(row), str(stratum), f"{pi:.{DIGITS}g}") for at, row, stratum, pi in rows)
    return hashlib.sha256(json.dumps([design, lines]).encode()).hexdigest()[:32]


def identity_of(file: LabelFile) -> str:
    """A hash of the ids and labels of the training rows, whatever their order and the file's format."""
    ids, p = file.weak.ids[file.training], file.weak.p[file.training]
    lines = sorted(json.dumps([str(name), float(value)]) for name, value in zip(ids, p, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _numbers(table: pd.DataFrame, name: str, where: str) -> NDArray[np.float64]:
    """A column of numbers (n,); InputError, by row, for what is none."""
    values = [number(value) for value in table[name].tolist()]
    for row, value in enumerate(values):
        if isinstance(value, str) or is_missing(value) or not 0 < value:
            raise InputError(f"{where}: the {name} of row {table['id'].iloc[row]!r} is not what was drawn: {value!r}")
    return np.array(values, dtype=np.float64)


def _refuse_other_rows(table: pd.DataFrame, n: int, where: str) -> None:
    """InputError unless there is each of the n drawn rows, once."""
    places = table[ORDER].tolist()
    if len(set(places)) < len(places):
        doubled = table["id"][table[ORDER].duplicated(keep=False)].tolist()
        raise InputError(f"{where}: rows {preview(doubled)} have one place in the drawn order: a row is doubled")
    if missing := sorted(set(range(1, n + 1)) - set(places)):
        raise InputError(
            f"{where}: {len(missing)} of the {n} rows drawn are missing, first number {missing[0]} of the order: "
            "leave unanswered rows in the file, with an empty truth"
        )
    if beyond := sorted(set(places) - set(range(1, n + 1))):
        raise InputError(f"{where}: {n} rows were drawn, but there is a number {beyond[0]} of the order")
