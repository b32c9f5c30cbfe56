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
from numpy.typing import NDArray
from scipy.stats import spearmanr

from analyses.forecasts import foretell_run, gains_of
from tools.study.page_tables import write_tables
from tools.study.tables import MINUS
from w2s_probes.foretelling import MEASURES
from w2s_probes.foretelling.track_record import TRACK_RECORD
from w2s_probes.io.json_files import read_json
from w2s_probes.randomness import stream

PAGE = Path(__file__).resolve().parents[2] / "docs" / "foretelling.md"
OUTCOMES = ("gain", "pgr", "filter gain", "relabel gain")
N_BOOT = 2000


def cells_of(study: Path, cache: Path) -> pd.DataFrame:
    """A line for each task, supervisor and measure: its mean over seeds, that of chance, and what was gained."""
    variants = [path.parent.name for path in sorted(study.glob("*/run.json"))]
    with ProcessPoolExecutor() as pool:
        tables = list(pool.map(foretell_run, [study / name for name in variants], [cache] * len(variants)))
    parts = []
    for name, table in zip(variants, tables, strict=True):
        means = table.groupby(["task", "measure"], sort=False)[["value", "chance"]].mean().reset_index()
        parts.append(means.merge(gains_of(study / name).reset_index(), on="task").assign(supervisor=name))
    cells = pd.concat(parts, ignore_index=True)
    return cells[["task", "supervisor", "measure", "value", "chance", *OUTCOMES]]


def correlation(cells: pd.DataFrame, outcome: str, *, n_boot: int = N_BOOT) -> dict[str, Any]:
    """Spearman's correlation of a measure's cells with an outcome, pooled and within supervisors.

    The interval is the bootstrap's over tasks, since a task's supervisors share its rows; `within` is the mean over
    supervisors of the correlation over tasks. Numbers that are not defined are None.
    """
    there = cells.dropna(subset=["value", outcome])
    tasks = sorted(there["task"].unique())
    if len(tasks) < 4:
        return {"n": len(there), "value": None, "low": None, "high": None, "within": None}
    by_task = [there[there["task"] == task][["value", outcome]].to_numpy() for task in tasks]
    rng = stream(0, "tasks")
    draws = []
    for _ in range(n_boot):
        drawn = np.concatenate([by_task[at] for at in rng.integers(len(tasks), size=len(tasks))])
        draws.append(_spearman(drawn))
    low, high = np.nanquantile(draws, [0.025, 0.975])
    within = [_spearman(part[["value", outcome]].to_numpy()) for _, part in there.groupby("supervisor")]
    value = _spearman(np.concatenate(by_task))
    numbers = {"value": value, "low": low, "high": high, "within": float(np.nanmean(within))}
    rounded = {name: None if np.isnan(one) else round(float(one), 3) for name, one in numbers.items()}
    return {"n": len(there), **rounded}


def _spearman(pairs: NDArray[np.float64]) -> float:
    constant = np.ptp(pairs[:, 0]) == 0 or np.ptp(pairs[:, 1]) == 0
    return float("nan") if constant or len(pairs) < 3 else float(spearmanr(pairs[:, 0], pairs[:, 1])[0])


def track_record(cells: pd.DataFrame, study: Path) -> dict[str, Any]:
    """What the package's data file holds: the study in words, each measure's correlations, and the cells."""
    record = read_json(next(iter(sorted(study.glob("*/run.json")))))
    recipe = record["recipe"]
    measures = {
        name: {outcome: correlation(cells[cells["measure"] == name], outcome) for outcome in OUTCOMES}
        for name in MEASURES
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
        cells = [_told(found[outcome]) for outcome in OUTCOMES]
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
