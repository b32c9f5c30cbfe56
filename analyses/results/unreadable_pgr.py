"""Tasks whose PGR is undefined or unstable, with the reason and a remedy, from the gaps in results.csv."""

from dataclasses import dataclass

import pandas as pd

from w2s_probes.metrics.recovery import REMEDIES, status_reason

from .names import HARD, TEST, on_test_set

NAN = float("nan")


@dataclass(frozen=True)
class UnreadablePGR:
    """A task whose PGR against one ceiling cannot be read."""

    task: str
    status: str  # undefined or unstable
    reason: str  # "the ceiling is below the supervisor (gap -0.012 [-0.030, +0.006])"
    methods: tuple[str, ...]  # whose PGR is in units of this gap
    all_methods: bool  # whether the task has no others
    metric: str  # auroc, or accuracy where the supervisor gives hard labels

    @property
    def line(self) -> str:
        """A sentence that names the task."""
        which = "" if self.all_methods else f" for {', '.join(self.methods)}"
        named = " in accuracy" if self.metric == "accuracy" else ""
        return f"{self.task}: PGR is {self.status}{named}{which}: {self.reason}."


def unreadable_pgr(results: pd.DataFrame) -> list[UnreadablePGR]:
    """The tasks whose PGR is `undefined` or `unstable`, over all seeds or of the only one, in order.

    In AUROC, or where the supervisor gives hard labels in accuracy, as `results.summary` shows them. `results` are
    those of results.csv; files of before it had gaps give the reason that the status means, without numbers.
    """
    found = []
    if "test_set" not in results:  # files of before there were several
        results = results.assign(test_set=TEST)
    for (task, test_set), part in results.groupby(["task", "test_set"], sort=False):
        chosen = lines_over_seeds(part)
        hard = chosen[chosen["metric"] == "pgr_auroc"]["status"].astype(str).str.contains(HARD).any()
        metric = "accuracy" if hard else "auroc"
        lines = chosen[chosen["metric"] == f"pgr_{metric}"].to_dict(orient="records")
        methods: dict[tuple[str, str], list[str]] = {}
        for line in lines:
            for status in REMEDIES:
                if status in str(line["status"]):
                    gap, low, high = (float(line.get(name, NAN)) for name in ("gap", "gap_low", "gap_high"))
                    methods.setdefault((status, status_reason(status, gap, low, high)), []).append(str(line["method"]))
        for (status, reason), names in methods.items():
            name = on_test_set(str(task), str(test_set))
            found.append(UnreadablePGR(name, status, reason, tuple(names), len(names) == len(lines), metric))
    return found


def remedies(found: list[UnreadablePGR]) -> list[str]:
    """Remedies: a sentence for each status that occurs."""
    statuses = dict.fromkeys(one.status for one in found)
    return [f"Where PGR is {status}, try {REMEDIES[status]}." for status in statuses]


def lines_over_seeds(part: pd.DataFrame) -> pd.DataFrame:
    """The lines of one task over all seeds, or the only seed's."""
    pooled = part["seed"].isna()
    return part[pooled] if pooled.any() else part
