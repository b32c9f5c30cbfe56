"""Groups: one reading of the user's column, and codes in which exact duplicates count as related."""

import ast
import re

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from w2s_probes import InputError
from w2s_probes.rows.groups import GROUP, group_ids, group_numbers, groups_of, largest_group, linked


def test_one_module_alone_spells_the_columns_name() -> None:
    spelled = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for package in ("w2s_probes", "extract", "analyses")
        for file in sorted((ROOT / package).rglob("*.py"))
        if re.search(rf"['\"]{GROUP}['\"]", text := file.read_text())  # others take their time to be parsed
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and node.value == GROUP
    ]
    assert len(spelled) == 1
    assert spelled[0].startswith("w2s_probes/rows/groups.py:")


@pytest.mark.parametrize("none", [None, np.nan, pd.NA])
def test_a_row_without_a_group_stands_alone(none: object) -> None:
    groups = groups_of(pd.DataFrame({"group": pd.Series(["a", none, "a", none, "b"], dtype=object)}))
    numbers = group_numbers(groups, 5)
    assert numbers is not None
    assert numbers[0] == numbers[2]
    assert len(set(numbers)) == 4
    assert group_ids(np.arange(5, dtype=np.float32)[:, None], groups).tolist() == [0, 1, 0, 2, 3]


@pytest.mark.parametrize("table", [{"id": ["x", "y"]}, {"group": ["a", "b"]}, {"group": [None, None]}])
def test_a_table_in_which_no_two_rows_are_related_has_no_groups(table: dict[str, list[object]]) -> None:
    assert groups_of(pd.DataFrame(table)) is None
    assert group_numbers(None, 2) is None


def test_groups_and_duplicates_are_joined_along_every_chain() -> None:
    X = np.array([[0], [1], [1], [2], [3], [4]], dtype=np.float32)
    ids = group_ids(X, np.array(["a", "a", "b", "b", None, float("nan")], dtype=object))
    assert [(ids == code).sum() for code in ids] == [4, 4, 4, 4, 1, 1]
    assert largest_group(ids) == 4
    assert linked(np.arange(3), np.arange(3)).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match=r"groups have shape \(2,\) but there are 6 rows"):
        group_ids(X, [1, 2])
