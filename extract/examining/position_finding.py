"""The position of a store that does not say it: of its rows, or, where these are in another order, of all its rows."""

from collections.abc import Sequence

import numpy as np

from ..forward.row_check import TOLERANCE
from ..forward.trace import Position
from .candidates import POSITIONS, Candidate
from .distances import nearest, spread
from .elsewhere import few_rows, places_of
from .reading import Reading
from .subject import Subject

NEAR = TOLERANCE["bfloat16"]  # of the distance between rows: what comes no nearer says nothing of a position
FURTHER = 3  # layers that are looked for among all rows


def position_found(subject: Subject, reading: Reading, layers: Sequence[int]) -> Position:
    """The position that most layers come nearest to, at their rows; where none comes near, at any row of the store."""
    found = [
        nearest(reading.stored[layer], reading.candidates, {0: reading.partners[0]}, spread(reading.stored[layer]))
        for layer in layers
    ]
    near = [holds.position for difference, holds, _ in found if difference <= NEAR]
    if not near:
        near = [place for layer in layers[-FURTHER:] if (place := _anywhere(subject, reading, layer)) is not None]
    positions = near or [holds.position for _, holds, _ in found]
    return max(POSITIONS, key=positions.count)


def _anywhere(subject: Subject, reading: Reading, layer: int) -> Position | None:
    """The position whose vectors of a few rows stand somewhere in a layer, at whatever rows; None where none does."""
    few = few_rows(len(reading.names))
    best: tuple[float, Position | None] = (NEAR, None)
    for position in POSITIONS:
        for kind in (Candidate(layer, position), Candidate(layer, position, normed=True)):
            if kind not in reading.candidates.kinds:
                continue
            wanted = reading.candidates.of(kind)[reading.partners[0][few]]
            if np.isfinite(wanted).all():
                _, distances = places_of(subject.store, layer, wanted)
                share = float(np.median(distances)) / spread(reading.stored[layer])
                best = (share, position) if share <= best[0] else best
    return best[1]
