"""Methods beside the controls that are matched to them, in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...results.names import PERMUTED_GRAPH, RANDOM, RANDOM_STAGES, SMOOTHED, TWO_STAGE, controls_of
from ..drawing.cells import shown
from ..load.folder import FinishedRun
from .differences import difference
from .wording import first_names, signed, signed_difference

FILTER = "filter-"


@dataclass(frozen=True)
class ControlKind:
    """Methods of one kind, and what their controls do."""

    methods: str  # the beginning of their names
    control: str  # and that of their controls' names
    against: str  # the control in words, after "Each … against"
    untold: str  # what a number does not say without it

    def without_control(self, methods: Sequence[str]) -> list[str]:
        """Those of the methods whose control was not run."""
        own = [name for name in methods if name.startswith(self.methods) or self.control + name in methods]
        return [name for name in own if not set(controls_of(name)) & set(methods)]


KINDS = (
    ControlKind(
        FILTER,
        RANDOM,
        "Each filter against its own control, as many rows of each class removed at random",
        "a filter's number says nothing about the probe",
    ),
    ControlKind(
        TWO_STAGE,
        RANDOM_STAGES,
        "Each method in two stages against its own control, which labels as many random rows of each class anew",
        "the number of a method in two stages says nothing about the probe's choice of rows",
    ),
    ControlKind(
        SMOOTHED,
        PERMUTED_GRAPH,
        "Labels smoothed on the graph against the same graph among rows that have changed places",
        "the number of smoothed labels does not say what the graph knows",
    ),
)


def beside_controls(run: FinishedRun) -> list[str]:
    """Filters, two stages and smoothed labels beside their own controls; gates and gold rows have tables."""
    methods = list(dict.fromkeys(map(str, run.results["method"])))
    table = run.controls[run.controls["metric"] == "auroc"] if len(run.controls) else run.controls
    facts = []
    for kind in KINDS:
        if without := kind.without_control(methods):
            facts.append(
                f"Run without the control of its own ({controls_of(without[0])[0]}), {kind.untold}: "
                f"{first_names(without)}."
            )
        own = table[table["against"].map(str).str.startswith(kind.control)] if len(table) else table
        if len(own):
            facts.append(f"{kind.against}, {_differences(run, own)}.")
    return facts


def _differences(run: FinishedRun, table: pd.DataFrame) -> str:
    lines: list[dict[Any, Any]] = table.to_dict(orient="records")
    if table["p_holm"].notna().any():
        told = [f"{one['method']} {signed(one['difference'])} (p = {shown(one['p_holm'], '.2g')})" for one in lines]
        return f"mean difference in AUROC over tasks (sign flips, two-sided, corrected by Holm): {'; '.join(told)}"
    own, told = run.predictions.get(str(run.results["task"].iloc[0]), {}), []
    for one in lines:
        found = difference(own, one["method"], one["against"])
        only = " (rows only)" if found is not None and found.seeds == 1 else ""
        number = signed(one["difference"]) if found is None else signed_difference(found)
        told.append(f"{one['method']} {number}{only}")
    return f"difference in AUROC (by itself, not corrected): {'; '.join(told)}"
