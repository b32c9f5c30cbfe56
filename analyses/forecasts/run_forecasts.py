"""Every measure of a finished run's trials, from its label files and the stores that it has left in the cache."""

from pathlib import Path
from typing import Any

import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.foretelling import Forecast, foretell
from w2s_probes.io.json_files import read_json
from w2s_probes.io.sealed import CHECKSUM
from w2s_probes.labels.label_file import LabelFile
from w2s_probes.labels.label_set import truth_where_known
from w2s_probes.probes.registry import PROBES
from w2s_probes.progress import Progress, silent
from w2s_probes.rows.groups import groups_of

from ..results.names import RECORD, labels_file, parse_trial_key
from .gains import RUN_COLUMNS
from .run_stores import STORES, RunStores


def foretell_run(
    run: Path | str,
    cache: Path | str,
    *,
    by: str = "logistic",
    k: int | None = None,
    l2: float | None = None,
    draws: int = 1,
    blocks: int = 0,
    seed: int = 0,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Every measure of every task and seed of a run, in long form (RUN_COLUMNS): the strong layer's, on training rows.

    Of `run.json` the beginning of its checksum stands in `run`, so that a later run's numbers are not taken for these.

    The stores are those that the run has named in its record and left in the folder `cache`. The weak model's are read
    where the supervisor is a head on a layer that is there; other supervisors have no representation. The truth that a
    run's label files hold is an oracle's. `foretell` says what `draws` and `blocks` are.

    InputError for a folder without a record, and where the stores of the strong model are gone.
    """
    run = Path(run)
    if not (run / RECORD).is_file():
        raise InputError(f"{run}: no {RECORD} of `w2s run` is in it")
    record = read_json(run / RECORD)
    try:
        keys = {key: made["activations"] for key, made in record["runs"].items()}
        stores = RunStores(Path(cache) / STORES, {"recipe": {"strong": {}}} | record)
    except (KeyError, TypeError) as error:
        raise InputError(f"{run / RECORD}: is no record of `w2s run`") from error
    if not keys:
        raise InputError(f"{run / RECORD}: names no trials")
    entry = PROBES[by]
    probe = entry.make(k if entry.value == "k" else l2)
    tables = []
    for done, (key, names) in enumerate(keys.items()):
        progress(f"{key}", done, len(keys))
        task, of_seed = parse_trial_key(key)
        how = {"probe": probe, "draws": draws, "blocks": blocks, "seed": seed}
        forecast = _trial(run / labels_file(task, of_seed, "weak"), names, stores, how)
        tables.append(forecast.to_frame().assign(task=task, seed=of_seed, run=str(record.get(CHECKSUM, ""))[:16]))
    progress("foretold", len(keys), len(keys))
    return pd.concat(tables, ignore_index=True)[RUN_COLUMNS]


def _trial(labels: Path, names: list[str], stores: RunStores, how: dict[str, Any]) -> Forecast:
    file = LabelFile.read(labels)
    table, weak = file.frame[file.training], file.weak
    ids = weak.ids[file.training]
    return foretell(
        stores.strong(names, ids),
        weak.p[file.training],
        weak_X=stores.weak(names, ids),
        truth=truth_where_known(table, file.where),
        groups=groups_of(table),
        **how,
    )
