"""What `w2s foretell` answers in JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from .json_answers import JsonAnswer, JsonEstimate

if TYPE_CHECKING:
    import pandas as pd

    from ..foretelling import ComparedProbes, Forecast


class ForetoldNumber(JsonEstimate):
    """A measure beside its level of chance."""

    measure: str = Field(description="its name, as in docs/foretelling.md")
    chance: float | None = Field(description="the same of permuted labels, or rows: the mean over draws")
    draws: int = Field(description="permutations that it is the mean of")
    needs: str = Field(description="no labels, weak labels, or truth: what was read")
    n: int = Field(description="rows")
    oracle: bool = Field(description="whether truth was read that is not of trusted rows")
    trusted: int = Field(description="trusted rows that were read; 0 where none were")
    status: str = Field(description="ok, or why there is no number or no interval")


class ForetoldGain(ForetoldNumber):
    """A measure, and how well it foretold gains in the study that comes with the package."""

    foretold_here: JsonEstimate | None = Field(description="rank correlation with the gain, over the study's cells")
    cells: int = Field(description="tasks and supervisors that this is over")


class ForetoldLabels(JsonAnswer):
    """What is foretold of a label file."""

    labels: str = Field(description="the label file")
    store: str = Field(description="the strong model's store")
    layer: int = Field(description="its layer")
    probe: str = Field(description="the probe")
    weak_store: str | None = Field(description="the weak model's store; null where none was given")
    rows: int = Field(description="training rows")
    measures: list[ForetoldGain] = Field(description="each measure")
    study: str = Field(description="the study that the rank correlations are of")
    remarks: list[str] = Field(description="what is said without --json, a line each")
    out: str = Field(description="the table written")


class ForetoldTrial(ForetoldNumber):
    """A measure of one task and seed of a run."""

    task: str = Field(description="the task")
    seed: int = Field(description="the seed")
    run: str = Field(description="the beginning of the checksum of the run's record")


class ForetoldRank(JsonEstimate):
    """Spearman's correlation of a measure with what was gained, over a run's tasks; its interval is over tasks."""

    measure: str = Field(description="the measure")
    outcome: str = Field(description="gain, pgr, filter gain or relabel gain, as docs/foretelling.md has them")
    cells: int = Field(description="tasks that it is over; null values where they are fewer than five")


class ForetoldRun(JsonAnswer):
    """What is foretold of each task and seed of a finished run."""

    run: str = Field(description="the run's folder")
    cache: str = Field(description="where its activations are")
    probe: str = Field(description="the probe")
    measures: list[ForetoldTrial] = Field(description="each measure of each task and seed")
    correlations: list[ForetoldRank] = Field(description="of each measure with each outcome, means over seeds")
    remarks: list[str] = Field(description="what is said without --json, a line each")
    out: str = Field(description="the table written")


class CosineOfFiles(JsonEstimate):
    """The Mahalanobis cosine of two probes."""

    first: str = Field(description="a probe's file")
    second: str = Field(description="another's")
    by_chance: float | None = Field(description="size that one in twenty random directions reaches with either")
    n: int = Field(description="rows")
    status: str = Field(description="ok, or why there is no number or no interval")


class ComparedProbeFiles(JsonAnswer):
    """Whether saved probes rank rows alike."""

    store: str = Field(description="the store whose rows they are")
    layer: int = Field(description="its layer")
    labels: str | None = Field(description="the table that names the rows; null: all of the store")
    pairs: list[CosineOfFiles] = Field(description="every two of the probes")
    remarks: list[str] = Field(
        description="probes that do not say which layer and model they were fitted to, a line each"
    )
    out: str | None = Field(description="the table written")


class ForetellAnswer(JsonAnswer):
    """What `w2s foretell` prints with --json: the part of what was asked."""

    labels: ForetoldLabels | None = Field(description="of a label file; else null")
    run: ForetoldRun | None = Field(description="of --run; else null")
    probes: ComparedProbeFiles | None = Field(description="of --probe; else null")

    @classmethod
    def of_labels(cls, found: "Forecast", out: Path, remarks: list[str]) -> "ForetellAnswer":
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
        told = {"rows": found.rows, "measures": measures, "study": str(record), "remarks": remarks, "out": out}
        return cls(labels=ForetoldLabels(**found.notes, **told), run=None, probes=None)

    @classmethod
    def of_run(
        cls,
        table: "pd.DataFrame",
        correlations: Sequence[tuple[str, str, Any]],
        run: Path,
        cache: Path,
        probe: str,
        remarks: list[str],
        out: Path,
    ) -> "ForetellAnswer":
        lines = [{str(name): value for name, value in line.items()} for line in table.to_dict(orient="records")]
        ranks = [
            ForetoldRank(
                value=found.value, low=found.low, high=found.high, measure=measure, outcome=outcome, cells=found.n
            )
            for measure, outcome, found in correlations
        ]
        trials = [ForetoldTrial(**line) for line in lines]
        told = {"measures": trials, "correlations": ranks, "remarks": remarks, "out": str(out)}
        return cls(run=ForetoldRun(run=str(run), cache=str(cache), probe=probe, **told), labels=None, probes=None)

    @classmethod
    def of_probes(
        cls,
        found: "ComparedProbes",
        store: Path,
        layer: int,
        rows: Path | None,
        out: Path | None,
        remarks: list[str],
    ) -> "ForetellAnswer":
        lines = found.to_frame().to_dict(orient="records")
        pairs = [CosineOfFiles(**{str(name): value for name, value in line.items()}) for line in lines]
        files = {"store": str(store), "labels": None if rows is None else str(rows)}
        written = None if out is None else str(out)
        compared = ComparedProbeFiles(**files, layer=layer, pairs=pairs, remarks=remarks, out=written)
        return cls(probes=compared, labels=None, run=None)
