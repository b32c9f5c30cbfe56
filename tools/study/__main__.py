"""`python -m tools.study RUN`: the tables of a finished study, written into docs/results.md between their marks."""

import sys
from pathlib import Path

import pandas as pd

from tools.study.page_tables import write_tables
from tools.study.tables import claims_table, methods_table, tasks_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results.md"


def main(run: Path) -> None:
    """Write every table of the page."""
    every = pd.read_csv(run / "results.csv", keep_default_na=False, na_values=[""])
    results = {str(name): part for name, part in every.groupby("pair", sort=False)}
    made = {
        "claims": claims_table(results),
        "tasks": tasks_table(results),
        "other tasks": tasks_table(results, outside=True),
        "methods": methods_table(results),
    }
    write_tables(PAGE, made)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
