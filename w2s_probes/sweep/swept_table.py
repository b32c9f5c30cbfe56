"""The tidy table of a sweep, and what tables and figures read from it."""

from dataclasses import dataclass

import pandas as pd

from ..errors import InputError, did_you_mean
from ..probes.probe_entry import NO_VALUE
from ..probes.registry import PROBES
from .choosing import Best, choose
from .grid import ChooseBy
from .measures import COSINE, FOUND, HELD_OUT, OK, STUDENT_PROBE, TRAINING, WEAK, RowSet
from .student_choice import BestStudent, BestStudents, choose_student
from .student_grid import student_name


@dataclass(frozen=True, eq=False, repr=False)
class SweptTable:
    """The lines of a sweep (see docs/sweeps.md for the columns)."""

    table: pd.DataFrame

    @property
    def labels(self) -> list[str]:
        """The label sets."""
        return list(dict.fromkeys(self.table["labels"]))

    def to_frame(self) -> pd.DataFrame:
        """The tidy table: a line for each cell, row set and metric."""
        return self.table.copy()

    def best(self, labels: str | None = None, by: ChooseBy = "weak_brier", *, oracle: bool = False) -> Best:
        """The best cell of a label set (the only one unless named), chosen by weak labels out of sample.

        `by`: weak_brier or weak_auroc; auroc or accuracy read the truth, need `oracle=True`, and are marked.
        """
        return choose(self.table, self.one_label_set(labels), by, oracle=oracle)

    def best_student(
        self, labels: str | None = None, by: ChooseBy = "weak_auroc", *, oracle: bool = False
    ) -> BestStudent:
        """The best student of a label set, chosen by weak labels of the rows that stopped it.

        `by` is as of `best`, but that AUROC is the usual one: students differ in how far their probabilities go.
        """
        return choose_student(self.table, self.one_label_set(labels), by, oracle=oracle)

    def best_students(self, by: ChooseBy = "weak_auroc", *, oracle: bool = False) -> BestStudents:
        """The best student of each label set, where there is one, and otherwise the reason."""
        found, reasons = [], {}
        for labels in self.labels:
            try:
                found.append(self.best_student(labels, by, oracle=oracle))
            except InputError as error:
                reasons[labels] = str(error)
        return BestStudents(found, reasons)

    def students(self, metric: str, rows: RowSet = HELD_OUT, labels: str | None = None) -> pd.DataFrame:
        """One metric of the students as a matrix, layers down and method and loss across; mean over the seeds."""
        table = self.table
        wanted = (table["labels"] == self.one_label_set(labels)) & (table["probe"] == STUDENT_PROBE)
        wanted &= (table["metric"] == metric) & (table["rows"] == rows) & (table["status"] == OK)
        lines = table[wanted]
        names = [student_name(*cell) for cell in lines[["method", "loss", "contamination"]].itertuples(index=False)]
        columns = list(dict.fromkeys(names))
        lines = lines.assign(student=names)
        of_seeds = lines[lines["seed"].notna()]
        seen = of_seeds if len(of_seeds) else lines  # the gap recovered is of all seeds together
        return seen.pivot_table(index="layer", columns="student", values="value", aggfunc="mean").reindex(
            columns=columns
        )

    @property
    def has_students(self) -> bool:
        """Whether students were swept."""
        return bool((self.table["probe"] == STUDENT_PROBE).any())

    def grid(self, probe: str, metric: str, rows: RowSet = TRAINING, labels: str | None = None) -> pd.DataFrame:
        """One metric of one probe as a matrix, layers down and values of k or l2 across; mean over the seeds.

        A probe without a value has one column, NO_VALUE.
        """
        if probe not in PROBES:
            raise InputError(f"probe {probe!r}: {did_you_mean(probe, PROBES)}")
        table = self.table
        wanted = (table["labels"] == self.one_label_set(labels)) & (table["probe"] == probe)
        wanted &= (table["metric"] == metric) & (table["rows"] == rows) & (table["status"] == OK)
        name = PROBES[probe].value or "no value"
        lines = table[wanted] if name in table else table[wanted].assign(**{name: NO_VALUE})
        return lines.pivot_table(index="layer", columns=name, values="value", aggfunc="mean")

    def transfer(self, labels: str | None = None) -> pd.DataFrame:
        """What was foretold of linear probes on the held-out rows, beside what was seen: a line a cell, over seeds.

        `layer`, `probe`, `k`, `l2`; `cosine` with `low` and `high`; on the same rows `weak_auroc`, and `auroc` where
        the truth is known. InputError for a sweep without `transfer`.
        """
        table = self.table[(self.table["labels"] == self.one_label_set(labels)) & (self.table["rows"] == HELD_OUT)]
        table = table[(table["status"] == OK) & (table["probe"] != STUDENT_PROBE)]
        keys = ["layer", "probe", "k", "l2"]
        cosines = table[table["metric"] == COSINE].groupby(keys, dropna=False, sort=False)
        found = cosines[["value", "low", "high"]].mean()
        if found.empty:
            raise InputError("no transfer was swept, or it has no number: sweep with transfer (--transfer)")
        for metric in ("weak_auroc", "auroc"):
            seen = table[table["metric"] == metric].groupby(keys, dropna=False, sort=False)["value"].mean()
            found = found.join(seen.rename(metric), how="left") if len(seen) else found
        return found.rename(columns={"value": "cosine"}).reset_index()

    @property
    def probes(self) -> list[str]:
        """The probes swept, without the weak labels themselves and students."""
        return [probe for probe in dict.fromkeys(self.table["probe"]) if probe not in (WEAK, STUDENT_PROBE)]

    @property
    def layers(self) -> list[int]:
        """The layers swept, ascending."""
        return sorted(int(layer) for layer in self.table["layer"].dropna().unique())

    def shown_metric(self, labels: str) -> tuple[str, RowSet]:
        """The measure and rows to show: the gain over the weak labels, or agreement with them; on held-out rows."""
        of = self.table[(self.table["labels"] == labels) & (self.table["status"] == OK)]
        of = of[of["probe"] != STUDENT_PROBE]
        metric = "auroc_gain" if (of["metric"] == "auroc_gain").any() else "weak_auroc"
        held_out = bool(((of["rows"] == HELD_OUT) & (of["metric"] == metric)).any())
        return metric, HELD_OUT if held_out else TRAINING

    def found(self) -> tuple[float, float] | None:
        """The least and the largest share of the true neighbours that an approximate index found; None where all."""
        shares = self.table["value"][self.table["metric"] == FOUND]
        return None if shares.empty else (float(shares.min()), float(shares.max()))

    def left_out(self) -> dict[str, int]:
        """The number of cells left out, by reason."""
        reasons = self.table["status"][self.table["status"].str.startswith("left out")]
        return {str(reason): int(count) for reason, count in reasons.value_counts(sort=False).items()}

    def one_label_set(self, labels: str | None) -> str:
        """The name given, or that of the only label set; InputError where it is unknown, or there are several."""
        if labels is not None:
            if labels not in self.labels:
                raise InputError(f"no label set {labels!r} in this sweep: {did_you_mean(labels, self.labels)}")
            return labels
        if len(self.labels) > 1:
            raise InputError(f"this sweep has {len(self.labels)} label sets: name one of {', '.join(self.labels)}")
        return self.labels[0]
