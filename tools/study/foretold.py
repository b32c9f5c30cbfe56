"""`python -m tools.study.foretold RUN [CACHE]`: how well what is foretold has foretold the gains of a finished study.

Writes w2s_probes/foretelling/track_record.json, which `w2s foretell` reads, and the tables of docs/foretelling.md.
"""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analyses.forecasts import GAINS, foretell_run, gains_of, rank_correlation
from analyses.forecasts import cells_of as run_cells
from tools.study.page_tables import write_tables
from tools.study.tables import MINUS
from w2s_probes.foretelling import MEASURES
from w2s_probes.foretelling.track_record import TRACK_RECORD
from w2s_probes.io.json_files import read_json

PAGE = Path(__file__).resolve().parents[2] / "docs" / "foretelling.md"


def cells_of(study: Path, cache: Path) -> pd.DataFrame:
    """A line for each task, supervisor and measure: its mean over seeds, that of chance, and what was gained."""
    variants = [path.parent.name for path in sorted(study.glob("*/run.json"))]
    with ProcessPoolExecutor() as pool:
        tables = list(pool.map(foretell_run, [study / name for name in variants], [cache] * len(variants)))
    parts = []
    for name, table in zip(variants, tables, strict=True):
        parts.append(run_cells(table, gains_of(study / name)).assign(supervisor=name))
    cells = pd.concat(parts, ignore_index=True)
    return cells[["task", "supervisor", "measure", "value", "chance", *GAINS]]


def correlation(cells: pd.DataFrame, outcome: str) -> dict[str, Any]:
    """`rank_correlation`, rounded; numbers that are not defined are None. A supervisor is a run."""
    found = rank_correlation(cells.assign(run=cells["supervisor"]), outcome)
    numbers = {name: getattr(found, name) for name in ("value", "low", "high", "within")}
    return {"n": found.n, **{name: None if np.isnan(one) else round(one, 3) for name, one in numbers.items()}}


def track_record(cells: pd.DataFrame, study: Path) -> dict[str, Any]:
    """What the package's data file holds: the study in words, each measure's correlations, and the cells."""
    record = read_json(next(iter(sorted(study.glob("*/run.json")))))
    recipe = record["recipe"]
    measures = {
        name: {outcome: correlation(cells[cells["measure"] == name], outcome) for outcome in GAINS} for name in MEASURES
    }
    lines = cells.astype(object).where(cells.notna(), None).to_dict(orient="records")
    rounded = [{key: round(v, 5) if isinstance(v, float) else v for key, v in line.items()} for line in lines]
    return {
        "encoder": recipe["strong"]["model"].removeprefix("package:").partition("/")[0],
        "layer": recipe["strong"]["layer"],
        "tasks": len(cells["task"].unique()),
        "supervisors": sorted(cells["supervisor"].unique()),
        "seeds": len(recipe["seeds"]),
        "probe": "logistic",
        "measures": measures,
        "cells": rounded,
    }


def correlations_table(record: dict[str, Any]) -> str:
    """A line a measure: rank correlations with each outcome, the pooled one with its interval."""
    lines = ["| measure | cells | gain | within supervisors | PGR | filter's gain | relabelling's gain |"]
    lines.append("|---|---:|---|---:|---|---|---|")
    for name, found in record["measures"].items():
        cells = [_told(found[outcome]) for outcome in GAINS]
        within = found["gain"]["within"]
        beside = "–" if within is None else f"{within:+.2f}".translate(MINUS)
        lines.append(f"| {name} | {found['gain']['n']} | {cells[0]} | {beside} | {' | '.join(cells[1:])} |")
    return "\n".join(lines)


def values_table(cells: pd.DataFrame) -> str:
    """A line a measure: the least, middle and largest value over cells, and the middle of its level of chance."""
    lines = ["| measure | least | median | largest | by chance, median |", "|---|---:|---:|---:|---:|"]
    for name in MEASURES:
        part = cells[cells["measure"] == name].dropna(subset="value")
        if len(part):
            numbers = (part["value"].min(), part["value"].median(), part["value"].max(), part["chance"].median())
            lines.append(f"| {name} | {' | '.join(f'{one:.3f}'.translate(MINUS) for one in numbers)} |")
    return "\n".join(lines)


def _json(record: dict[str, Any]) -> str:
    """JSON with a cell a line, so that a change of the study can be read."""
    head = json.dumps(record | {"cells": []}, indent=1).removesuffix("[]\n}")
    return head + "[\n" + ",\n".join(json.dumps(cell) for cell in record["cells"]) + "\n]\n}\n"


def _told(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return "–"
    return f"{found['value']:+.2f} [{found['low']:+.2f}, {found['high']:+.2f}]".translate(MINUS)


def main(study: Path, cache: Path) -> None:
    """Measure, then write the data file and the page."""
    cells = cells_of(study, cache)
    record = track_record(cells, study)
    TRACK_RECORD.write_text(_json(record), encoding="utf-8")
    write_tables(PAGE, {"correlations": correlations_table(record), "values": values_table(cells)})


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    main(folder, Path(sys.argv[2]) if len(sys.argv) > 2 else folder.with_name(f"{folder.name}cache"))
