"""The record of a steering: what was done with what, and what it moved, as plain values."""

from pathlib import Path
from typing import Any

import numpy as np

from w2s_probes.io.files import replacing
from w2s_probes.io.sealed import write_sealed
from w2s_probes.io.tables import write_table
from w2s_probes.metrics.intervals import Estimate

from .movement import Moved, Steered
from .steer_figure import steer_figure
from .steer_files import CONTROLS, refuse_steer_out, steer_figure_path, steer_table_path


def write_steered(found: Steered, out: Path | str) -> dict[str, Any]:
    """Write the record to `out`, a .json file, and beside it the table (.csv) and the figure (.png); return the record.

    InputError where one of them would take the place of something else.
    """
    out, record = Path(out), steer_record(found)
    refuse_steer_out(out)
    table, figure = steer_table_path(out), steer_figure_path(out)
    write_table(found.to_frame(), table)
    with replacing(figure) as temporary:
        steer_figure(found).savefig(temporary, dpi=150)
    write_sealed(out, record, [table.name, figure.name])
    return record


def steer_record(found: Steered) -> dict[str, Any]:
    """Everything but the files: numbers that are not known are None."""
    one, groups = found.directions, found.rows.groups
    weak, truth = found.base_auroc
    return {
        "steered": {
            **found.about["steered"],
            "layer": one.layer,
            "probe": one.name,
            "l2": one.l2,
            "learned": one.learned,
            "scale": one.scale,
            "length": one.length,
        },
        "by": found.by,
        "read": found.read,
        **{name: found.about[name] for name in ("words", "prompt", "template")},
        "n": len(found.base),
        "groups": None if groups is None else len(set(groups.tolist())),
        "random": one.random,
        "controls": [name for name in CONTROLS if name in one.kinds],
        "seed": one.seed,
        "strengths": [] if found.by == "ablate" else list(found.strengths),
        "base": {
            "log_odds": float(found.base.mean()),
            "said": None if found.base_said is None else float(found.base_said.mean()),
            "auroc_weak": _known(weak),
            "auroc_truth": _known(truth),
        },
        "results": [_result(result) for result in found.results],
        "remarks": remarks(found),
    }


def remarks(found: Steered) -> list[str]:
    """What is said of it, a line each."""
    lines, dtype = [*found.directions.remarks, *found.lines], found.about["steered"]["dtype"]
    if dtype != "float32":
        lines.append(f"changes are made in {dtype}, the dtype of model and store, and rounded to it")
    least = 1 / (1 + found.directions.random)
    if least > 0.05:
        lines.append(f"{found.directions.random} random directions can give no p below {least:.2g}: give 19 or more")
    return lines


def _result(one: Moved) -> dict[str, Any]:
    return {
        "strength": _known(one.strength),
        "log_odds": _ends(one.log_odds),
        "size": _ends(one.size),
        "p": _ends(one.p),
        "said": _known(one.said),
        "auroc_weak": _known(one.auroc_weak),
        "auroc_truth": _known(one.auroc_truth),
        "beside": [
            {
                "control": beside.control,
                "mean": beside.mean,
                "low": beside.low,
                "high": beside.high,
                "p_toward": _known(beside.p_toward),
                "p_size": beside.p_size,
            }
            for beside in one.beside
        ],
    }


def _ends(found: Estimate) -> dict[str, float | None]:
    return {"value": _known(found.value), "low": _known(found.low), "high": _known(found.high)}


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
