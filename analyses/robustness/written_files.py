"""The files of `w2s robust`: tables, label files of every attack, and a sealed record."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2s_probes.io.files import is_inside
from w2s_probes.io.json_files import read_json
from w2s_probes.io.sealed import FILES, write_sealed
from w2s_probes.io.tables import write_table

from ..results.names import LABELS, RECIPE
from ..results.run_folder import PACKAGES, write_recipe
from .attacked_trials import AttackedStudents
from .attacks import TAUGHT_PARTS, Attack, error_rate
from .measured_payoffs import TaskPayoffs
from .robust_files import (
    COLUMNS_OF,
    CONTROLS_BESIDE,
    DRAWS,
    GREEDY,
    HELD_OUT_ROWS,
    PAYOFF,
    REPLAY_CURVES,
    REPLAYED,
    ROBUST_RECORD,
    ROBUST_TABLES,
    STUDENTS_CHOSEN,
)
from .robust_result import RobustResult


def attack_file(task: str, seed: int, attack: Attack) -> str:
    """The labels with an attack's errors, within the folder: labels/TASK-SEED-FAMILY-RATE.jsonl; of `own` no rate."""
    rate = "" if attack.rate is None else f"-{attack.rate:g}"
    return f"{LABELS}/{task}-{seed}-{attack.family}{rate}.jsonl"


def write_robust(out: Path, result: RobustResult, **more: Any) -> None:
    """Write the result's tables, labels, recipe and at last its record; labels of an earlier run are deleted."""
    metric, oracles = result.recipe.robustness.metric, result.oracles
    tables: dict[str, list[dict[str, Any]]] = {
        PAYOFF: [line for one in result.payoffs for line in one.lines(metric, oracles)],
        STUDENTS_CHOSEN: [line for one in result.choices for line in one.student_lines(oracles)],
        GREEDY: [line for one in result.choices for line in one.greedy_lines(oracles)],
        CONTROLS_BESIDE: result.controls,
        REPLAYED: [one.line() for one in result.played],
        REPLAY_CURVES: [line for one in result.played for line in one.curve_lines()],
    }
    for name, columns in COLUMNS_OF.items():
        table = pd.DataFrame(tables[name], columns=columns)
        whole = {name: "Int64" for name in ("seed", "found") if name in columns}
        write_table(table.astype(whole), out / name)
    write_table(_draws([one for one in result.payoffs if one.judged == HELD_OUT_ROWS]), out / DRAWS)
    files = [name for run in result.runs for name in _write_labels(out, run)]
    _remove_earlier(out, files)
    write_recipe(out / RECIPE, result.recipe)
    record = {
        "recipe": result.recipe.model_dump(mode="json"),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "trials": {
            run.trial.key: {
                "rows": {name: len(table) for name, table in run.trial.sets.tables.items()},
                "error_rates": {
                    attack.name: round(error_rate(labels, run.trial.sets), 4) for attack, labels in run.labels.items()
                },
            }
            for run in result.runs
        },
        "arms": result.arms,
        "left_out": result.left_out,
        "oracles": sorted(oracles),
    }
    write_sealed(out / ROBUST_RECORD, {**record, **more}, {*ROBUST_TABLES, RECIPE, *files})


def _write_labels(out: Path, run: AttackedStudents) -> list[str]:
    names = []
    for attack, labels in run.labels.items():
        parts = [
            run.trial.sets.tables[part].rename(columns={"label": "truth"}).assign(label=labels[part], split=part)
            for part in TAUGHT_PARTS
        ]
        names.append(attack_file(run.trial.task, run.trial.seed, attack))
        write_table(pd.concat(parts, ignore_index=True), out / names[-1])
    return names


def _draws(payoffs: list[TaskPayoffs]) -> pd.DataFrame:
    """The resamples of the means over seeds, a line for each draw, student and attack."""
    frames = []
    for one in payoffs:
        draws = one.draws
        count, students, attacks = draws.shape
        index = np.indices(draws.shape).reshape(3, -1)
        rates = np.array([np.nan if attack.rate is None else attack.rate for attack in one.attacks])
        columns: dict[str, Any] = {"task": np.full(count * students * attacks, one.task, dtype=object)}
        columns |= {"draw": index[0], "student": np.array(one.students, dtype=object)[index[1]]}
        columns |= {"family": np.array([attack.family for attack in one.attacks], dtype=object)[index[2]]}
        frames.append(pd.DataFrame({**columns, "rate": rates[index[2]], "value": draws.ravel()}))
    return pd.concat(frames, ignore_index=True)


def _remove_earlier(out: Path, own: list[str]) -> None:
    """Delete the label files that the folder's earlier record names, but those of this run."""
    if not (out / ROBUST_RECORD).is_file():
        return
    record = read_json(out / ROBUST_RECORD)
    named = record.get(FILES) if isinstance(record, dict) else None
    for name in set(named if isinstance(named, dict) else ()) - set(own):
        if is_inside(name) and name.startswith(f"{LABELS}/") and name.count("/") == 1:
            (out / name).unlink(missing_ok=True)
