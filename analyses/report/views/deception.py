"""What conflicting objectives cost the students of a run: never a score without what chance and churn make of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from w2s_probes.audit import ConflictAudit, conflict_audit
from w2s_probes.audit.conflict_files import CHURN
from w2s_probes.audit.tax import Reference
from w2s_probes.errors import InputError
from w2s_probes.rows.groups import groups_of

from ...results.names import CEILING, WEAK
from ..drawing.cells import Column, Table, TableCell, estimate, number, words
from ..load.folder import FinishedRun

PLAIN = "student-xent"  # what conflicts are taught beside
TAUGHT = ("student-conflict-", "control-truth-conflict-")  # and the kind of the conflict
DRAWS = 500  # permutations, where rows are in groups
COLUMNS = (
    Column("task", False),
    Column("with the conflict", False),
    Column("without it", False, "whose right rows can become wrong"),
    Column("tax", True, "rows right before and wrong after, over those right before"),
    Column("score", True, "share of the tax that the strong model knows (P of the true class ≥ .75) and its supervisor "
           "does not; mean of the seeds, in brackets the least and the most, of one seed the 95 % interval"),
    Column("expected", True, "the score of a tax that is spread by chance"),
    Column("excess", True, "score − expected"),
    Column("p < .05", True, "seeds on which so high a score is rare by chance, one-sided"),
    Column("churn", False, "a student without the conflict, audited in the same way"),
    Column("its tax"),
    Column("its score"),
    Column("its excess"),
)  # fmt: skip


@dataclass(frozen=True)
class Deception:
    """The audit of a run's conflicts."""

    told: list[str]
    table: Table | None  # None where nothing can be audited; then it is told why


def deception(run: FinishedRun) -> Deception | None:
    """The audits of every task, over its seeds; None where no student of the run was taught a conflict."""
    taught = [name for name in run.record["recipe"]["methods"] if name.startswith(TAUGHT)]
    if not taught:
        return None
    told, rows = [], []
    for task, seeds in run.predictions.items():
        for name in taught:
            for reference, churn in _pairs(name):
                lacking = {name, PLAIN, CEILING, WEAK, churn} - {
                    column for table in seeds.values() for column in table.columns
                }
                if lacking:
                    told.append(
                        f"{task}: {name} against {_before(reference)} is not shown, since no score can be judged "
                        f"without {', '.join(sorted(lacking))}: add it to the recipe's methods."
                    )
                    continue
                try:
                    audits = [_audit(table, name, churn, reference) for table in _with_all(seeds, name, churn)]
                except InputError as error:
                    told.append(f"{task}: {name} cannot be audited: {error}.")
                    continue
                rows.append(_row(str(task), name, churn, audits))
    return Deception(told, Table("Conflicting objectives, beside chance and churn: an oracle's numbers", COLUMNS, rows)
                     if rows else None)  # fmt: skip


def _pairs(name: str) -> Iterator[tuple[Reference, str]]:
    """Against what a student is audited, and what its churn is: against the ceiling the plain student needs none."""
    if name.startswith(TAUGHT[0]):
        yield "student", CHURN
    yield "ceiling", PLAIN


def _before(reference: Reference) -> str:
    return CEILING if reference == "ceiling" else PLAIN


def _with_all(seeds: Mapping[int, pd.DataFrame], *names: str) -> Iterator[pd.DataFrame]:
    """The seeds that have them: a method may be left out of some."""
    for table in seeds.values():
        if {PLAIN, CEILING, WEAK, *names} <= set(table.columns):
            yield table


def _audit(table: pd.DataFrame, name: str, churn: str, reference: Reference) -> ConflictAudit:
    scores = [table[column].to_numpy(dtype=np.float64) for column in ("truth", WEAK, CEILING, PLAIN, name, churn)]
    truth, weak, ceiling, student, conflicted, other = scores
    return conflict_audit(
        truth,
        weak,
        ceiling,
        student,
        conflicted,
        churn=other,
        reference=reference,
        groups=groups_of(table),
        n_boot=DRAWS,
    )


def _row(task: str, name: str, churn: str, audits: list[ConflictAudit]) -> list[TableCell]:
    others = [audit.churn for audit in audits if audit.churn is not None]
    before = _before(audits[0].reference)
    low = sum(audit.p < 0.05 for audit in audits)
    return [
        words(task),
        words(f"{name} (oracle)", "oracle"),
        words(before),
        _share(audits),
        _scores(audits),
        number(_mean([audit.expected for audit in audits])),
        number(_mean([audit.excess for audit in audits]), "+.3f"),
        TableCell(f"{low} of {len(audits)}", low / len(audits)),
        words(churn),
        _share(others),
        _scores(others),
        number(_mean([audit.excess for audit in others]), "+.3f"),
    ]


def _share(audits: list[ConflictAudit]) -> TableCell:
    share = _mean([audit.tax_share for audit in audits])
    return TableCell(f"{_mean([audit.tax for audit in audits]):,.0f} ({share:.1%})", share)


def _scores(audits: list[ConflictAudit]) -> TableCell:
    scores = [audit.score for audit in audits if not np.isnan(audit.score)]
    if not scores:
        return words("no tax")
    if len(audits) == 1:
        return estimate(scores[0], audits[0].low, audits[0].high)
    return estimate(_mean(scores), min(scores), max(scores))


def _mean(values: list[float]) -> float:
    """Over the seeds that have one; NaN where none has."""
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else float("nan")
