"""The results of many runs in one tidy table."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.printable import as_utf8

from ..report.load.folder import read_results
from ..report.load.places import find_runs
from ..results.names import RESULT_COLUMNS
from ..results.unreadable_pgr import lines_over_seeds

RUN = "run"  # the column that says whose line it is


@dataclass(frozen=True)
class CollectedResults:
    """The lines of several runs' results.csv, and where they come from."""

    table: pd.DataFrame  # `run`, and the columns of results.csv
    runs: list[str]  # as in the column `run`: the folder as it was named, and what is below it
    unfinished: list[str]  # runs that have begun and not ended, of which nothing is in the table


def collect_results(
    folders: Sequence[Path | str],
    *,
    metrics: Collection[str] = (),
    methods: Collection[str] = (),
    over_seeds: bool = False,
) -> CollectedResults:
    """The results of the runs in these folders, each a run's own or one that holds such, as `w2s report` finds them.

    `metrics` and `methods` keep those alone. `over_seeds` keeps the lines over all seeds, and of a run with one seed
    its own. InputError where a folder has no finished run, a table is damaged, or no line has such a metric or method.
    """
    places: dict[Path, str] = {}
    unfinished: list[str] = []
    for folder in map(Path, folders):
        found = find_runs(folder)
        for below in found.finished:
            places.setdefault((folder / below).resolve(), _name(folder, below))
        unfinished += [_name(folder, below) for below in found.unfinished]
    if not places:
        begun = f": {unfinished[0]} has not finished: the same `w2s run` goes on from there" if unfinished else ""
        raise InputError(f"{', '.join(map(str, folders)) or 'no folder'}: no finished run in it{begun}")
    tables = []
    for place, name in places.items():
        table = read_results(place)
        if over_seeds:
            table = pd.concat([lines_over_seeds(part) for _, part in table.groupby("task", sort=False)])
        tables.append(table.assign(**{RUN: name}))
    joined = pd.concat(tables, ignore_index=True)
    for column, wanted in (("metric", metrics), ("method", methods)):
        joined = _only(joined, column, wanted)
    whole = [name for name in ("seed", "layer", "k", "n", "seeds") if name in joined]
    joined = joined[[RUN, *_in_order(joined)]].reset_index(drop=True)
    return CollectedResults(joined.astype(dict.fromkeys(whole, "Int64")), list(places.values()), unfinished)


def _name(folder: Path, below: str) -> str:
    return as_utf8(folder.joinpath(below).as_posix())


def _only(table: pd.DataFrame, column: str, wanted: Collection[str]) -> pd.DataFrame:
    known = table[column].astype(str).unique()
    for name in wanted:
        if name not in known:
            raise InputError(f"no line of these runs has the {column} {name!r}: {did_you_mean(name, known)}")
    return table[table[column].isin(list(wanted))] if wanted else table


def _in_order(table: pd.DataFrame) -> list[str]:
    """The columns of results.csv in its order, then others."""
    known = [name for name in RESULT_COLUMNS if name in table]
    return [*known, *(str(name) for name in table if name not in known and name != RUN)]
