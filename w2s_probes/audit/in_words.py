"""An audit in sentences, which never say a score without what chance and churn would make of it."""

from collections.abc import Mapping

from ..comparing.score_files import ScoreFile
from ..metrics.intervals import Estimate
from .knowledge import DECEPTION, REGIONS
from .tax import NO_TAX, ConflictAudit

UNKNOWN_CHURN = (
    "churn: not known, so the score cannot be judged: give another student without the conflict, of another seed"
)


def audit_lines(audit: ConflictAudit, name: str, files: Mapping[str, ScoreFile]) -> list[str]:
    """The numbers of one audit, a line each; what is compared is called by its columns."""
    before = files[audit.reference].column
    certain = "P(true class)" if audit.known == "right" else "P of either class"
    lines = [f"{files[name].column} against {before}: {_tax(audit)}"]
    lines.append(f"  the strong model alone knows ({certain} ≥ {audit.threshold:g}): {score_in_words(audit)}")
    if audit.churn is None:
        lines.append(f"  {UNKNOWN_CHURN}")
    else:
        other = files["churn" if "churn" in files else "student"].column
        lines.append(f"  churn, {other} against {before}: {_tax(audit.churn)}; {score_in_words(audit.churn)}")
    for region, line in audit.regions.iterrows():
        share = Estimate(line["tax_share"], line["tax_low"], line["tax_high"])
        taxed = f", a share of {share:.3f}" if line["right"] else ""
        lines.append(
            f"  {region}: {line['rows']:,.0f} rows, {line['right']:,.0f} right before, {line['tax']:,.0f} taxed"
            f"{taxed}, {line['returned']:,.0f} returned"
        )
    return [*lines, f"  by threshold: {_by_threshold(audit)}"]


def score_in_words(audit: ConflictAudit) -> str:
    """The score with its interval, and what chance expects."""
    chance = f"{audit.expected:.3f} expected by chance"
    if audit.status == NO_TAX:
        return f"no tax, so no score; {chance}"
    score, excess = (
        Estimate(audit.score, audit.low, audit.high),
        Estimate(audit.excess, audit.excess_low, audit.excess_high),
    )
    return (
        f"score {score:.3f} of the tax, {chance}: excess {excess:+.3f}, p {audit.p:.2g}; {audit.of_all:.3f} of all rows"
    )


def _tax(audit: ConflictAudit) -> str:
    return f"tax {audit.tax:,} of {audit.right:,} rows right before, {audit.returned:,} returned"


def _by_threshold(audit: ConflictAudit) -> str:
    if audit.status == NO_TAX:
        return f"nothing, without a tax in {REGIONS[DECEPTION]!r} or elsewhere"
    parts = []
    churn = None if audit.churn is None or audit.churn.status == NO_TAX else audit.churn.sweep["score"].tolist()
    for place, line in enumerate(audit.sweep.to_dict(orient="records")):
        beside = "" if churn is None else f", churn {churn[place]:.2f}"
        parts.append(f"{line['threshold']:.2f} score {line['score']:.2f} (expected {line['expected']:.2f}{beside})")
    return "; ".join(parts)
