"""What lies in a folder: runs, sweeps and filtered label files, read and checked; a damaged file is named."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.tables import FORMATS, read_table, table_format

from .peeking import columns_of

RESULTS, COMPARISONS, RECORD, RECIPE = "results.csv", "comparisons.csv", "run.json", "recipe.toml"
PREDICTIONS, FILTERS, LABELS = "predictions", "filters", "labels"
OWN = {"activations", "kept", "labels", PREDICTIONS, FILTERS, "curves"}  # folders of a run, not searched for others
DEEP = 2  # folders below the one that is asked for: pairs of a ladder, or a folder of sweeps

RESULT_COLUMNS = {"task", "seed", "method", "metric", "value", "low", "high", "n", "status", "oracle"}
COMPARISON_COLUMNS = {"metric", "method", "against", "tasks", "better", "difference", "p_wilcoxon_holm", "pooled_pgr"}
SWEEP_COLUMNS = {"labels", "seed", "layer", "probe", "k", "l2", "rows", "metric", "value", "low", "high", "oracle"}
FILTER_COLUMNS = {"id", "label", "keep", "reason"}


@dataclass(frozen=True)
class Filtered:
    """A label file with a filter's verdict on each row."""

    name: str  # the file's
    table: pd.DataFrame
    task: str = ""  # of a run's filter, whose method is `by`
    seed: int | None = None
    by: str = ""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    name: str  # its folder below the one asked for; empty for that one itself
    record: dict[str, Any]
    results: pd.DataFrame
    comparisons: pd.DataFrame
    recipe: str | None  # TOML; None in folders of earlier versions
    predictions: dict[str, dict[int, pd.DataFrame]]  # test scores by task and seed, as far as they are there
    filtered: list[Filtered]

    @property
    def baseline(self) -> str:
        """The plain student."""
        return str(self.record["recipe"].get("baseline", "student-xent"))


@dataclass(frozen=True)
class Sweep:
    """A sweep's table, and its record where there is one."""

    name: str
    table: pd.DataFrame
    record: dict[str, Any] | None


@dataclass(frozen=True)
class Contents:
    """All that a report is made of."""

    name: str  # of the folder
    runs: list[Run]
    sweeps: list[Sweep]
    filtered: list[Filtered]
    unfinished: list[str]  # folders of runs that have begun and not ended


def read_folder(folder: Path) -> Contents:
    """Read a folder. InputError where nothing in it can be reported, or a file is damaged or missing."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; a report is made of what a run, a sweep or a filter wrote there")
    runs, sweeps, filtered, unfinished = [], [], [], []
    for place in _folders(folder, DEEP):
        name = place.relative_to(folder).as_posix() if place != folder else ""
        if (place / RECORD).is_file():
            runs.append(_run(place, name))
        elif (place / LABELS).is_dir():
            unfinished.append(name or place.name)
        elif (place / RESULTS).is_file() and "pair" not in columns_of(place / RESULTS):
            raise InputError(
                f"{place / RESULTS}: {RECORD} is not beside it: run the recipe again, which reuses the rest"
            )
        for file in sorted(place.iterdir()):
            if file.is_file() and file.name.endswith(FORMATS) and file.name not in (RESULTS, COMPARISONS):
                found = columns_of(file)
                below = f"{name}/{file.name}" if name else file.name
                if found >= SWEEP_COLUMNS or file.name.startswith("sweep."):
                    sweeps.append(_sweep(file, below))
                elif found >= FILTER_COLUMNS:
                    filtered.append(Filtered(below, _verdicts(file)))
    if not runs and not sweeps and not filtered:
        if unfinished:
            raise InputError(f"{folder}: its run has not finished: the same `w2s run` command goes on from there")
        raise InputError(f"{folder}: nothing to report: no results of `w2s run`, `w2s sweep` or `w2s filter` are in it")
    return Contents(folder.resolve().name, runs, sweeps, filtered, unfinished)


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth:
        for one in sorted(folder.iterdir()):
            if one.is_dir() and one.name not in OWN and not one.name.startswith("."):
                yield from _folders(one, depth - 1)


def _run(folder: Path, name: str) -> Run:
    record = _json(folder / RECORD)
    for needed in (RESULTS, COMPARISONS):
        if not (folder / needed).is_file():
            raise InputError(f"{folder / needed}: missing beside {RECORD}: run the recipe again, which reuses the rest")
    if not {"recipe", "runs", "versions"} <= record.keys() or not isinstance(record["runs"], dict):
        raise InputError(f"{folder / RECORD}: not the record of a run; run the recipe again")
    results = _table(folder / RESULTS, RESULT_COLUMNS)
    comparisons = _table(folder / COMPARISONS, COMPARISON_COLUMNS)
    recipe = (folder / RECIPE).read_text(encoding="utf-8") if (folder / RECIPE).is_file() else None
    predictions: dict[str, dict[int, pd.DataFrame]] = {}
    filtered = []
    for key, made in record["runs"].items():
        task, _, seed = key.rpartition(", seed ")
        stem = f"{task}-{seed}"
        scores = folder / PREDICTIONS / f"{stem}.csv"
        if scores.is_file():
            predictions.setdefault(task, {})[int(seed)] = _table(scores, {"id", "truth"})
        for method in filters_of([*made.get("taken", made.get("methods", {}))]):
            file = folder / FILTERS / f"{stem}-{method}.jsonl.gz"
            if file.is_file():
                filtered.append(Filtered(f"{FILTERS}/{file.name}", _verdicts(file), task, int(seed), method))
    return Run(name, record, results, comparisons, recipe, predictions, filtered)


def filters_of(methods: Iterable[str]) -> list[str]:
    """The methods whose filter has a card of its own: no control, and none that filters as another one does."""
    own = set(methods)
    relabelled = {name for name in own if name.replace("filter-relabel-", "filter-", 1) in own - {name}}
    return [name for name in methods if not name.startswith("control-") and name not in relabelled]


def _sweep(file: Path, name: str) -> Sweep:
    record = file.with_name(file.name.removesuffix(table_format(file)) + ".json")
    return Sweep(name, _table(file, SWEEP_COLUMNS), _json(record) if record.is_file() else None)


def _verdicts(file: Path) -> pd.DataFrame:
    table = _table(file, FILTER_COLUMNS)
    wrong = ~table["keep"].isin([True, False])
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"{file}: keep of row {table['id'].iloc[row]!r} is neither true nor false")
    return table.astype({"keep": bool})


def _table(file: Path, needed: set[str]) -> pd.DataFrame:
    """A table with at least these columns."""
    if file.suffix == ".csv" and file.is_file() and not file.read_bytes().endswith(b"\n"):
        raise InputError(f"{file}: cut off in its last line: make it again")
    table = read_table(file)
    missing = sorted(needed - set(table.columns))
    if missing:
        raise InputError(f"{file}: has no column {missing[0]!r}: it is damaged, or no file of this kind")
    return table


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON ({str(error).splitlines()[0]}): make it again") from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: a JSON object was expected")
    return content
