"""The section of a run: its settings, tables and figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...recipe.debate_settings import BASE
from ...recipe.gold_names import GoldName
from ...results.names import COMMON, FROM_BASE, HARD, ROWS_ONLY
from ..drawing.cells import Column, Table, TableCell, estimate, missing, number, p_value, words
from ..drawing.figures import Bar, Figure, forest
from ..load.folder import FinishedRun
from .answer import Differences, RunAnswer, answer, over_seeds
from .cards import Card, cards
from .debate_view import DebateView, debate_view
from .deception import Deception, deception
from .differences import against
from .evaluation_sets import set_tables
from .foretold import ForetoldView, foretold_view
from .fusion import FusionView, fusion_view
from .gates import GateView, gate_view
from .gold_budget import GoldView, gold_view
from .label_noise import NoiseView, noise_view
from .more_metrics import metric_title, more_metrics, pgr_cell
from .raters import RaterView, rater_view
from .reliability import ReliabilityView, reliability_view
from .run_record import cost, models, row_sets
from .wording import recipe_words

SIGNED = "+.3f"
SHORT_REASONS = {"undefined": "ceiling not above weak", "unstable": "gap too small"}
PGR_AXIS = (-0.6, 1.6)  # farther out a PGR says that its gap is small
FROM_BASE_COLUMN = Column("PGR from base [95 %]", about=f"counted from the supervisor without transcripts, {BASE}")
METHOD_HEAD = (Column("task", False), Column("method", False))


@dataclass(frozen=True)
class RunView:
    """The content of a run's section."""

    key: str  # of its anchors
    name: str
    answer: RunAnswer
    facts: list[tuple[str, str]]
    across: list[Table]
    pooled: Figure | None
    tasks: Table
    more_metrics: Table | None
    test_sets: list[Table]
    deception: Deception | None
    gates: GateView | None
    gold: GoldView | None
    debate: DebateView | None
    fusion: FusionView | None
    raters: RaterView | None
    noise: NoiseView | None
    foretold: ForetoldView | None
    reliability: ReliabilityView | None
    figures: list[Figure]
    rows: Table
    models: Table
    versions: list[tuple[str, str]]
    cards: list[Card]
    cost: Table | None
    seconds: float | None
    failed: list[dict[str, Any]]
    recipe: str | None
    out: str
    altered: dict[str, str]  # files that are not as they were written


def run_view(run: FinishedRun, key: str) -> RunView:
    """Build the section of a run."""
    differences = {task: against(seeds, run.baseline) for task, seeds in run.predictions.items()}
    record, recipe = run.record, run.record["recipe"]
    return RunView(
        key,
        run.name,
        answer(run, differences),
        _facts(run, recipe),
        _across(run),
        _pooled(run, key),
        _tasks(run, differences),
        more_metrics(run),
        set_tables(run),
        deception(run),
        gate_view(run),
        gold_view(run, key),
        debate_view(run),
        fusion_view(run, key),
        rater_view(run),
        noise_view(run),
        foretold_view(run),
        reliability_view(run, key),
        [_task_figure(run, str(task), f"{key}-t{i}") for i, task in enumerate(dict.fromkeys(run.results["task"]))],
        row_sets(record),
        models(record),
        list(record["versions"].items()),
        cards(run.filtered, record["runs"]),
        cost(record),
        record.get("seconds"),
        record.get("failed", []),
        run.recipe,
        run.name or ".",
        run.altered,
    )


def kind_of(method: str, oracle: bool) -> str:
    """The mark of a method: oracle, control or none."""
    return "oracle" if oracle else "control" if method.startswith("control-") else "method"


def _named(method: str, oracle: bool, trusted: Any) -> TableCell:
    """A method's name with its mark; folders of earlier versions do not say how many true labels were `trusted`."""
    read = 0 if missing(trusted) else int(trusted)
    mark = " (oracle)" if oracle else f" ({read:,} trusted)" if read else ""
    return TableCell(method + mark, method, kind_of(method, oracle))


