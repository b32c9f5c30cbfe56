"""What `w2s combine` answers in JSON."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from .json_answers import JsonAnswer, JsonEstimate

if TYPE_CHECKING:
    from ..raters import Combined


class CombinedRater(JsonAnswer):
    """What is known of one rater."""

    rater: str = Field(description="the name of its file")
    rows: int = Field(description="rows that it has judged")
    weight: JsonEstimate = Field(
        description="its share by size; of dawid-skene the log-odds between a sure 1 and a sure 0 of it"
    )
    sensitivity: JsonEstimate = Field(description="mean P(1) where the truth is 1; null where nothing estimates it")
    specificity: JsonEstimate = Field(description="mean P(0) where the truth is 0")


class CombineAnswer(JsonAnswer):
    """What `w2s combine --json` prints."""

    labels: list[str] = Field(description="the label files")
    by: str = Field(description="mean, log-odds, dawid-skene, or weights")
    out: str = Field(description="the label file written")
    n: int = Field(description="rows")
    alone: int = Field(description="of these judged by one rater alone")
    above_half: int = Field(description="of these with P(1) above 1/2")
    disagreement: float | None = Field(description="its mean over the rows that two raters have judged")
    trusted_file: str | None = Field(description="the file of trusted rows")
    trusted: int = Field(description="rows whose truth was read")
    status: str = Field(description="ok; two raters; not converged; few trusted rows")
    explained: float | None = Field(description="weights by agreement: share of the covariance that one truth explains")
    prior: float | None = Field(description="share of label 1, where the rule estimates it")
    raters: list[CombinedRater] = Field(description="of each rater, in the order of the files")
    remarks: list[str] = Field(description="what is said without --json, a line each")

    @classmethod
    def of(
        cls, found: "Combined", labels: list[Path], trusted: Path | None, out: Path, remarks: list[str]
    ) -> "CombineAnswer":
        raters = [
            CombinedRater(
                rater=line["rater"],
                rows=line["rows"],
                **{
                    name: JsonEstimate(value=line[name], low=line[f"{name}_low"], high=line[f"{name}_high"])
                    for name in ("weight", "sensitivity", "specificity")
                },
            )
            for line in found.raters.to_dict(orient="records")
        ]
        several = found.disagreement[~np.isnan(found.disagreement)]
        return cls(
            labels=labels,
            by=found.combiner.by,
            out=out,
            n=len(found.labels),
            alone=(found.judged < 2).sum(),
            above_half=(found.labels.p > 0.5).sum(),
            disagreement=several.mean() if len(several) else None,
            trusted_file=trusted,
            trusted=found.trusted,
            status=found.status,
            explained=found.explained,
            prior=found.combiner.prior,
            raters=raters,
            remarks=remarks,
        )
