"""Folding an answered audit into what is known of a label set: how many labels are wrong, by class, with intervals."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, preview
from ..labels.label_file import LabelFile, Labels
from ..metrics.audit_design import LEAST_IN_STRATUM, AuditDesign
from ..metrics.intervals import NO_ESTIMATE, Estimate
from ..noise.audits import AUDIT_STRATUM, INCLUSION
from ..noise.estimate import NoiseEstimate
from ..noise.model import noise_model
from ..rows.ids import positions
from ..ties import above_half
from .audit_draw import scores_of
from .audit_files import read_audit_rows
from .audit_rows import ANSWER, STRATUM, AuditRows, identity_of


@dataclass(frozen=True)
class FoldedAudit:
    """What an audit says of N labels: an oracle's figures, for it reads the truth of the audited rows."""

    by: str  # how rows were drawn
    n: int  # rows that were drawn from
    drawn: int  # rows that were drawn
    audited: int  # rows that were answered
    naive: float  # share of wrong labels among the audited rows: of all rows only if the draw was uniform
    horvitz_thompson: Estimate  # share of wrong labels of all rows, by weights alone
    hajek: Estimate  # the same by the weighted mean
    model: NoiseEstimate  # the same by class, with a probe's scores where given: `noise_model` with this design
    prediction_powered: bool  # whether a probe's scores helped
    table: pd.DataFrame  # the audited rows as a label file, with `truth` and how they were drawn

    @property
    def contamination(self) -> Estimate:
        """The share of wrong labels in [0, ½); NaN where too few rows of a class were audited."""
        return self.model.contamination

    def to_frame(self) -> pd.DataFrame:
        """Tidy: `measure`, `value`, `low`, `high` (95 %), `oracle`."""
        ways = [("horvitz_thompson", self.horvitz_thompson), ("hajek", self.hajek)]
        own = pd.DataFrame([(name, e.value, e.low, e.high, True) for name, e in ways])
        table = self.model.to_frame()
        return pd.concat([own.set_axis(table.columns, axis=1), table[table["measure"] != "excess"]], ignore_index=True)

    def __repr__(self) -> str:
        how = "prediction-powered" if self.prediction_powered else "by class"
        return (
            f"FoldedAudit({self.audited} of {self.n} rows, drawn {self.by}; wrong {self.model.noise:.3f} {how}, "
            f"{self.hajek:.3f} weighted; {self.model.status}; oracle)"
        )


def fold_audit(
    audit: AuditRows | Path | str, labels: Labels | LabelFile, *, p: ArrayLike | None = None, partial: bool = False
) -> FoldedAudit:
    """Fold an answered audit of these labels; `p` a probe's out-of-sample scores, as `draw_audit` takes them.

    All rows must be answered. With `partial` the first ones in the drawn order may be alone: the order is random, so
    that they are a random part of the draw, whose probabilities are known too. InputError for an audit that is not
    the one drawn, for one of other labels, and for answers that are none.
    """
    rows = audit if isinstance(audit, AuditRows) else read_audit_rows(audit)
    file = labels if isinstance(labels, LabelFile) else LabelFile.read(labels)
    if identity_of(file) != rows.design["labels"]:
        raise InputError(
            f"{rows.where}: is an audit of other labels than {file.where}: ids and labels of its training rows must be "
            "those that it was drawn from"
        )
    answers = rows.answers
    answered = _answered(rows, answers, partial)
    design = _design_of(rows, answered)
    training = np.flatnonzero(file.training)
    at = positions(file.weak.ids[training], rows.table["id"].to_numpy(dtype=object)[answered], file.where)
    y = file.weak.p[training]
    truth = answers[answered]
    wrong = above_half(truth) != above_half(y[at])
    scores = np.full(len(y), 0.5) if p is None else scores_of(p, file)
    model = noise_model(y, scores, audited=(at, truth), design=design)
    if p is None:  # scores that say nothing have nothing to be measured by
        none = model.calibration.iloc[:0]
        model = replace(model, auroc=NO_ESTIMATE, calibration=none, calibration_error=float("nan"))
    table = file.frame.iloc[training[at]].reset_index(drop=True)
    own = {ANSWER: truth, INCLUSION: design.inclusion, AUDIT_STRATUM: rows.table[STRATUM].to_numpy()[answered]}
    return FoldedAudit(
        by=str(rows.design["by"]),
        n=len(y),
        drawn=len(rows.table),
        audited=int(answered.sum()),
        naive=float(wrong.mean()),
        horvitz_thompson=design.of_all(wrong, len(y)),
        hajek=design.share_of(wrong),
        model=model,
        prediction_powered=p is not None,
        table=table.assign(**own),
    )


def _answered(rows: AuditRows, answers: NDArray[np.float64], partial: bool) -> NDArray[np.bool_]:
    """Which rows (n,) are answered; InputError for an audit that is not done, unless it may be partial and is fit."""
    known = ~np.isnan(answers)
    if known.all():
        return np.asarray(known)
    ids = rows.table["id"]
    if not partial:
        raise InputError(
            f"{rows.where}: {int((~known).sum())} of {len(known)} rows have no truth "
            f"({preview(ids[~known].tolist())}): answer them, or fold the first ones alone with --partial"
        )
    done = int(known.sum())
    if not known[:done].all():
        gap = int((~known).argmax())
        raise InputError(
            f"{rows.where}: row {ids.iloc[gap]!r}, number {gap + 1} of the drawn order, has no truth but later ones "
            "do: rows that a person passed over are no random ones, and no probability is known for the rest: answer it"
        )
    if done < LEAST_IN_STRATUM:
        raise InputError(f"{rows.where}: {done} rows have a truth: at least {LEAST_IN_STRATUM} are needed")
    return np.asarray(known)


def _design_of(rows: AuditRows, answered: NDArray[np.bool_]) -> AuditDesign:
    """The design of the answered rows: of all that were drawn, or of the first in a random order.

    Those are a simple sample of each stratum's rows, given how many there are: m of n drawn with probability π have
    π m / n.
    """
    inclusion = rows.table[INCLUSION].to_numpy(dtype=np.float64)
    names = rows.table[STRATUM].to_numpy(dtype=object)
    strata = np.unique(names.astype(str), return_inverse=True)[1]
    drawn, done = np.bincount(strata), np.bincount(strata[answered], minlength=strata.max() + 1)
    for code in np.flatnonzero(done < drawn):
        if done[code] < min(LEAST_IN_STRATUM, drawn[code]):
            raise InputError(
                f"{rows.where}: {done[code]} of {drawn[code]} rows of stratum {names[strata == code][0]} have a truth, "
                f"and at least {LEAST_IN_STRATUM} are needed to speak for the rest: answer more"
            )
    return AuditDesign(np.minimum(inclusion * (done / drawn)[strata], 1.0)[answered], strata[answered])
