"""The lines of a run's tables by test set."""

import pandas as pd

from ...results.names import TEST


def by_test_set(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The lines of the tasks' own test sets, and those of others; earlier folders have no such column."""
    if "test_set" not in table:
        return table, table[:0].assign(test_set="")
    own = table["test_set"] == TEST
    return table[own], table[~own]
