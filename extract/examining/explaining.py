"""Why a stored layer is like nothing that the model gives for its rows: tried one way after another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..forward.engine import Engine
from .candidates import POSITIONS, Candidate, Candidates, all_states, candidates_of
from .distances import nearest, shares
from .elsewhere import few_rows, places_of
from .layer_finding import told_apart
from .other_tokens import other_tokens
from .padding import PaddedRow, padding_faults
from .reading import Reading
from .subject import Subject
from .token_search import token_in_words


@dataclass(frozen=True)
class Unexplained:
    """A layer that no candidate comes near: what it should hold, its measure, and what may explain it."""

    layer: int
    expected: Candidate
    scale: float  # the median distance between rows
    allowed: float  # share of it within which something must come that is to explain the layer


def explanations(
    subject: Subject, engine: Engine, reading: Reading, layers: Sequence[Unexplained]
) -> dict[int, tuple[str, ...]]:
    """Faults by layer, in words; layers that nothing explains are missing."""
    faults: dict[int, tuple[str, ...]] = {}
    for layer in layers:
        found = _token_of_the_row(subject, reading, layer) or _order(
            subject, reading, layer, every_layer=layer is layers[0]
        )
        if found:
            faults[layer.layer] = found
    if left := [layer for layer in layers if layer.layer not in faults]:
        faults |= _tokens(subject, engine, reading, left)
    if left := [layer for layer in left if layer.layer not in faults]:
        faults |= _pads(subject, engine, reading, left)
    return faults


def _token_of_the_row(subject: Subject, reading: Reading, layer: Unexplained) -> tuple[str, ...]:
    matches = reading.matches[layer.layer]
    near = [row for row, match in enumerate(matches) if match.distance / layer.scale <= layer.allowed]
    if 2 * len(near) <= len(matches):
        return ()
    found = [matches[row] for row in near]
    depth, layers = subject.source.depth, [match.layer for match in found]
    most = max(set(layers), key=layers.count)
    words = token_in_words([match for match in found if match.layer == most])
    if words is None or words in ("token 1 from the end", "token 1 of each row"):  # which candidates are, and no nearer
        return ()
    holds = Candidate(min(most, depth), layer.expected.position, most > depth)
    return (*told_apart(layer.layer, layer.expected, holds, 0), f"{words}, not {layer.expected.position}")


def _order(subject: Subject, reading: Reading, layer: Unexplained, *, every_layer: bool) -> tuple[str, ...]:
    """Whether the rows' vectors stand at other rows of the store."""
    few = few_rows(len(reading.names))
    own = reading.partners[0][few]
    kinds = [layer.expected] if layer.expected in reading.candidates.kinds else []
    if every_layer:
        positions = POSITIONS if subject.position is None else (layer.expected.position,)
        kinds += [kind for kind in reading.candidates.kinds if kind.position in positions]
    if not kinds:
        return ()
    wanted = np.stack([reading.candidates.of(kind)[own] for kind in kinds])
    known = np.atleast_1d(np.isfinite(wanted).all(axis=(1, 2)))
    kinds, wanted = [kind for kind, has in zip(kinds, known, strict=True) if has], wanted[known]
    places, distances = places_of(subject.store, layer.layer, wanted.reshape(-1, wanted.shape[-1]))
    places, distances = places.reshape(wanted.shape[:2]), distances.reshape(wanted.shape[:2]) / layer.scale
    best = int(np.median(distances, axis=1).argmin())
    moved = (distances[best] <= layer.allowed) & (places[best] != reading.places[few])
    if 2 * moved.sum() < len(few):
        return ()
    row = int(moved.argmax())
    names = reading.names[few[row]], subject.texts.index[places[best, row]]
    order = f"rows in another order: the vector of row {names[0]!r} stands at row {names[1]!r}"
    return (*told_apart(layer.layer, layer.expected, kinds[best], 0), order)


def _tokens(
    subject: Subject, engine: Engine, reading: Reading, layers: Sequence[Unexplained]
) -> dict[int, tuple[str, ...]]:
    few = few_rows(len(reading.names))
    names, tokens = [reading.names[row] for row in few], [reading.tokens[row] for row in few]
    texts = [subject.texts.loc[name] for name in names]
    source, faults = subject.source, dict[int, tuple[str, ...]]()
    for words, others in other_tokens(subject, names, texts, tokens):
        read = dict(all_states(engine, source, others))
        vectors = np.stack([candidates_of(read[row], source.depth) for row in range(len(few))])
        candidates = Candidates(reading.candidates.kinds, vectors)
        for layer in layers:
            stored = reading.stored[layer.layer][few]
            difference, kind, _ = nearest(stored, candidates, {0: np.arange(len(few))}, layer.scale)
            if difference <= layer.allowed and layer.layer not in faults:
                row = next(row for row in range(len(few)) if not np.array_equal(others[row], tokens[row]))
                counts = f"{len(others[row])} tokens, not {len(tokens[row])}, in row {names[row]!r}"
                told = told_apart(layer.layer, layer.expected, kind, 0)
                faults[layer.layer] = (*told, f"other tokens: {words} ({counts})")
    return faults


def _pads(
    subject: Subject, engine: Engine, reading: Reading, layers: Sequence[Unexplained]
) -> dict[int, tuple[str, ...]]:
    """Whether pads were read: tried on three rows that differ, of which the longer have fewer pads in any batch."""
    own = reading.partners[0]
    far: dict[int, list[int]] = {}  # by layer the rows that are not as they should be
    for layer in layers:
        if layer.expected in reading.candidates.kinds:
            differences = shares(reading.stored[layer.layer], reading.candidates.of(layer.expected)[own], layer.scale)
            far[layer.layer] = np.flatnonzero(~(differences <= layer.allowed)).tolist()
    order = sorted({row for rows in far.values() for row in rows}, key=lambda row: len(reading.tokens[row]))
    chosen = dict.fromkeys(order[round(share * (len(order) - 1))] for share in (0.9, 0.75, 0.5) if order)
    rows = [
        PaddedRow(
            reading.names[row],
            reading.tokens[row],
            {layer: reading.stored[layer][row] for layer, there in far.items() if row in there},
        )
        for row in chosen
    ]
    limits = {layer.layer: layer.scale * layer.allowed for layer in layers}
    found = padding_faults(engine, subject.source, rows, max(map(len, reading.tokens)), limits)
    return {layer: (words,) for layer, words in found.items()}
