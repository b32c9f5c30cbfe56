"""Students that scored the same test rows, two and two: by how much they differ on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from w2s_probes.metrics.intervals import Estimate
from w2s_probes.metrics.metric_names import Metric
from w2s_probes.metrics.paired_scores import METRIC_NAMES, difference
from w2s_probes.rows.groups import groups_of
from w2s_probes.ties import above_half

from ..load.student_files import TrainedStudent

MOST_PAIRS = 45  # of ten students; of more each stands against the first alone


@dataclass(frozen=True)
class Pair:
    """Two students on the test rows that both scored."""

    a: str
    b: str
    rows: int
    differences: dict[Metric, Estimate | None]  # a - b


def pairs_of(students: Sequence[TrainedStudent]) -> tuple[list[Pair], list[str]]:
    """Pairs of students with test rows in common, by id; and sentences on those that cannot be compared."""
    tested = [one for one in students if one.predictions is not None]
    pairs, told = [], []
    couples = list(combinations(tested, 2))
    if len(couples) > MOST_PAIRS:
        couples = [(one, tested[0]) for one in tested[1:]]
        told.append(
            f"{len(tested)} students make too many pairs to show: each stands beside the first, {tested[0].name}."
        )
    for a, b in couples:
        found = _pair(a, b)
        if isinstance(found, Pair):
            pairs.append(found)
        else:
            told.append(f"{a.name} and {b.name} are not compared: {found}.")
    return pairs, told


def _pair(a: TrainedStudent, b: TrainedStudent) -> Pair | str:
    """Two students on the rows that both scored, or why they cannot be compared."""
    assert a.predictions is not None
    assert b.predictions is not None
    if a.against != b.against:
        return f"one is scored against {a.against}, the other against {b.against}"
    both = a.predictions.dropna(subset=["value"]).merge(
        b.predictions.dropna(subset=["value"])[["id", "p", "value"]], on="id", suffixes=("", "_b")
    )
    if both.empty:
        return "no test row of one is a test row of the other"
    if not np.array_equal(both["value"], both["value_b"]):
        return f"their {a.against} of the same rows differs"
    value, first, second = (both[name].to_numpy(dtype=np.float64) for name in ("value", "p", "p_b"))
    sides = above_half(value)
    if sides.all() or not sides.any():
        return f"the {len(both):,} rows that both scored are of one class"
    groups = groups_of(both)
    found = {metric: difference(metric, value, first, second, groups) for metric in METRIC_NAMES}
    return Pair(a.name, b.name, len(both), found)


def on_the_same_rows(students: Sequence[TrainedStudent]) -> bool:
    """Whether all are scored on the same rows, against the same values."""
    tables = [one.predictions.dropna(subset=["value"]) for one in students if one.predictions is not None]
    given = [dict(zip(table["id"], table["value"], strict=True)) for table in tables]
    return all(one == given[0] for one in given) and len({one.against for one in students}) == 1
