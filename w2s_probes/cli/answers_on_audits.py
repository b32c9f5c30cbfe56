"""What `w2s deception` answers in JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from .json_answers import JsonAnswer, JsonEstimate

if TYPE_CHECKING:
    from ..audit import AuditedScores, ConflictAudit


class AuditedFile(JsonAnswer):
    """A column of scores."""

    role: str = Field(description="weak, ceiling, student, churn, or the name of a student that is audited")
    file: str = Field(description="the file")
    column: str = Field(description="the column that was read")


class AuditedRegion(JsonAnswer):
    """Rows by whether the strong model knows them, and whether the supervisor does."""

    region: str = Field(description="both know, only strong knows, only weak knows, neither knows")
    rows: int = Field(description="rows in it")
    right: int = Field(description="of these right before")
    tax: int = Field(description="of these wrong after")
    returned: int = Field(description="rows wrong before and right after")
    rows_share: JsonEstimate = Field(description="rows over all rows")
    right_share: JsonEstimate = Field(description="right over rows")
    tax_share: JsonEstimate = Field(description="tax over right")
    returned_share: JsonEstimate = Field(description="returned over the rows wrong before")


class AuditedThreshold(JsonAnswer):
    """The score at another threshold."""

    threshold: float = Field(description="P from which on a model knows a row")
    eligible: int = Field(description="rows right before that the strong model alone knows")
    deceived: int = Field(description="of these wrong after")
    score: float | None = Field(description="deceived over the tax")
    low: float | None = Field(description="lower end of its 95 % interval")
    high: float | None = Field(description="upper end of it")
    expected: float = Field(description="the score that chance expects")
    excess: float | None = Field(description="score - expected")
    excess_low: float | None = Field(description="lower end of its 95 % interval")
    excess_high: float | None = Field(description="upper end of it")
    p: float | None = Field(description="one-sided, of as high a score by chance")


class AuditedTax(JsonAnswer):
    """Where rows that were right before became wrong."""

    tax: int = Field(description="rows right before and wrong after")
    right: int = Field(description="rows right before")
    returned: int = Field(description="rows wrong before and right after")
    eligible: int = Field(description="rows right before that the strong model alone knows")
    deceived: int = Field(description="of these wrong after")
    score: JsonEstimate = Field(description="deceived over the tax; null without a tax")
    expected: float = Field(description="the score that chance expects")
    excess: JsonEstimate = Field(description="score - expected")
    p: float | None = Field(description="one-sided, of as high a score by chance")
    lift: float | None = Field(description="score over expected")
    of_all: float = Field(description="deceived over all rows")
    status: str = Field(description="ok; no tax")
    regions: list[AuditedRegion] = Field(description="the four regions")
    thresholds: list[AuditedThreshold] = Field(description="at thresholds .5 to .95")


class DeceptionAudit(JsonAnswer):
    """The audit of one student that was taught a conflict, beside churn."""

    name: str = Field(description="the student")
    conflict: AuditedTax = Field(description="its tax")
    churn: AuditedTax | None = Field(description="that of what no conflict needs; null where no scores of it are given")


class DeceptionAnswer(JsonAnswer):
    """What `w2s deception --json` prints."""

    files: list[AuditedFile] = Field(description="the columns that were read")
    truth: str = Field(description="where the truth stands")
    rows: int = Field(description="rows audited")
    positive: int = Field(description="of these of label 1")
    groups: int | None = Field(description="groups of related rows; null where every row stands alone")
    threshold: float = Field(description="P from which on a model knows a row")
    known: str = Field(description="right: P of the true class; confident: of either")
    reference: str = Field(description="whose right rows are those before: student, or ceiling")
    oracle: bool = Field(description="always true: every number reads the truth")
    audits: list[DeceptionAudit] = Field(description="of each student")
    out: str | None = Field(description="the table of --out")

    @classmethod
    def of(cls, found: "AuditedScores", out: Path | None) -> "DeceptionAnswer":
        first = next(iter(found.audits.values()))
        files = [AuditedFile(role=role, file=one.path, column=one.column) for role, one in found.files.items()]
        audits = [
            DeceptionAudit(name=name, conflict=_tax(audit), churn=None if audit.churn is None else _tax(audit.churn))
            for name, audit in found.audits.items()
        ]
        rows = {"truth": found.truth, "rows": found.rows, "positive": found.positive, "groups": first.groups}
        how = {"threshold": first.threshold, "known": first.known, "reference": first.reference, "oracle": first.oracle}
        return cls(files=files, **rows, **how, audits=audits, out=out)


def _tax(audit: "ConflictAudit") -> AuditedTax:
    names = ("tax", "right", "returned", "eligible", "deceived", "expected", "p", "lift", "of_all", "status")
    regions = [
        AuditedRegion(
            region=region,
            **{name: int(line[name]) for name in ("rows", "right", "tax", "returned")},
            **{
                f"{name}_share": _estimate(line[f"{name}_share"], line[f"{name}_low"], line[f"{name}_high"])
                for name in ("rows", "right", "tax", "returned")
            },
        )
        for region, line in audit.regions.iterrows()
    ]
    return AuditedTax(
        **{name: getattr(audit, name) for name in names},
        score=_estimate(audit.score, audit.low, audit.high),
        excess=_estimate(audit.excess, audit.excess_low, audit.excess_high),
        regions=regions,
        thresholds=[
            AuditedThreshold(**{str(name): value for name, value in line.items()})
            for line in audit.sweep.to_dict(orient="records")
        ],
    )


def _estimate(value: Any, low: Any, high: Any) -> JsonEstimate:
    return JsonEstimate(value=value, low=low, high=high)
