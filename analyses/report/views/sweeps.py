"""The section of a sweep: curves over layers and settings, and the best cell re-estimated on held-out rows."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from w2s_probes.probes.registry import PROBES, VALUE_TITLES

from ..drawing.cells import Column, Table, TableCell, estimate, narrowed, number, words
from ..drawing.figures import Figure, FigureLine, lines
from ..load.folder import FinishedSweep
from ..load.sweep_measures import MEASURES, name_of
from .swept_students import swept_students
from .wording import facts

CHOOSING = "weak_brier"  # by which settings are chosen unless the record says another: never by truth
LEAST = ("weak_brier",)  # measures of which less is better
SEEN = "weak_auroc"
SHORT = {"weak_auroc": "AUROC against weak labels", "auroc_gain": "gain in AUROC, by truth"}  # on axes
TRAINING, HELD_OUT = "training", "held-out"
AT_LEAST_AN_AXIS = 2  # values of a setting worth drawing
SETTING = (Column("labels", False), Column("seed"), Column("layer"), Column("probe", False), Column("k"), Column("λ"))
MOST = 200  # lines of filters that are shown; all stand in the file


@dataclass(frozen=True)
class SweepView:
    """The content of a sweep's section."""

    key: str
    name: str
    headline: str
    facts: list[tuple[str, str]]
    versions: list[tuple[str, str]]
    best: Table | None
    figures: list[Figure]
    cells: Table
    filters: Table | None
    left_out: int  # lines of filters that are not shown
    altered: dict[str, str]  # files that are not as they were written
    students: Table | None


def sweep_view(sweep: FinishedSweep, key: str) -> SweepView:
    """Build the section of a sweep."""
    table = sweep.table.assign(oracle=sweep.table["oracle"].astype(bool))
    for name in ("layer", "k", "l2", "contamination", "value", "low", "high"):
        if name in table:
            table[name] = pd.to_numeric(table[name], errors="coerce")
    probes = table[[probe in PROBES for probe in table["probe"]]]
    filters = probes["contamination"].notna() if "contamination" in probes else pd.Series(False, index=probes.index)
    plain = probes[~filters]
    best = list((sweep.record or {}).get("best", []))
    figures = []
    for number_, (labels, part) in enumerate(plain.groupby("labels", sort=False)):
        figures += _figures(part, str(labels), f"{key}-l{number_}", _criterion(best, str(labels)))
    students, drawn = swept_students(table, list((sweep.record or {}).get("best_students", [])), key)
    about = _filters(probes[filters]) if filters.any() else None
    return SweepView(
        key,
        sweep.name,
        _headline(best),
        facts(plain, sweep.record),
        [(name, str(value)) for name, value in (sweep.record or {}).get("versions", {}).items()],
        _best(best) if best else None,
        figures + drawn,
        _cells(plain, table[table["probe"] == "weak"], best),
        about and Table(about.caption, about.columns, about.rows[:MOST]),
        max(0, len(about.rows) - MOST) if about else 0,
        sweep.altered,
        students,
    )


def _criterion(best: list[dict[str, Any]], labels: str) -> str:
    """The measure by weak labels that chose the best cell of a label set; the usual one where truth chose it."""
    found = [str(one["chosen_by"]) for one in best if one["labels"] == labels]
    return found[0] if found and found[0].startswith("weak_") else CHOOSING


def _headline(best: list[dict[str, Any]]) -> str:
    if not best:
        return "The record of the best cells is not beside the table: only the curves can be shown."
    told = []
    for one in best:
        held_out, where = one.get("held_out", {}), f"{one['labels']}: {one['probe']} at layer {one['layer']}"
        if "auroc_gain" in held_out:
            cell = _ends(held_out["auroc_gain"], "+.3f")
            own = f"{_ends(held_out['auroc'], '.3f').text.split(' ')[0]}, " if held_out.get("auroc") else ""
            told.append(f"{where}, AUROC by truth {own}{cell.text} against that of the weak labels, on rows held out")
        elif SEEN in held_out:
            told.append(f"{where}, {MEASURES[SEEN]} {_ends(held_out[SEEN], '.3f').text} on rows held out")
        else:
            told.append(f"{where}, not measured on rows held out")
    chance = [str(one["labels"]) for one in best if _is_chance(one)]
    verdict = (
        f" No cell tells the weak labels of {' and '.join(chance)} apart, the best one included." if chance else ""
    )
    return "Best cell of " + "; of ".join(told) + f".{verdict}"


