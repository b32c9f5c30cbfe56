"""Folders to report on, with made-up scores: no model is needed, and what is written is written by the real code."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from analyses.experiment import Outcome
from analyses.experiment.outcomes import write_verdict
from analyses.experiment.row_sets import RowSets
from analyses.lessons.clock import StepTime
from analyses.recipe.fusion import is_fusion
from analyses.recipe.gold_names import GOLD_ALONE, GOLD_ROWS, SELECT, WEAK_ROWS, GoldName
from analyses.results.comparisons import compare
from analyses.results.names import COMPARISONS, RECIPE, RECORD, RESULTS, filter_file, trial_files, trial_key
from analyses.results.run_folder import write_predictions, write_recipe, write_record
from analyses.results.table import results_table, task_rows
from analyses.results.trial_result import TrialResult
from tests.worlds.experiments import small_recipe
from w2s_probes.filtering.disagreement import disagreement_filter
from w2s_probes.io.tables import write_table
from w2s_probes.metrics.metric_names import DEFAULT_METRICS, Metric

PLAIN = "student-xent"
FILTER, RANDOM, ORACLE = "filter-knn", "control-random:filter-knn", "control-oracle-filter"
SIGNAL = {"weak": 0.8, "ceiling": 3.0, PLAIN: 1.5, FILTER: 1.5, RANDOM: 1.5}  # distance of the classes' mean scores
TEXT = "the film <b>was</b> good & long"


def write_run(
    folder: Path,
    tasks: Sequence[str] = ("alpha", "beta", "gamma", "delta"),
    *,
    seeds: Sequence[int] = (0,),
    signal: Mapping[str, float] | None = None,
    no_gap: str = "",
    text: str = TEXT,
    n: int = 120,
    metrics: Sequence[Metric] = DEFAULT_METRICS,
) -> None:
    """A finished run with these methods, whose scores part the classes as `signal` says; on `no_gap` none does."""
    signal = SIGNAL if signal is None else signal
    methods = [name for name in signal if name not in ("weak", "ceiling")]
    fused = ["fusion.experts=tuned"] if any(map(is_fusion, methods)) else []
    recipe = small_recipe(f"methods={json.dumps(methods)}", f"seeds={list(seeds)}", *fused)
    judged: dict[str, dict[int, TrialResult]] = {}
    runs = {}
    for number, task in enumerate(tasks):
        for seed in seeds:
            rng = np.random.default_rng([number, seed])
            sets = _sets(task, n, text)
            label = sets.test["label"].to_numpy()
            shared = rng.normal(size=n)  # what all models find hard alike
            outcomes = {
                name: Outcome({"test": _squashed(apart, label, shared, rng, equal=task == no_gap)}, probe=_probe(name))
                for name, apart in signal.items()
            }
            outcomes |= {name: _of_gold(name, one, seed, len(sets.train)) for name, one in outcomes.items()}
            weak = np.clip(rng.normal(0.3 + 0.4 * sets.train["label"].to_numpy(), 0.2), 0, 1)
            for name in [name for name in methods if name.startswith("filter-")]:
                result = disagreement_filter(weak, np.clip(rng.normal(weak, 0.3), 0, 1))
                kept = Outcome(outcomes[name].scores, _probe(name), notes=result.report(), filtered=result)
                outcomes[name] = kept
                write_verdict(folder / filter_file(task, seed, name), sets, weak[:4], kept, 2)
            oracles = frozenset({"ceiling", "gate-ceiling", ORACLE})
            judged.setdefault(task, {})[seed] = TrialResult(sets.test, None, outcomes, oracles, seed, 2)
            write_predictions(folder, task, seed, judged[task][seed])
            taken = {name: asdict(StepTime(1.5, {} if name == PLAIN else {"trained": 1.25})) for name in signal}
            runs[trial_key(task, seed)] = {
                "splits": sets.summary(),
                "methods": {name: one.notes for name, one in outcomes.items() if one.notes},
                "taken": taken,
            }
    write_table(compare(judged, PLAIN, metrics), folder / COMPARISONS)
    lines = [line for task, one in judged.items() for line in task_rows(task, one, 50, metrics)]
    write_table(results_table(lines), folder / RESULTS)
    write_recipe(folder / RECIPE, recipe)
    rows = {task: f"sha256:{task}" for task in tasks}
    failed = [{"task": tasks[0], "seed": seeds[0], "method": "filter-topo", "reason": "one class is left"}]
    files = trial_files({(task, seed): methods for task in tasks for seed in seeds})
    more = {"models": {"m/strong": "sha256:abc"}, "rows": rows, "runs": runs, "failed": failed, "seconds": 9.5}
    write_record(folder / RECORD, recipe, files, **more)


def _of_gold(name: str, outcome: Outcome, seed: int, rows: int) -> Outcome:
    """The outcome with the notes of a use of gold rows among so many; what these choose, they choose by the seed."""
    if (parsed := GoldName.parse(name)) is None:
        return outcome
    gold = 0 if parsed.of_weak else parsed.gold or 0
    notes = {GOLD_ROWS: float(gold), WEAK_ROWS: 0.0 if parsed.base == GOLD_ALONE else float(rows - gold)}
    if parsed.base.startswith(SELECT):
        low = 0.01 if seed else -0.01
        notes |= {"chosen": 50.0 if seed else 5.0, "second": 10.0, "candidates": 3.0, "stability": 0.5}
        notes |= {"gold_auroc": 0.9, "gold_auroc_low": 0.8, "gold_auroc_high": 1.0}
        notes |= {"lead": 0.02, "lead_low": low, "lead_high": 0.03}
    return replace(outcome, notes=notes, trusted=gold)


def write_sweep(
    folder: Path, labels: str = "weak-labels", seeds: Sequence[int] = (0,), name: str = "sweep.csv"
) -> None:
    """A sweep of three layers, knn and logistic; its best cell looks better on training rows than on those held out."""
    cells: list[tuple[int | None, str, int | None, float | None]]
    cells = [(layer, "knn", k, None) for layer in range(3) for k in (1, 10, 100)]
    cells += [(layer, "logistic", None, l2) for layer in range(3) for l2 in (0.0, 0.01, 1.0)]
    lines = []

    def add(
        seed: int | None, cell: tuple[int | None, str, int | None, float | None], rows: str, **more: object
    ) -> None:
        layer, probe, k, l2 = cell
        common = {"labels": labels, "seed": seed, "layer": layer, "probe": probe, "k": k, "l2": l2, "rows": rows}
        lines.append({"contamination": None, "n": 500, "status": "ok", "oracle": False} | common | more)

    for seed in seeds:
        for number, cell in enumerate(cells):
            for rows, shift in (("training", 0.02), ("held-out", 0.0)):
                value = 0.6 + 0.01 * number + shift + 0.001 * seed
                ends = {"low": value - 0.03, "high": value + 0.03}
                add(seed, cell, rows, metric="weak_auroc", value=value, **ends)
                add(seed, cell, rows, metric="weak_brier", value=1 - value, low=None, high=None)
                add(seed, cell, rows, metric="auroc_gain", value=value - 0.65, low=value - 0.7, high=value - 0.6)
            add(seed, cell, "training", metric="removed", value=0.1, low=None, high=None, contamination=0.1)
    add(None, (None, "weak", None, None), "training", metric="auroc", value=0.8, low=0.78, high=0.82)
    columns = ["labels", "seed", "layer", "probe", "k", "l2", "contamination"]
    columns += ["rows", "metric", "value", "low", "high", "n", "status", "oracle"]
    types = {"seed": "Int64", "layer": "Int64", "k": "Int64"}
    write_table(pd.DataFrame(lines, columns=columns).astype(types), folder / name)
    best = {
        "labels": labels,
        "chosen_by": "weak_brier",
        "layer": 2,
        "probe": "logistic",
        "k": None,
        "l2": 1.0,
        "cells": len(cells),
        "training": {"weak_auroc": [0.79, 0.76, 0.82], "auroc_gain": [0.14, 0.09, 0.19]},
        "held_out": {"weak_auroc": [0.77, 0.74, 0.80], "auroc": [0.9, 0.88, 0.92], "auroc_gain": [0.123, 0.07, 0.17]},
        "oracle": False,
    }
    grid: dict[str, object] = {
        "knn_k": [1, 10, 100],
        "logistic_l2": [0.0, 0.01, 1.0],
        "topo_k": [],
        "contamination": [],
    }
    grid |= {"connectivity": "strong", "folds": 5, "index": "exact", "seeds": list(seeds)}
    store = {"path": "acts", "key": "0123456789abcdef" * 4, "model": "m/strong"}
    record = {"best": [best], "versions": {"numpy": "2"}, "grid": grid, "store": store}
    record |= {"labels": {labels: {"training_rows": 500, "held_out_rows": 100}}}
    (folder / name).with_suffix(".json").write_text(json.dumps(record))


def write_kept(file: Path, text: str = TEXT, truth: bool = True) -> None:
    """A label file as `w2s filter` leaves it, `kept_table`, with or without the truth."""
    table = kept_table(text)
    write_table(table if truth else table.drop(columns="truth"), file)


def kept_table(text: str = TEXT) -> pd.DataFrame:
    """Ten of forty rows removed, five of them wrong, and two that were not judged."""
    n = 42
    label = np.where(np.arange(n) % 2, 0.9, 0.1)
    table = pd.DataFrame({"id": [f"row {i}" for i in range(n)], "text": [f"{text} {i}" for i in range(n)]})
    table = table.assign(label=label, keep=np.arange(n) >= 10, score=np.where(np.arange(n) < 10, 0.75, 0.1))
    table = table.assign(new_label=label, reason=np.where(table["keep"], "", "disagreement"), probe="topo", layer=16)
    table["truth"] = np.where(np.arange(n) < 5, 1 - np.round(label), np.round(label))
    table.loc[40:, "reason"] = "not a training row"
    return table


def _sets(task: str, n: int, text: str) -> RowSets:
    def rows(part: str) -> pd.DataFrame:
        ids = [f"{task}-{part}-{i}" for i in range(n)]
        table = pd.DataFrame({"id": ids, "text": [f"{text} {i}" for i in range(n)], "group": ids})
        return table.assign(label=np.arange(n) % 2)

    return RowSets(weak=rows("weak"), train=rows("train"), val=rows("val")[:4], test=rows("test"))


def _squashed(
    apart: float, label: np.ndarray, shared: np.ndarray, rng: np.random.Generator, *, equal: bool
) -> np.ndarray:
    z = (1.0 if equal else apart) * (label - 0.5) + shared
    return np.asarray(1 / (1 + np.exp(-z - (0 if equal else rng.normal(scale=0.15, size=len(label))))))


def _probe(method: str) -> str:
    return "knn" if method.endswith("knn") else ""
