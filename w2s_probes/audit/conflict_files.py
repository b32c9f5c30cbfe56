"""Score files, such as a run's predictions, joined by id and audited for what a conflicting objective cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..comparing.compared_files import known_truth
from ..comparing.score_files import ScoreFile, joined_ids, merged, read_truth
from ..errors import InputError, did_you_mean
from ..io.readers import readable
from ..io.tables import refuse_no_table
from ..labels.label_set import read_label_table
from ..rows.groups import GROUP, groups_of
from .in_words import audit_lines
from .knowledge import Known
from .tax import ConflictAudit, Reference, conflict_audit

CHURN = "control-churn"  # the column that is read where none is named: the method of this name


@dataclass(frozen=True)
class AuditedScores:
    """Audits of several students against one without the conflict, and how their rows were joined."""

    files: Mapping[str, ScoreFile]  # by what they are here: weak, ceiling, student, perhaps churn, and the audited ones
    truth: str  # where it stands
    rows: int
    positive: int  # of label 1
    audits: Mapping[str, ConflictAudit]  # by the name of the student that was taught a conflict

    @property
    def lines(self) -> list[str]:
        """Every number in words, a line each."""
        first = next(iter(self.audits.values()))
        groups = "" if first.groups is None else f", in {first.groups:,} groups"
        lines = [f"{role}: `{file.column}` of {file.path}" for role, file in self.files.items()]
        lines.append(f"{self.rows:,} rows, {self.positive:,} of label 1{groups}; truth: {self.truth} [95 %]")
        for name, audit in self.audits.items():
            lines += audit_lines(audit, name, self.files)
        return [*lines, "Oracle: all of this reads the truth, and none of it may choose anything."]

    def to_frame(self) -> pd.DataFrame:
        """The regions of every audit, and of its churn."""
        frames = [audit.to_frame().assign(conflicted=name) for name, audit in self.audits.items()]
        table: pd.DataFrame = pd.concat(frames, ignore_index=True)
        return table


def audit_files(
    predictions: Path | str,
    *,
    student: str,
    conflicted: Sequence[str],
    churn: str | None = None,
    weak: str = "weak",
    ceiling: str = "ceiling",
    truth: Path | str | None = None,
    common: bool = False,
    threshold: float = 0.75,
    known: Known = "right",
    reference: Reference = "student",
) -> AuditedScores:
    """Audit columns of a table of scores by id, or other files, FILE or FILE:COLUMN, joined by id (`ScoreFile.read`).

    Without `churn` the column control-churn is, where it is there. `truth` is a file with `id` and `truth`, or else
    `label`; without it the files have `truth`. InputError where the files have other rows, unless `common` takes those
    that all have.
    """
    path = Path(predictions)
    refuse_no_table(path)
    columns = [str(name) for name in read_label_table(path)]
    if churn is None and CHURN in columns and CHURN not in (student, *conflicted):
        churn = CHURN
    if not conflicted:
        raise InputError(f"{path}: no student with a conflict to audit: name one")
    if twice := [name for place, name in enumerate(conflicted) if name in conflicted[:place]]:
        raise InputError(f"{path}: {twice[0]!r} is to be audited twice: name it once")
    roles = {"weak": weak, "ceiling": ceiling, "student": student}
    roles |= {} if churn is None else {"churn": churn}
    if taken := sorted(roles.keys() & set(conflicted)):
        raise InputError(f"{path}: a student called {taken[0]!r} cannot be told from that role: rename its column")
    named = roles | {name: name for name in conflicted}
    files = {role: ScoreFile.read(_place(path, columns, name, role)) for role, name in named.items()}
    read = list(files.values())
    ids = joined_ids(read, common=common)
    judge = None if truth is None else read_truth(Path(truth))
    of_rows, place = known_truth(read, judge, ids, common=common)
    kept = ids[of_rows.notna()]
    groups = merged(read if judge is None else [*read, judge], GROUP, kept)
    sides = of_rows[of_rows.notna()].to_numpy(dtype=np.float64)
    scores = {role: file.table.set_index("id")["score"].reindex(kept).to_numpy() for role, file in files.items()}
    for role, values in scores.items():
        if not ((values >= 0) & (values <= 1)).all():
            raise InputError(f"{files[role].given}: scores outside [0, 1] are no probabilities: give P(label = 1)")
    audits = {
        name: conflict_audit(
            sides,
            *(scores[role] for role in ("weak", "ceiling", "student", name)),
            churn=scores.get("churn"),
            threshold=threshold,
            known=known,
            reference=reference,
            groups=None if groups is None else groups_of(pd.DataFrame({GROUP: groups})),
        )
        for name in conflicted
    }
    return AuditedScores(files, place, len(kept), int((sides > 0.5).sum()), audits)


def _place(path: Path, columns: Sequence[str], name: str, role: str) -> str:
    """FILE:COLUMN of a name: a column of the table, or else a file of its own."""
    if name in columns:
        return f"{path}:{name}"
    if name.rpartition(":")[0].endswith(readable()) or name.endswith(readable()):
        return name
    scores = [column for column in columns if column not in ("id", "truth", GROUP)]
    raise InputError(f"{path}: no column {name!r} for {role}; {did_you_mean(name, scores)}")