def _facts(run: FinishedRun, recipe: dict[str, Any]) -> list[tuple[str, str]]:
    weak, strong, student = recipe["weak"], recipe["strong"], recipe["student"]
    layers = sorted({int(x) for x in run.results.get("layer", pd.Series(dtype=float)).dropna()})
    supervisor = weak["kind"] + (f": {Path(weak['model']).name}" if weak.get("model") else "")
    supervisor += f": {Path(weak['file']).name}" if weak.get("file") else ""
    if weak["kind"] != "labels" and "n_truth" in weak:  # labels of a file learn from nothing here
        supervisor += f", {weak['n_truth']:,} rows with ground truth"
    return [
        ("Tasks", ", ".join(dict.fromkeys(run.results["task"]))),
        ("Seeds", ", ".join(map(str, recipe["seeds"]))),
        ("Weak supervisor", supervisor),
        ("Strong model", f"{Path(strong['model']).name}, layer {', '.join(map(str, layers))} ({strong['position']})"),
        ("Students", f"{student['kind']}, loss {student['loss']}"),
        ("Plain student", run.baseline),
        ("Probes", ", ".join(recipe_words(_probes_read(recipe)))),
        *_gold_facts(recipe),
    ]


def _probes_read(recipe: dict[str, Any]) -> dict[str, Any]:
    """The settings of probes, those of attention only where a method or the strong model's position reads them."""
    probes = dict(recipe.get("probes", {}))
    if not any("attention" in name for name in (recipe["strong"]["position"], *recipe.get("methods", ()))):
        probes.pop("attention", None)
    return probes


