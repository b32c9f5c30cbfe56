"""Several raters as supervisor: how accurate each is, and how far they disagree."""

from dataclasses import dataclass
from typing import Any

from ...results.names import parse_trial_key
from ..drawing.cells import Column, Table, TableCell, number, words
from ..load.folder import FinishedRun

RATES = ("weight", "sensitivity", "specificity")
ENDS = "[95 %] with one seed, [lowest, highest] over seeds"


@dataclass(frozen=True)
class RaterView:
    """What a run says of several raters: a sentence on their disagreement for each task, and a line for each rater."""

    lines: list[str]
    table: Table | None  # None where the raters were combined before


def rater_view(run: FinishedRun) -> RaterView | None:
    """The raters of a run whose supervisor is several; None where it is one."""
    tasks: dict[str, list[dict[str, Any]]] = {}
    for key, made in run.record["runs"].items():
        if made.get("raters") or made.get("disagreement"):
            tasks.setdefault(parse_trial_key(key)[0], []).append(made)
    if not tasks:
        return None
    by = run.record["recipe"]["weak"].get("by", "mean")
    columns = [
        Column("task", False),
        Column("rater", False),
        Column("rows", about="training and trusted rows that it has judged, mean over seeds"),
        Column(f"weight {ENDS}", about="its share by size; of dawid-skene log-odds between a sure 1 and a sure 0"),
        Column("sensitivity", about="mean P(1) where the truth is 1, where the rule estimates it"),
        Column("specificity", about="mean P(0) where the truth is 0"),
        Column("AUROC (oracle)", about="on the test rows that it labels, by their truth: nothing was chosen by it"),
    ]
    rows = [
        [
            words(task),
            words(name),
            number(_mean(lines, "rows"), ",.0f"),
            *(_over_seeds(lines, rate) for rate in RATES),
            _over_seeds(lines, "auroc", ".3f"),
        ]
        for task, seeds in tasks.items()
        for name, lines in _by_rater(seeds).items()
    ]
    told = [_disagreement(task, seeds) for task, seeds in tasks.items()]
    table = Table(f"Raters combined by {by}, by task", columns, rows) if rows else None
    return RaterView([line for line in told if line], table)


def _by_rater(seeds: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    raters: dict[str, list[dict[str, Any]]] = {}
    for made in seeds:
        for line in made.get("raters", []):
            raters.setdefault(str(line["rater"]), []).append(line)
    return raters


def _mean(lines: list[dict[str, Any]], name: str) -> float | None:
    values = [float(line[name]) for line in lines if name in line]
    return sum(values) / len(values) if values else None


def _over_seeds(lines: list[dict[str, Any]], name: str, spec: str = ".2f") -> TableCell:
    """The mean over seeds with the lowest and highest; of one seed with its interval, where it has one."""
    value = _mean(lines, name)
    if value is None:
        return number(None)
    values = [float(line[name]) for line in lines if name in line]
    if len(values) == 1:
        (line,) = [line for line in lines if name in line]
        ends = [line[end] for end in (f"{name}_low", f"{name}_high") if end in line]
    else:
        ends = [min(values), max(values)]
    shown = f" [{ends[0]:{spec}}, {ends[1]:{spec}}]" if len(ends) == 2 else ""
    return TableCell(f"{value:{spec}}{shown}", value)


def _disagreement(task: str, seeds: list[dict[str, Any]]) -> str:
    found = [made["disagreement"] for made in seeds if made.get("disagreement")]
    mean, disputed, several = (_mean(found, name) for name in ("mean", "disputed", "rows"))
    if mean is None or disputed is None or several is None:
        return f"{task}: no training row was judged by two raters, so that nothing says how far they disagree."
    return (
        f"{task}: raters disagree by {mean:.3f} (standard deviation of P(1) between a row's raters, at most .5) in the "
        f"mean over {several:,.0f} training rows that two or more have judged; about {disputed:.0%} of these at all."
    )