def _is_chance(best: dict[str, Any]) -> bool:
    """Whether the interval of a best cell's agreement with the weak labels reaches one half, as `w2s sweep` says."""
    seen = (best.get("held_out") or best.get("training") or {}).get(SEEN)
    return isinstance(seen, list) and len(seen) == 3 and not (seen[1] is not None and seen[1] > 0.5)


def _best(best: list[dict[str, Any]]) -> Table:
    """The best cells, measured on held-out rows and on the rows that chose them."""
    metrics = [m for m in MEASURES if any(m in one.get(part, {}) for one in best for part in ("training", "held_out"))]
    columns = [
        Column("labels", False),
        Column("seed"),
        Column("cell", False),
        Column("rows", False),
        *(Column(f"{MEASURES[name]} [95 %]") for name in metrics),
        Column("cells compared"),
        Column("chosen by", False),
    ]
    rows = []
    for one in best:
        setting = [f"layer {one['layer']}", str(one["probe"])]
        setting += [
            f"{sign} = {one[name]:.4g}" for name, sign in (("k", "k"), ("l2", "λ")) if one.get(name) is not None
        ]
        mark = "oracle" if one.get("oracle") else ""
        for part, what in (("held_out", "held out"), ("training", "training")):
            values = one.get(part) or {}
            rows.append(
                [
                    words(one["labels"]),
                    number(one.get("seed"), ".0f"),
                    words(", ".join(setting)),
                    words(what),
                    *(_ends(values.get(name), "+.3f" if name == "auroc_gain" else ".3f") for name in metrics),
                    number(one.get("cells"), ",.0f"),
                    words(name_of(str(one["chosen_by"])) + (" (oracle)" if mark else ""), mark),
                ]
            )
    by = {row[-1].text for row in rows}
    caption = (
        f"Best cells{f' by {min(by)}' if len(by) == 1 else ''}: on rows held out, and on those they were chosen on"
    )
    return narrowed(caption, columns, rows, [0, 1, len(columns) - 1])


def _ends(value: Any, spec: str) -> TableCell:
    return estimate(value[0], value[1], value[2], spec) if value else number(None)


def _figures(part: pd.DataFrame, labels: str, key: str, by: str) -> list[Figure]:
    """Over layers with each probe's best setting by weak labels; over settings at its best layer by weak labels."""
    made = []
    for metric in (SEEN, "auroc_gain"):
        rows = TRAINING if metric == SEEN else _rows_of(part, metric)
        name, zero = SHORT[metric], 0.0 if metric == "auroc_gain" else None
        where = f"{rows} rows"
        layers: list[FigureLine] = []
        sides: dict[str, list[FigureLine]] = {name: [] for name in VALUE_TITLES}
        for probe in part["probe"].unique():
            own = part[part["probe"] == probe]
            chosen = _chosen(own, by)
            seen = own[(own["metric"] == metric) & (own["rows"] == rows)]
            if seen.empty or chosen.empty:
                continue
            layers.append(_line(str(probe), probe, seen.merge(chosen[["seed", "layer", *_setting(own)]]), "layer"))
            top = _top(chosen.groupby("layer")["value"].mean(), by)
            for setting in _setting(own):
                at = seen[seen["layer"] == top]
                if at[setting].nunique() >= AT_LEAST_AN_AXIS:
                    sides[setting].append(_line(f"{probe}, layer {top:.0f}", probe, at, setting))
        if layers and max(len(one.x) for one in layers) >= AT_LEAST_AN_AXIS:
            made.append(
                lines(f"{key}-{metric}-layer", f"{labels}: by layer ({where})", "layer", name, layers, reference=zero)
            )
        for setting, axis in VALUE_TITLES.items():
            if sides[setting]:
                title = f"{labels}: by {axis} ({where})"
                made.append(
                    lines(f"{key}-{metric}-{setting}", title, axis, name, sides[setting], log=True, reference=zero)
                )
    return made


def _rows_of(part: pd.DataFrame, metric: str) -> str:
    held = ((part["metric"] == metric) & (part["rows"] == HELD_OUT)).any()
    return HELD_OUT if held else TRAINING


