"""How well each measure has foretold gains in the study of docs/results.md: a small table that comes with the package.

`python -m tools.study.foretold RUN CACHE` writes it anew.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..io.json_files import read_json
from ..metrics.intervals import interval_in_words

TRACK_RECORD = Path(__file__).with_name("track_record.json")


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of a measure with a gain, over a study's tasks and supervisors.

    >>> found = track_record().correlation("misfit")
    >>> found.n > 30 and -1 <= found.low <= found.value <= found.high <= 1
    True
    """

    value: float
    low: float  # 95 %, of the bootstrap over tasks
    high: float
    n: int  # cells: a task and a supervisor each

    def __str__(self) -> str:
        return f"{self.value:+.2f} {interval_in_words(self.low, self.high, '+.2f')}"


@dataclass(frozen=True)
class TrackRecord:
    """The study, and what each measure's rank correlation with the gain was there."""

    encoder: str
    tasks: int
    supervisors: list[str]
    seeds: int
    measures: dict[str, Any]  # by name and outcome
    cells: list[dict[str, Any]]  # a line for each task, supervisor and measure

    def correlation(self, measure: str, outcome: str = "gain") -> RankCorrelation | None:
        """That of a measure with an outcome: gain, pgr, `filter gain` or `relabel gain`; None where there is none."""
        found = self.measures.get(measure, {}).get(outcome)
        if not found or found["value"] is None:
            return None
        return RankCorrelation(found["value"], found["low"], found["high"], found["n"])

    def __str__(self) -> str:
        return (
            f"{self.tasks} tasks x {len(self.supervisors)} supervisors, {self.seeds} seeds, one encoder "
            f"({self.encoder}), linear heads"
        )


@cache
def track_record() -> TrackRecord:
    """The record that comes with the package."""
    found = read_json(TRACK_RECORD)
    return TrackRecord(**{name: found[name] for name in TrackRecord.__dataclass_fields__})
