"""What the doctor found of one stored layer: what it was said to hold, what it holds, and how far off that is."""

from collections.abc import Sequence
from dataclasses import dataclass

from .candidates import Candidate

SHIFTS = {1: "the row after", -1: "the row before"}


@dataclass(frozen=True)
class LayerFinding:
    """One stored layer beside the model; differences are shares of the median distance between its rows."""

    layer: int
    faults: tuple[str, ...]  # in words; none: it is what the store says
    difference: float  # from what the store says it is; the median row's
    allowed: float
    holds: Candidate | None = None  # what comes nearest within what is allowed; None: nothing does
    shift: int = 0  # rows of the store that this lies beside where it should stand
    nearest: float = float("nan")  # the difference from that, or from what comes nearest

    @property
    def ok(self) -> bool:
        """Whether the layer is what the store says."""
        return not self.faults


def told_apart(layer: int, expected: Candidate, holds: Candidate, shift: int, rows: str = "") -> tuple[str, ...]:
    """The differences between what a layer should hold and what it holds, in words."""
    faults = []
    if holds.layer != layer:
        faults.append(f"holds layer {holds.layer}")
    if holds.normed and not expected.normed:
        faults.append("post-norm: after the model's final norm")
    if expected.normed and not holds.normed:
        faults.append("before the model's final norm, and said to be after it")
    if holds.position != expected.position:
        faults.append(f"position {holds.position}, not {expected.position}")
    if shift:
        faults.append(f"holds {SHIFTS[shift]}{rows}")
    return tuple(faults)


def in_one_line(faults: Sequence[str]) -> str:
    """Faults as a table shows them."""
    return "; ".join(faults) or "ok"
