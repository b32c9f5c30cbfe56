"""What `w2s foretell --run` left in a run's folder, checked, and whether it is of this run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.io.sealed import CHECKSUM

from ...forecasts import FORETOLD, RUN_COLUMNS
from .columns import Cells, checked_table

FORETOLD_CELLS = Cells(
    numbers=("value", "chance"),
    ends=("low", "high"),
    whole=("seed", "draws", "n", "trusted"),
    names=("task", "measure", "needs", "status"),
    full=("seed", "n"),
    truths=("oracle",),
    known={"needs": ("no labels", "weak labels", "truth")},
)


@dataclass(frozen=True)
class ForetoldTable:
    """The measures of a run's tasks and seeds."""

    table: pd.DataFrame  # RUN_COLUMNS
    of_this_run: bool  # false where the run in the folder is another than the one that was measured


def read_foretold(folder: Path, record: Mapping[str, Any]) -> ForetoldTable | None:
    """The table of a run's folder; None where there is none. InputError, naming the file, where it is damaged."""
    file = folder / FORETOLD
    if not file.exists():
        return None
    if not file.is_file():
        raise InputError(f"{file}: no file: move it elsewhere")
    table = checked_table(file, RUN_COLUMNS, FORETOLD_CELLS)
    own = str(record.get(CHECKSUM, ""))[:16]
    return ForetoldTable(table, set(table["run"].fillna("").map(str)) == {own})