def _setting(own: pd.DataFrame) -> list[str]:
    return [name for name in ("k", "l2") if own[name].notna().any()]


def _chosen(own: pd.DataFrame, by: str) -> pd.DataFrame:
    """A probe's best setting at each seed and layer, by the weak labels of the training rows."""
    judged = own[(own["metric"] == by) & (own["rows"] == TRAINING) & own["value"].notna()]
    return judged.loc[[_top(one["value"], by) for _, one in judged.groupby(["seed", "layer"])]]


def _top(values: pd.Series, by: str) -> Any:
    return values.idxmin() if by in LEAST else values.idxmax()


def _line(name: str, probe: str, seen: pd.DataFrame, over: str) -> FigureLine:
    """Means over seeds, with the interval of the only seed or the range of several."""
    by = seen.groupby(over)
    single = seen["seed"].nunique() == 1
    low = by["low"].min() if single else by["value"].min()
    high = by["high"].max() if single else by["value"].max()
    mean = by["value"].mean()
    number = list(PROBES).index(probe) if probe in list(PROBES) else len(PROBES)  # a classifier by its class
    return FigureLine(name, list(mean.index), list(mean), list(low), list(high), number)


def _cells(plain: pd.DataFrame, weak: pd.DataFrame, best: list[dict[str, Any]]) -> Table:
    """For each label set, layer and probe the setting that agrees best with the weak labels."""
    shown = [(m, rows) for rows in (HELD_OUT, TRAINING) for m in MEASURES if _has(plain, m, rows)]
    columns = [*SETTING, *(Column(f"{MEASURES[m]}, {rows} [95 %]") for m, rows in shown)]
    rows = []
    keys = ["labels", "seed", "probe"]
    for (labels, seed, probe), own in plain.groupby(keys, sort=False):
        for cell in _chosen(own, _criterion(best, str(labels))).to_dict(orient="records"):
            same = own[(own["layer"] == cell["layer"])]
            for name in _setting(own):
                same = same[same[name] == cell[name]]
            rows.append([*_head(labels, seed, cell["layer"], probe, cell["k"], cell["l2"]), *_values(same, shown)])
    for (labels, seed), own in weak.groupby(["labels", "seed"], sort=False, dropna=False):
        rows.append([*_head(labels, seed, None, "weak labels themselves", None, None), *_values(own, shown)])
    return narrowed("Each layer and probe at its best setting by weak labels", columns, rows, [0, 1])


def _has(plain: pd.DataFrame, metric: str, rows: str) -> bool:
    return bool(((plain["metric"] == metric) & (plain["rows"] == rows)).any())


def _head(labels: Any, seed: Any, layer: Any, probe: Any, k: Any, l2: Any) -> list[TableCell]:
    return [words(labels), number(seed, ".0f"), number(layer, ".0f"), words(probe), number(k, ".0f"), number(l2, ".4g")]


def _values(own: pd.DataFrame, shown: list[tuple[str, str]]) -> list[TableCell]:
    found = {(one["metric"], one["rows"]): one for one in own.to_dict(orient="records")}
    cells = []
    for key in shown:
        one = found.get(key, {})
        mark = "oracle" if one.get("oracle") else ""
        spec = "+.3f" if key[0] == "auroc_gain" else ".3f"
        cells.append(estimate(one.get("value"), one.get("low"), one.get("high"), spec, mark))
    return cells


def _filters(lines_: pd.DataFrame) -> Table:
    """The shares of rows that each filter removes."""
    metrics = list(dict.fromkeys(lines_["metric"]))
    columns = [*SETTING, Column("contamination"), *(Column(name_of(str(name))) for name in metrics)]
    rows = []
    keys = ["labels", "seed", "layer", "probe", "k", "l2", "contamination"]
    for key, own in lines_.groupby(keys, sort=False, dropna=False):
        found = {one["metric"]: one for one in own.to_dict(orient="records")}
        cells = [_value(found.get(name, {})) for name in metrics]
        rows.append([*_head(*key[:6]), number(key[6], "g"), *cells])
    return narrowed("Filters of the sweep, as shares of the training rows", columns, rows, [0, 1])


def _value(one: dict[Any, Any]) -> TableCell:
    return estimate(one.get("value"), one.get("low"), one.get("high"), ".3f", "oracle" if one.get("oracle") else "")
