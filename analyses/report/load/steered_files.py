"""What `w2s steer` wrote: its table, and the record beside it, checked."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from extract.steering.steer_files import BASE, CONTROLS, PROBE, STEER_COLUMNS, STEER_METRICS
from w2s_probes.errors import InputError
from w2s_probes.io.sealed import not_as_written
from w2s_probes.io.tables import table_format

from .columns import Cells, checked_table
from .records import read_record

STEER_CELLS = Cells(
    numbers=("strength", "value"),
    ends=("low", "high"),
    whole=("direction", "n"),
    names=("kind", "metric"),
    full=("value", "direction", "n"),
    truths=("oracle",),
    known={"kind": (BASE, PROBE, *CONTROLS), "metric": tuple(STEER_METRICS)},
)


class _SteerPart(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Ends(_SteerPart):
    value: float
    low: float | None
    high: float | None


class _Beside(_SteerPart):
    control: str
    mean: float
    low: float
    high: float
    p_toward: float | None
    p_size: float


class _Result(_SteerPart):
    strength: float | None
    log_odds: _Ends
    size: _Ends
    p: _Ends
    said: float | None
    auroc_weak: float | None
    auroc_truth: float | None
    beside: list[_Beside] = Field(min_length=1)


class _Base(_SteerPart):
    log_odds: float
    said: float | None
    auroc_weak: float | None
    auroc_truth: float | None


class _SteeredFrom(_SteerPart):
    model: str
    layer: int
    probe: str
    learned: int
    scale: float
    length: float
    dtype: str
    position: str
    from_token: int


class SteerRecord(_SteerPart):
    """The record of a steering, as far as the page reads it."""

    steered: _SteeredFrom
    by: str
    read: str
    words: list[str]
    prompt: str | None
    n: int
    groups: int | None
    random: int
    base: _Base
    results: list[_Result] = Field(min_length=1)
    files: dict[str, str] = {}  # SHA-256
    checksum: str = ""


@dataclass(frozen=True)
class SteeredFile:
    """A steering's table and record."""

    name: str  # the table's, below the folder asked for
    table: pd.DataFrame
    record: dict[str, Any]
    altered: dict[str, str] = field(default_factory=dict)  # files that are changed or gone since they were written


def read_steered(file: Path, name: str) -> SteeredFile:
    """Read a table and its record. InputError, naming the file, where one of them is missing or damaged."""
    beside = file.with_name(file.name.removesuffix(table_format(file)) + ".json")
    table = checked_table(file, set(STEER_COLUMNS), STEER_CELLS)
    if not beside.is_file():
        raise InputError(f"{beside}: missing beside {file.name}: steer again, or move the table elsewhere")
    record = read_record(beside, SteerRecord)
    return SteeredFile(name, table, record, not_as_written(beside, record, [file.name]))
