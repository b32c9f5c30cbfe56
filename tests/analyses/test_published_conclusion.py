"""The published study's figures through the report's own code: its conclusion, and both sides of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.report.load.folder import FinishedRun
from analyses.report.views.answer import RunAnswer, answer
from analyses.results.comparisons import TaskValues, comparison_table
from tests.conftest import ROOT

FIGURES = json.loads((ROOT / "tests" / "golden" / "blog_figures_digitised.json").read_text())
SATURATED = {"ethics-deontology", "ethics-justice", "ethics-virtue", "openbookqa"}  # left out by the study
TASKS = [task for task in FIGURES["auc"] if task not in SATURATED]
LOSSES = {
    "student-xent": "xent",
    "student-logconf": "logconf",
    "student-entropy": "entropy",
    "student-window": "window",
}
VANILLA = "student-logconf"  # what they compare everything but the losses with
REST = {
    "s2s": {"s2s-1": "s2s0", "s2s-2": "s2s1"},
    "probes": {
        "probe-knn": "knn_probe",
        "probe-logistic": "logreg_probe",
        "relabel-knn": "knn_relabel",
        "relabel-logistic": "logreg_relabel",
    },
    "filter": {"filter-knn": "knn_filter", "filter-logistic": "logreg_filter", "filter-topo": "topo"},
}


def published(baseline: str, figures: Mapping[str, Mapping[str, str]]) -> tuple[Any, RunAnswer]:
    """The comparisons of a run that gave the figures' values, and the report's answer.

    Each figure shows its own vanilla student; a method's PGR is put beside the run's baseline by the difference.
    """
    cells: dict[tuple[str, str], dict[int, float]] = {}
    lines: list[dict[str, Any]] = []

    def add(task: str, method: str, value: float) -> None:
        cells[task, method] = {0: value}

    for task in TASKS:
        weak, ceiling = FIGURES["auc"][task]["floor"], FIGURES["auc"][task]["ceil"]
        add(task, "weak", weak)
        add(task, "ceiling", ceiling)
        plain = FIGURES["loss"][task]["xent" if baseline == "student-xent" else "logconf"]
        add(task, baseline, weak + plain * (ceiling - weak))
        for figure, methods in figures.items():
            own = FIGURES[figure][task]
            for method, name in methods.items():
                if method != baseline:
                    pgr = plain + own[name] - own["xent" if figure == "loss" else "w2s"]
                    add(task, method, weak + pgr * (ceiling - weak))
        common = {"task": task, "seed": np.nan, "method": baseline, "status": "ok", "oracle": False}
        lines += [common | {"metric": metric, "value": plain} for metric in ("auroc", "pgr_auroc")]
    values = TaskValues("auroc", cells, cells)
    comparisons = comparison_table([values], baseline)
    record = {"recipe": {"baseline": baseline, "seeds": [0]}}
    run = FinishedRun("", record, pd.DataFrame(lines), comparisons, None, {}, [])
    return comparisons.set_index(["metric", "method"]), answer(run, {})


def test_no_loss_is_shown_to_differ_from_cross_entropy_though_ranks_of_auroc_alone_would_say_so() -> None:
    table, found = published("student-xent", {"loss": LOSSES})
    auroc, pgr = table.loc[("auroc", VANILLA)], table.loc[("pgr_auroc", VANILLA)]
    assert len(TASKS) == auroc["tasks"] == pgr["tasks"] == 21
    assert auroc["p_wilcoxon_holm"] == pytest.approx(0.048, abs=0.002)  # what once made it a winner
    assert (auroc["difference"], auroc["low"], auroc["high"]) == pytest.approx((0.0019, -0.0039, 0.0076), abs=1e-4)
    assert auroc["p_better"] == pytest.approx(0.26, abs=0.005)
    assert (pgr["w"], pgr["better"]) == (157, 16)
    assert (pgr["p_wilcoxon"], pgr["p_wilcoxon_holm"]) == pytest.approx((0.077, 0.23), abs=0.002)
    assert pgr["t"] == pytest.approx(1.132, abs=0.01)
    assert found.headline == (
        "Over 21 tasks no method differs from the plain student (student-xent) by more than chance explains."
    )
    beside = next(fact for fact in found.facts if "Wilcoxon's signed ranks in AUROC" in fact)
    assert "better student-logconf" in beside  # said beside, and not in the headline


def test_every_filter_probe_relabelling_and_round_is_worse_than_the_plain_student() -> None:
    table, found = published(VANILLA, REST)
    names: Sequence[str] = [name for methods in REST.values() for name in methods]
    pgr = table.loc["pgr_auroc"].loc[names]
    assert (pgr["difference"] < 0).all()
    assert (pgr["p_holm"] < 0.05).all()
    assert (pgr["p_worse"] < 0.01).all()
    headline = found.headline
    assert headline.startswith(
        "Over 21 tasks, in AUROC against the plain student (student-logconf), by more than chance"
    )
    in_auroc, in_pgr = headline.split("in PGR")
    assert "4 of 9 methods worse" in in_auroc
    assert "9 of 9 methods worse" in in_pgr
    assert all(name in in_pgr for name in names)
    assert "better:" not in headline
    assert headline.count("none better") == 2
