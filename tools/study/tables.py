"""Tables of the study, in Markdown, from the results of its variants."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tools.study.claims import BESIDE, CLAIMS, Claim, find

MINUS = str.maketrans("-", "−")


def claims_table(results: Mapping[str, pd.DataFrame], claims: Sequence[Claim] = (*CLAIMS, *BESIDE)) -> str:
    """A line for each claim; for each supervisor the mean difference in AUROC, its interval, power and a verdict."""
    by_supervisor = {name: find(tuple(claims), values(table)) for name, table in results.items()}
    lines = ["| claim | published | " + " | ".join(by_supervisor) + " |", "|---|---|" + "---|" * len(by_supervisor)]
    for at, claim in enumerate(claims):
        cells = []
        for findings in by_supervisor.values():
            found, tests = findings[at], findings[at].tests
            interval = f"{tests.difference:+.3f} [{tests.low:+.3f}, {tests.high:+.3f}]".translate(MINUS)
            on = f"{tests.better} of {tests.n}"
            published = "" if pd.isna(found.expected) else f", published {found.expected:+.3f}".translate(MINUS)
            cells.append(f"{interval}, {on}; ± {tests.smallest_effect:.3f}{published}. **{found.verdict}**")
        lines.append(f"| {claim.words} | {claim.published} | {' | '.join(cells)} |")
    return "\n".join(lines)


def values(results: pd.DataFrame, test_set: str = "test", metric: str = "auroc") -> dict[str, dict[str, float]]:
    """A metric's mean over seeds, by method and then task."""
    chosen = over_seeds(results, test_set)
    found: dict[str, dict[str, float]] = {}
    for line in chosen[chosen["metric"] == metric].to_dict(orient="records"):
        found.setdefault(line["method"], {})[line["task"]] = float(line["value"])
    return found


def over_seeds(results: pd.DataFrame, test_set: str | None = "test") -> pd.DataFrame:
    """The lines over all seeds, of one test set, or (None) of all others than the task's own."""
    chosen = results[results["seed"].isna()]
    return chosen[chosen["test_set"] == test_set] if test_set else chosen[chosen["test_set"] != "test"]


def tasks_table(results: Mapping[str, pd.DataFrame], *, outside: bool = False) -> str:
    """A line for each task and supervisor: AUROC of supervisor, ceiling and two students, and the PGR of each of them.

    With `outside` of the test sets of other tasks.
    """
    lines = ["| task | supervisor | weak | ceiling | xent; PGR | logconf; PGR |", "|---|---|---|---|---|---|"]
    for (task, test_set), name, table in _parts(results, outside):
        known = {(line["method"], line["metric"]): line for line in table.to_dict(orient="records")}
        cells = [_ends(known[method, "auroc"]) for method in ("weak", "ceiling")]
        for method in ("student-xent", "student-logconf"):
            cells.append(f"{known[method, 'auroc']['value']:.3f}; {_pgr(known[method, 'pgr_auroc'])}")
        where = f"`{task}`" + (f" → `{test_set}`" if outside else "")
        lines.append(f"| {where} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def methods_table(results: Mapping[str, pd.DataFrame]) -> str:
    """A line for each method: its mean AUROC over tasks by each supervisor."""
    means = {
        name: {method: sum(by_task.values()) / len(by_task) for method, by_task in values(table).items()}
        for name, table in results.items()
    }
    methods = list(next(iter(means.values())))
    lines = ["| method | " + " | ".join(means) + " |", "|---|" + "---:|" * len(means)]
    return "\n".join(
        [*lines, *(f"| {m} | " + " | ".join(f"{means[name][m]:.3f}" for name in means) + " |" for m in methods)]
    )


def _parts(results: Mapping[str, pd.DataFrame], outside: bool) -> list[tuple[tuple[str, str], str, pd.DataFrame]]:
    parts = []
    for name, table in results.items():
        lines = over_seeds(table, None if outside else "test")
        parts += [((str(task), str(of)), name, part) for (task, of), part in lines.groupby(["task", "test_set"])]
    return sorted(parts, key=lambda part: part[0])


def _ends(line: Mapping[Any, Any]) -> str:
    return f"{line['value']:.3f} [{line['low']:.3f}, {line['high']:.3f}]"


def _pgr(line: Mapping[Any, Any]) -> str:
    """PGR with its interval, marked where it cannot be read; a dash where it is undefined."""
    if pd.isna(line["value"]):
        return "–"
    mark = " *u*" if "unstable" in str(line["status"]) else ""
    ends = f"{line['value']:.2f} [{line['low']:.2f}, {line['high']:.2f}]{mark}"
    return ends.replace("inf", "∞").translate(MINUS)
