"""What `w2s audit` answers in JSON."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from .json_answers import JsonAnswer, JsonEstimate

if TYPE_CHECKING:
    from ..auditing import AuditRows, FoldedAudit
    from ..metrics.intervals import Estimate


class DrawnAudit(JsonAnswer):
    """What `w2s audit draw` drew."""

    labels: str = Field(description="the label file")
    store: str | None = Field(description="the activation store; null where no probe took part")
    by: str = Field(description="stratified, disagreement or uniform")
    rows: int = Field(description="rows that were drawn from, of split train")
    drawn: int = Field(description="rows drawn")
    strata: int = Field(description="strata of the rows drawn")
    least: float = Field(description="smallest probability of a row drawn")
    most: float = Field(description="largest probability of one")
    checksum: str = Field(description="of the draw, as in the file")
    out: str = Field(description="the file written")
    remarks: list[str] = Field(description="what is said without --json, a line each")


class WrittenAuditPage(JsonAnswer):
    """What `w2s audit page` wrote."""

    audit: str = Field(description="the audit")
    out: str = Field(description="the page written")
    rows: int = Field(description="rows on it")
    bytes: int = Field(description="its size")
    saves: str = Field(description="name of the CSV that the page saves")


class AuditedClass(JsonAnswer):
    """The labels of one weak class, and of one true class."""

    label: int = Field(description="the class, 0 or 1")
    wrong_given_weak: JsonEstimate = Field(description="share of the rows with this label whose label is wrong")
    wrong_given_true: JsonEstimate = Field(description="share of the rows truly of this class whose label is wrong")


class FoldedLabels(JsonAnswer):
    """What an answered audit says of the labels: an oracle's figures."""

    audit: str = Field(description="the answered audit")
    labels: str = Field(description="the label file")
    store: str | None = Field(description="the activation store; null where no probe took part")
    by: str = Field(description="how the rows were drawn")
    rows: int = Field(description="rows that were drawn from")
    drawn: int = Field(description="rows drawn")
    audited: int = Field(description="rows answered")
    wrong_among_audited: float = Field(description="share of wrong labels among them; of all rows if drawn uniform")
    horvitz_thompson: JsonEstimate = Field(description="share of wrong labels of all rows, by weights alone")
    hajek: JsonEstimate = Field(description="the same by the weighted mean")
    noise: JsonEstimate = Field(description="the same by class, with the probe's scores where there is a store")
    prediction_powered: bool = Field(description="whether a probe's scores helped")
    status: str = Field(description="ok; few rows: fewer than 10 audited rows of a weak class")
    classes: list[AuditedClass] = Field(description="of classes 0 and 1")
    contamination: JsonEstimate = Field(
        description="share of wrong labels below one half; null unless the status is ok"
    )
    auroc: JsonEstimate = Field(description="of the probe's scores against the weak labels; null without a store")
    oracle: bool = Field(description="always true: the numbers read the truth of the audited rows")
    out: str | None = Field(description="the label file of the audited rows")
    remarks: list[str] = Field(description="what is said without --json, a line each")


class AuditAnswer(JsonAnswer):
    """What `w2s audit draw`, `page` and `fold` print with --json: the part of the one that was called."""

    draw: DrawnAudit | None = Field(description="of `w2s audit draw`; else null")
    page: WrittenAuditPage | None = Field(description="of `w2s audit page`; else null")
    fold: FoldedLabels | None = Field(description="of `w2s audit fold`; else null")

    @classmethod
    def of_draw(
        cls, audit: "AuditRows", labels: Path, store: Path | None, out: Path, remarks: list[str]
    ) -> "AuditAnswer":
        from ..auditing.audit_rows import CHECKSUM, STRATUM
        from ..noise.audits import INCLUSION

        table = audit.table
        drawn = DrawnAudit(
            labels=labels,
            store=store,
            by=audit.design["by"],
            rows=audit.design["rows"],
            drawn=len(table),
            strata=table[STRATUM].nunique(),
            least=table[INCLUSION].min(),
            most=table[INCLUSION].max(),
            checksum=table[CHECKSUM].iloc[0],
            out=out,
            remarks=remarks,
        )
        return cls(draw=drawn, page=None, fold=None)

    @classmethod
    def of_page(cls, audit: Path, out: Path, rows: int, saves: str) -> "AuditAnswer":
        page = WrittenAuditPage(audit=audit, out=out, rows=rows, bytes=out.stat().st_size, saves=saves)
        return cls(draw=None, page=page, fold=None)

    @classmethod
    def of_fold(
        cls,
        found: "FoldedAudit",
        audit: Path,
        labels: Path,
        store: Path | None,
        out: Path | None,
        remarks: list[str],
    ) -> "AuditAnswer":
        model = found.model
        classes = [
            AuditedClass(
                label=c,
                wrong_given_weak=_estimate(model.true_given_weak[c][1 - c]),
                wrong_given_true=_estimate(model.weak_given_true[c][1 - c]),
            )
            for c in (0, 1)
        ]
        folded = FoldedLabels(
            audit=audit,
            labels=labels,
            store=store,
            by=found.by,
            rows=found.n,
            drawn=found.drawn,
            audited=found.audited,
            wrong_among_audited=found.naive,
            horvitz_thompson=_estimate(found.horvitz_thompson),
            hajek=_estimate(found.hajek),
            noise=_estimate(model.noise),
            prediction_powered=found.prediction_powered,
            status=model.status,
            classes=classes,
            contamination=_estimate(found.contamination),
            auroc=_estimate(model.auroc),
            oracle=True,
            out=out,
            remarks=remarks,
        )
        return cls(draw=None, page=None, fold=folded)


def _estimate(estimate: "Estimate") -> JsonEstimate:
    return JsonEstimate(value=estimate.value, low=estimate.low, high=estimate.high)
