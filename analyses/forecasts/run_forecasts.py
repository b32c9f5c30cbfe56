"""Every measure of a finished run's trials, from its label files and the stores that it has left in the cache."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.foretelling import Forecast, foretell
from w2s_probes.io.json_files import read_json
from w2s_probes.labels.label_file import LabelFile
from w2s_probes.labels.label_set import truth_where_known
from w2s_probes.probes.registry import PROBES
from w2s_probes.progress import Progress, silent
from w2s_probes.rows.groups import groups_of
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.layers import one_layer
from w2s_probes.store.manifest import MANIFEST

from ..results.names import RECORD, RESULTS, TEST, labels_file, parse_trial_key

FORETOLD = "foretold.csv"  # in the run's folder
STORES = "activations"  # of the cache
RUN_COLUMNS = ["task", "seed", "measure", "value", "low", "high", "chance", "draws", "needs", "n", "oracle", "trusted"]
RUN_COLUMNS += ["status"]
GAINS = ("gain", "pgr", "filter gain", "relabel gain")


def foretell_run(
    run: Path | str,
    cache: Path | str,
    *,
    by: str = "logistic",
    l2: float | None = None,
    draws: int = 1,
    blocks: int = 0,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Every measure of every task and seed of a run, in long form (RUN_COLUMNS): the strong layer's, on training rows.

    The stores are those that the run has named in its record and left in the folder `cache`. The weak model's are read
    where the supervisor is a head on a layer that is there; other supervisors have no representation. The truth that a
    run's label files hold is an oracle's. `foretell` says what `draws` and `blocks` are.

    InputError for a folder without a record, and where the stores of the strong model are gone.
    """
    run, stores = Path(run), Path(cache) / STORES
    if not (run / RECORD).is_file():
        raise InputError(f"{run}: no {RECORD} of `w2s run` is in it")
    record = read_json(run / RECORD)
    try:
        recipe, keys = record["recipe"], {key: made["activations"] for key, made in record["runs"].items()}
        layer = recipe["strong"]["layer"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{run / RECORD}: is no record of `w2s run`") from error
    if not keys:
        raise InputError(f"{run / RECORD}: names no trials")
    probe = PROBES[by].make(l2)
    tables = []
    for done, (key, names) in enumerate(keys.items()):
        progress(f"{key}", done, len(keys))
        task, seed = parse_trial_key(key)
        forecast = _trial(run / labels_file(task, seed, "weak"), stores, names, layer, record, probe, draws, blocks)
        tables.append(forecast.to_frame().assign(task=task, seed=seed))
    progress("foretold", len(keys), len(keys))
    return pd.concat(tables, ignore_index=True)[RUN_COLUMNS]


def _trial(
    labels: Path,
    stores: Path,
    names: list[str],
    layer: Any,
    record: Mapping[str, Any],
    probe: Any,
    draws: int,
    blocks: int,
) -> Forecast:
    file = LabelFile.read(labels)
    table, weak = file.frame[file.training], file.weak
    ids = weak.ids[file.training]
    strong = next((one for one in _named(stores, names) if set(ids) <= set(one.ids)), None)
    if strong is None:
        raise InputError(f"{stores}: the stores of {labels.name} are gone: give the run's --cache, or run it again")
    X = strong.layer(strong.resolve(layer), ids=ids)
    below = _weak_store(stores, strong, record, ids)
    return foretell(
        X,
        weak.p[file.training],
        probe=probe,
        weak_X=None if below is None else below.layer(below.layers[0], ids=ids),
        truth=truth_where_known(table, file.where),
        groups=groups_of(table),
        draws=draws,
        blocks=blocks,
    )


def _named(stores: Path, names: list[str]) -> list[ActivationStore]:
    """The stores that a trial names by key, as far as they are there."""
    found = []
    for name in names:
        path = stores / name[:16]
        if (path / MANIFEST).is_file():
            found.append(ActivationStore.open(path))
    return found


def _weak_store(stores: Path, strong: ActivationStore, record: Mapping[str, Any], ids: Any) -> ActivationStore | None:
    """A store of the layer that the supervisor's head has read, of these rows; None where there is none."""
    weak = record["recipe"].get("weak", {})
    if weak.get("kind") != "head":
        return None
    weights, where = record.get("models", {}).get(weak["model"]), weak.get("position", "mean")
    for path in sorted(stores.glob(f"*/{MANIFEST}")):
        try:
            store = ActivationStore.open(path.parent)
        except InputError:  # unfinished, or not ours
            continue
        identity = store.manifest.identity
        same = identity.get("weights") == weights and identity.get("position") == where
        wanted = one_layer(weak.get("layer", -1), store.manifest.depth)
        if same and store.layers == [wanted] and store.key != strong.key and set(ids) <= set(store.ids):
            return store
    return None


def gains_of(run: Path | str) -> pd.DataFrame:
    """What students of a run gained, a line a task, as far as the methods were in the recipe.

    `gain`: AUROC of student-xent less the supervisor's; `pgr`: its PGR; `filter gain`, `relabel gain`: AUROC of
    filter-logistic and relabel-logistic less student-xent's. NaN for a method that was not run. All over seeds.
    """
    path = Path(run) / RESULTS
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return gains_in(pd.read_csv(path, keep_default_na=False, na_values=[""]))


def gains_in(results: pd.DataFrame) -> pd.DataFrame:
    """The same of a table of results."""
    own = results[(results["test_set"] == TEST) if "test_set" in results else slice(None)]
    over = own[own["seed"].isna()]
    chosen = over if len(over) else own

    def of(method: str, metric: str) -> "pd.Series[float]":
        lines = chosen[(chosen["method"] == method) & (chosen["metric"] == metric)]
        return lines.groupby("task")["value"].mean()

    tasks = pd.Index(chosen["task"].unique(), name="task")
    student, weak = of("student-xent", "auroc").reindex(tasks), of("weak", "auroc").reindex(tasks)
    table = pd.DataFrame({"gain": student - weak, "pgr": of("student-xent", "pgr_auroc").reindex(tasks)}, index=tasks)
    for kind in ("filter", "relabel"):
        table[f"{kind} gain"] = of(f"{kind}-logistic", "auroc").reindex(tasks) - student
    return table.astype(np.float64)
