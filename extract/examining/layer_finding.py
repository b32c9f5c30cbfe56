"""What the doctor found of one stored layer: what it was said to hold, what it holds, and how far off that is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from w2s_probes.printable import listed

from .candidates import Candidate

MOST = 3  # different faults that a sentence has room for
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
        faults.append(_holds(holds.layer))
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


def all_in_words(layers: Sequence[LayerFinding]) -> str:
    """What is off in which layers, as a sentence says it: those that are exchanged, then each fault once.

    >>> one, two, three = (LayerFinding(at, ("position first, not last",), 0.5, 0.1) for at in (1, 2, 3))
    >>> all_in_words([one, two]), all_in_words([three])
    ('layers 1 and 2: position first, not last', 'layer 3: position first, not last')
    """
    moved = {one.layer: one.holds.layer for one in layers if one.holds and one.faults == (_holds(one.holds.layer),)}
    pairs = [(layer, held) for layer, held in moved.items() if layer < held and moved.get(held) == layer]
    said = [f"layers {layer} and {held} are exchanged" for layer, held in pairs]
    left = {layer: held for layer, held in moved.items() if moved.get(held) != layer}
    if len(left) == 1:
        said += [f"layer {layer} {_holds(held)}" for layer, held in left.items()]
    elif left:
        said.append(f"{_layers(left)} hold {_layers(left.values())}")
    faults: dict[tuple[str, ...], list[int]] = {}
    for one in layers:
        if not one.ok and one.layer not in moved:
            faults.setdefault(one.faults, []).append(one.layer)
    said += [f"{_layers(where)}: {in_one_line(words)}" for words, where in list(faults.items())[:MOST]]
    if rest := sorted(layer for where in list(faults.values())[MOST:] for layer in where):
        said.append(f"{_layers(rest)}: {'another fault' if len(rest) == 1 else 'other faults'}")
    return "; ".join(said)


def _holds(layer: int) -> str:
    return f"holds layer {layer}"


def _layers(layers: Iterable[int]) -> str:
    numbers = list(map(str, layers))
    return f"layer{'s' if len(numbers) > 1 else ''} {listed(numbers)}"
