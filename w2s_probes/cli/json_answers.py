"""The objects that `--json` prints: a field each with its meaning, from which docs/json.md and the schemas are made."""

import math
from pathlib import PurePath
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..io.plain_values import is_missing, plain
from ..printable import as_utf8


class JsonAnswer(BaseModel):
    """An answer, or a part of one: numbers that are not known, or have no end, are null."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return plain_json(value)


def plain_json(value: Any) -> Any:
    """A value as JSON holds it: NaN, missing values and infinity are None, paths are text, NumPy's are Python's."""
    if isinstance(value, PurePath | str):
        return as_utf8(str(value))
    if isinstance(value, dict):
        return {str(name): plain_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(part) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain_json(plain(value))
    if is_missing(value) or (isinstance(value, float) and math.isinf(value)):
        return None
    return value


class JsonEstimate(JsonAnswer):
    """A number with its 95 % interval."""

    value: float | None = Field(description="the number; null where it is not defined")
    low: float | None = Field(description="lower end of the 95 % interval")
    high: float | None = Field(description="upper end of it")

    @classmethod
    def of(cls, estimate: Any) -> "JsonEstimate | None":
        """From anything that has these three; None stays."""
        return None if estimate is None else cls(value=estimate.value, low=estimate.low, high=estimate.high)
