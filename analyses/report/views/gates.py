"""Gates beside the plain student and their own controls, and experts beside what their trusted rows alone teach."""

from dataclasses import dataclass
from typing import Any

from ...results.names import ENTROPY_GATE, GATE, SHUFFLED, controls_of, trial_key
from ..drawing.cells import Column, Table, TableCell, estimate, number, words
from ..load.folder import FinishedRun
from .answer import over_seeds
from .differences import difference
from .more_metrics import pgr_cell, value_cell

EXPERTS, ALONE = "mowst", "control-trusted"
CEILING_GATE = f"{GATE}ceiling"
SIGNED = "+.3f"


@dataclass(frozen=True)
class GateView:
    """What a run says of gates: what is missing beside them, and a line for each task and gate."""

    lines: list[str]
    table: Table


def gate_view(run: FinishedRun) -> GateView | None:
    """The gates and experts of a run; None where it has none."""
    there = list(dict.fromkeys(run.results["method"]))
    gates = [name for name in there if name.startswith((GATE, EXPERTS))]
    if not gates:
        return None
    columns = [
        Column("task", False),
        Column("gate", False),
        Column("trusted", about="true labels of weak-train that it has read itself"),
        Column("weak share", about="mean confidence: what share of the test rows the supervisor decides"),
        Column("AUROC [95 %]"),
        Column("− plain student [95 %]", about="paired on the same test rows, and over seeds"),
        Column("− constant mixture [95 %]", about="its control: the same mean confidence in every row"),
        Column("− shuffled [95 %]", about="its control: each row has the confidence of another one"),
        Column("− trusted rows alone [95 %]", about="of experts: the student taught these true labels alone"),
        Column("PGR [95 %]", about="above 1 where the mixture is better than the ceiling, which reads no supervisor"),
    ]
    rows = []
    for task, part in run.results.groupby("task", sort=False):
        lines = over_seeds(part)
        by = {(one["method"], one["metric"]): one for one in lines.to_dict(orient="records")}
        for name in [gate for gate in gates if (gate, "auroc") in by]:
            own = by[name, "auroc"]
            against = [run.baseline, *_controls(name, there), ALONE if name.startswith(EXPERTS) else None]
            rows.append(
                [
                    words(task),
                    words(name + (" (oracle)" if own["oracle"] else "")),
                    number(own.get("trusted", 0), ",.0f"),
                    number(_weak_share(run, str(task), name), ".2f"),
                    value_cell(own),
                    *(_difference(run, str(task), name, other) for other in against),
                    pgr_cell(by.get((name, "pgr_auroc"), {})),
                ]
            )
    return GateView(_lacking(gates, there), Table("Gates beside their controls, by task", columns, rows))


def _controls(name: str, there: list[str]) -> tuple[str | None, str | None]:
    """The constant mixture and the shuffled one that were run for a gate."""
    found = [control for control in controls_of(name) if control in there] if name.startswith(GATE) else []
    shuffled = next((control for control in found if control.startswith(SHUFFLED)), None)
    return next((control for control in found if control != shuffled), None), shuffled


def _lacking(gates: list[str], there: list[str]) -> list[str]:
    """Sentences on controls that were not run."""
    told = []
    bare = [name for name in gates if name.startswith(GATE) and name != CEILING_GATE and None in _controls(name, there)]
    if bare:
        told.append(
            f"Run without both controls of its own ({', '.join(controls_of(bare[0])[-2:])}), a gate's number does not "
            f"say whether it knows which rows are the supervisor's: {', '.join(bare)}."
        )
    if any(name.startswith(EXPERTS) for name in gates) and ALONE not in there:
        told.append(f"Without {ALONE} nothing says what the trusted rows of {EXPERTS} would teach by themselves.")
    if ENTROPY_GATE in gates and CEILING_GATE not in there:
        told.append(f"Without {CEILING_GATE} nothing says what a gate could reach: the ceiling reads no supervisor.")
    return told


def _difference(run: FinishedRun, task: str, name: str, other: str | None) -> TableCell:
    found = None if other is None else difference(run.predictions.get(task, {}), name, other)
    if found is None:
        return number(None)
    return estimate(found.estimate.value, found.estimate.low, found.estimate.high, SIGNED)


def _weak_share(run: FinishedRun, task: str, name: str) -> float | None:
    """The mean confidence over the seeds that say it."""
    notes: list[dict[str, Any]] = [
        run.record["runs"].get(trial_key(task, seed), {}).get("methods", {}).get(name, {})
        for seed in run.record["recipe"]["seeds"]
    ]
    shares = [float(one["weak_share"]) for one in notes if "weak_share" in one]
    return sum(shares) / len(shares) if shares else None