def _gold_facts(recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """What a recipe says of gold rows, where some method reads them."""
    gold = dict(recipe.get("gold", {}))
    if not any(GoldName.parse(name) for name in recipe.get("methods", ())):
        return []
    if gold.get("file"):
        gold["file"] = Path(gold["file"]).name
    unread = [name for name, use in (("share", "weight"), ("select", "select")) if use not in gold.get("use", [])]
    return [("Gold rows", "; ".join(recipe_words({name: gold[name] for name in gold if name not in unread})))]


def _across(run: FinishedRun) -> list[Table]:
    """Tests and pooled PGR across tasks, a table for each metric."""
    made = []
    for metric, part in run.comparisons.groupby("metric", sort=False):
        if int(part["tasks"].max()) < 2:
            continue
        columns = [
            Column("method", False),
            Column("difference [95 %]", about="method − plain student, mean over tasks, t interval"),
            Column("above on", about="tasks on which the method is better than the plain student"),
            Column("p", about="exact sign flips of the mean difference, two-sided, one comparison by itself"),
            Column("p (Holm)", about="the same corrected for the number of methods"),
            Column("p better", about="Wilcoxon's signed ranks, one-sided: the method is better"),
            Column("p worse", about="the same: the method is worse"),
            Column("p t", about="paired t test, one-sided: the method is better"),
            Column("pooled PGR [95 %]", about="sum of gains over sum of gaps, interval over tasks"),
            Column("median PGR"),
            Column("status", False),
        ]
        rows = [
            [
                _named(one["method"], bool(one["oracle"]), one.get("trusted")),
                estimate(one["difference"], one["low"], one["high"], SIGNED),
                number(one["better"], ".0f")
                if pd.isna(one["better"])
                else TableCell(f"{one['better']:.0f} of {one['tasks']:.0f}", float(one["better"])),
                p_value(one["p"]),
                p_value(one["p_holm"]),
                p_value(one["p_wilcoxon"]),
                p_value(one["p_wilcoxon_worse"]),
                p_value(one["p_t"]),
                estimate(one["pooled_pgr"], one["pooled_low"], one["pooled_high"], ".2f"),
                number(one["median_pgr"], ".2f"),
                words(one["status"], _kind(str(one["status"]))),
            ]
            for one in part.to_dict(orient="records")
        ]
        made.append(Table(f"Over {int(part['tasks'].max())} tasks, {metric_title(str(metric))}", columns, rows))
    return made


def _pooled(run: FinishedRun, key: str) -> Figure | None:
    part = run.comparisons[(run.comparisons["metric"] == "auroc") & run.comparisons["difference"].notna()]
    if part.empty or int(part["tasks"].max()) < 2:
        return None
    bars = [
        Bar(one["method"], one["difference"], one["low"], one["high"], kind_of(one["method"], bool(one["oracle"])))
        for one in part.to_dict(orient="records")
    ]
    title = f"AUROC of each method minus that of {run.baseline}, over {int(part['tasks'].max())} tasks"
    return forest(f"{key}-over", title, "difference in AUROC, mean over tasks [95 %]", bars, spec=SIGNED)


def _tasks(run: FinishedRun, differences: Differences) -> Table:
    """A line for each task and method."""
    one_seed = len(run.record["recipe"]["seeds"]) == 1
    common = bool((run.results["metric"] == f"pgr_auroc{COMMON}").any())
    based = bool((run.results["metric"] == f"pgr_{FROM_BASE}auroc").any())
    columns = [
        *METHOD_HEAD,
        Column("AUROC [95 %]"),
        Column("− plain student [95 %]", about="paired on the same test rows (DeLong), and over seeds"),
        Column("PGR [95 %]", about="(student − weak) / (ceiling − weak) in AUROC; of a probe by its own ceiling"),
        *([Column("PGR by the students' ceiling", about="of a probe in units of the students' gap")] if common else []),
        *([FROM_BASE_COLUMN] if based else []),
        Column("status", False, "of PGR"),
        Column("accuracy [95 %]"),
        Column("PGR of accuracy [95 %]"),
        Column("agreement with weak"),
    ]
    rows = []
    for task, part in run.results.groupby("task", sort=False):
        lines = over_seeds(part)
        by = {(one["method"], one["metric"]): one for one in lines.to_dict(orient="records")}
        for method in dict.fromkeys(part["method"]):
            found = {metric: one for (name, metric), one in by.items() if name == method}
            own = found.get("auroc", {})
            named = _named(method, bool(own.get("oracle")), own.get("trusted"))
            pgr = found.get("pgr_auroc", {})
            compared = differences.get(str(task), {}).get(method)
            gain = compared.estimate if compared else None
            by_accuracy = found.get("pgr_accuracy", {})
            mark = str(pgr.get("status", ""))
            rows.append(
                [
                    words(task),
                    named,
                    _value(found.get("auroc", {})),
                    estimate(gain.value, gain.low, gain.high, SIGNED) if gain else number(None),
                    _value(pgr, ".2f", _shaky(mark)),
                    *([_value(found.get(f"pgr_auroc{COMMON}", {}), ".2f")] if common else []),
                    *([pgr_cell(found.get(f"pgr_{FROM_BASE}auroc", {}))] if based else []),
                    words(_with_reason(pgr), f"{_kind(mark)} why" if _shaky(mark) else _kind(mark)),
                    _value(found.get("accuracy", {})),
                    _value(by_accuracy, ".2f", _shaky(str(by_accuracy.get("status", "")))),
                    number(found.get("agreement", {}).get("value"), ".2f"),
                ]
            )
    seeds = "one seed: intervals hold the choice of the test rows only" if one_seed else "over all seeds"
    return Table(f"By task and method, {seeds}", columns, rows)


def _with_reason(pgr: Mapping[Any, Any]) -> str:
    """A PGR's status with a short reason where it cannot be read; the headline gives the gap."""
    status = str(pgr.get("status", ""))
    why = next((short for word, short in SHORT_REASONS.items() if word in status), "")
    return f"{status}: {why}" if why else status


def _kind(status: str) -> str:
    """The colour class of a status: that of its worst part."""
    return next((word for word in ("undefined", "unstable") if word in status), status if status == "ok" else "")


def _shaky(status: str) -> str:
    """The parts of a status that warn of a number."""
    return "; ".join(word for word in status.split("; ") if word not in ("ok", ROWS_ONLY))


def _value(one: Mapping[Any, Any], spec: str = ".3f", mark: str = "") -> TableCell:
    return estimate(one.get("value"), one.get("low"), one.get("high"), spec, mark)


def _task_figure(run: FinishedRun, task: str, key: str) -> Figure:
    lines = over_seeds(run.results[run.results["task"] == task])
    bars = []
    hard = lines[lines["metric"] == "pgr_auroc"]["status"].str.contains(HARD).any()
    metric, name = ("pgr_accuracy", "accuracy (hard labels)") if hard else ("pgr_auroc", "AUROC")
    seeds = ", rows only" if len(run.record["recipe"]["seeds"]) == 1 else ""
    for one in lines[lines["metric"] == metric].to_dict(orient="records"):
        shaky = _shaky(str(one["status"]))
        value = None if pd.isna(one["value"]) else one["value"]
        bars.append(
            Bar(one["method"], value, one["low"], one["high"], kind_of(one["method"], bool(one["oracle"])), shaky)
        )
    # The ceiling is 1 and the supervisor 0 by definition.
    return forest(
        key, task, f"PGR in {name}: 0 weak, 1 ceiling [95 %{seeds}]", bars, references=(0.0, 1.0), within=PGR_AXIS
    )
