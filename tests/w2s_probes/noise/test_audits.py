"""The truth of some rows from a file of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from w2s_probes.errors import InputError
from w2s_probes.io.tables import write_table
from w2s_probes.noise.audits import with_audit

IDS = np.array(["a", "b", "c", "d"], dtype=object)
FILE = np.array(["a", "b", "c", "d", "held"], dtype=object)


def written(folder: Path, rows: dict[str, list[Any]], ending: str = ".jsonl") -> Path:
    path = folder / f"audit{ending}"
    write_table(pd.DataFrame(rows), path)
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_an_audit_fills_in_what_the_label_file_does_not_say_joined_by_id(ending: str, tmp_path: Path) -> None:
    path = written(tmp_path, {"id": ["held", "d", "b"], "truth": [1, 0, 1]}, ending)
    np.testing.assert_array_equal(with_audit(IDS, None, path, FILE), [np.nan, 1, np.nan, 0])
    own = np.array([1, np.nan, np.nan, 0])
    np.testing.assert_array_equal(with_audit(IDS, own, path, FILE), [1, 1, np.nan, 0])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"id": ["a", "e"], "truth": [1, 0]}, "1 of its 2 rows are not in the label file: 'e'"),
        ({"id": ["held"], "truth": [1]}, "none of its 1 rows is a training row"),
        ({"id": ["a"], "truth": [0]}, "the truth of row 'a' is 0, but the label file says 1"),
        ({"id": ["a", "a"], "truth": [1, 1]}, "audit.jsonl: "),
        ({"id": ["a"], "label": [1]}, "no row has a `truth`"),
        ({"id": ["a"], "truth": [1.5]}, "1.5"),
        ({"truth": [1]}, "id"),
    ],
)
def test_what_is_no_audit_of_these_rows_is_refused(rows: dict[str, list[Any]], said: str, tmp_path: Path) -> None:
    own = np.array([1, np.nan, np.nan, np.nan])
    with pytest.raises(InputError, match=said):
        with_audit(IDS, own, written(tmp_path, rows), FILE)
