"""The students of a sweep: what they and their ceiling recover, by layer, method and loss."""

from typing import Any

import pandas as pd

from w2s_probes.sweep.student_grid import student_name

from ..drawing.cells import Column, Table, TableCell, estimate, narrowed, number, words
from ..drawing.figures import Figure, FigureLine, lines
from ..load.sweep_measures import MEASURES, STUDENT_MEASURES

OF_STUDENTS = MEASURES | STUDENT_MEASURES
SHOWN = (("held-out", "auroc"), ("held-out", "auroc_gain"), ("held-out", "pgr_auroc"))
WITHOUT_TRUTH = (("held-out", "weak_auroc"), ("stopping", "weak_auroc"))
AT_LEAST_AN_AXIS = 2  # layers worth drawing
CAPTION = "Students by layer, method and loss: means over seeds, with intervals over rows and seeds"


def swept_students(table: pd.DataFrame, best: list[dict[str, Any]], key: str) -> tuple[Table | None, list[Figure]]:
    """The table of all students, the chosen one marked, and for each label set a figure; None and none without any."""
    if "method" not in table:
        return None, []
    own = table[(table["probe"] == "student") & table["seed"].isna() & table["method"].notna()]
    if own.empty:
        return None, []
    own = own.assign(
        student=[student_name(*cell) for cell in own[["method", "loss", "contamination"]].itertuples(index=False)]
    )
    chosen = {
        (one["labels"], one["layer"], student_name(one["method"], one["loss"], one["contamination"])) for one in best
    }
    shown = [pair for pair in (*SHOWN, *WITHOUT_TRUTH) if _has(own, *pair)]
    columns = [Column("labels", False), Column("layer"), Column("student", False)]
    columns += [Column(f"{OF_STUDENTS[metric]}, {rows} [95 %]") for rows, metric in shown]
    columns.append(Column("chosen", False))
    rows_ = []
    for (labels, layer, student), part in own.groupby(["labels", "layer", "student"], sort=False):
        found = {(one["rows"], one["metric"]): one for one in part.to_dict(orient="records")}
        cells = [_cell(found.get(pair, {})) for pair in shown]
        mark = "best by weak labels" if (labels, layer, student) in chosen else ""
        rows_.append([words(labels), number(layer, ".0f"), words(student), *cells, words(mark)])
    figures = [
        drawn
        for at, (labels, part) in enumerate(own.groupby("labels", sort=False))
        if (drawn := _by_layer(part, str(labels), f"{key}-s{at}")) is not None
    ]
    return narrowed(CAPTION, columns, rows_, [0]), figures


def _has(own: pd.DataFrame, rows: str, metric: str) -> bool:
    return bool(((own["rows"] == rows) & (own["metric"] == metric)).any())


def _cell(one: dict[Any, Any]) -> TableCell:
    spec = "+.3f" if one.get("metric") == "auroc_gain" else ".3f"
    mark = "oracle" if one.get("oracle") else ""
    status = one.get("status", "ok")
    if status not in ("ok", "hard labels"):
        if pd.isna(one.get("value")):
            return words(str(status))
        mark = mark or str(status)
    return estimate(one.get("value"), one.get("low"), one.get("high"), spec, mark)


def _by_layer(own: pd.DataFrame, labels: str, key: str) -> Figure | None:
    gains = _has(own, "held-out", "auroc_gain")
    rows = "held-out" if (own["rows"] == "held-out").any() else "stopping"
    seen = own[(own["rows"] == rows) & (own["metric"] == ("auroc_gain" if gains else "weak_auroc"))]
    if seen["layer"].nunique() < AT_LEAST_AN_AXIS:
        return None
    drawn = [
        FigureLine(str(name), list(part["layer"]), list(part["value"]), list(part["low"]), list(part["high"]), style)
        for style, (name, part) in enumerate(seen.groupby("student", sort=False))
    ]
    axis = "gain in AUROC, by truth" if gains else "AUROC against weak labels"
    title = f"{labels}: students by layer ({rows} rows)"
    return lines(f"{key}-layer", title, "layer", axis, drawn, reference=0.0 if gains else None)
