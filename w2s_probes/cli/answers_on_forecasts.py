"""What `w2s foretell` answers in JSON."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from .json_answers import JsonAnswer, JsonEstimate

if TYPE_CHECKING:
    from ..foretelling import Forecast


class ForetoldGain(JsonEstimate):
    """A measure, its level of chance, and how well it foretold gains in the study that comes with the package."""

    measure: str = Field(description="its name, as in docs/foretelling.md")
    chance: float | None = Field(description="the same of permuted labels, or rows: the mean over draws")
    draws: int = Field(description="permutations that it is the mean of")
    needs: str = Field(description="no labels, weak labels, or truth: what was read")
    n: int = Field(description="rows")
    oracle: bool = Field(description="whether truth was read that is not of trusted rows")
    trusted: int = Field(description="trusted rows that were read; 0 where none were")
    status: str = Field(description="ok, or why there is no number or no interval")
    foretold_here: JsonEstimate | None = Field(description="rank correlation with the gain, over the study's cells")
    cells: int = Field(description="tasks and supervisors that this is over")


class ForetellAnswer(JsonAnswer):
    """What `w2s foretell --json` prints."""

    labels: str = Field(description="the label file")
    store: str = Field(description="the strong model's store")
    layer: int = Field(description="its layer")
    probe: str = Field(description="the probe")
    weak_store: str | None = Field(description="the weak model's store; null where none was given")
    rows: int = Field(description="training rows")
    measures: list[ForetoldGain] = Field(description="each measure")
    study: str = Field(description="the study that the rank correlations are of")
    out: str = Field(description="the table written")

    @classmethod
    def of(cls, found: "Forecast", out: Path) -> "ForetellAnswer":
        from ..foretelling import track_record

        record, measures = track_record(), []
        for line in found.to_frame().to_dict(orient="records"):
            past = record.correlation(str(line["measure"]))
            measures.append(
                ForetoldGain(
                    **{str(name): value for name, value in line.items()},
                    foretold_here=JsonEstimate.of(past),
                    cells=0 if past is None else past.n,
                )
            )
        return cls(**found.notes, rows=found.rows, measures=measures, study=str(record), out=out)
